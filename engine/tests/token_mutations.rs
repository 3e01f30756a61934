//! Tokens and key sets that nobody thought of, made from good ones by breaking them: what the
//! fuzzer checks, without a fuzzer.
//!
//! Each run tries the same ones; `WEFT_TESTS_MUTATIONS` sets how many. A case that fails prints its
//! seed.

#[path = "../../tests/harness/dice.rs"]
mod dice;
#[path = "../../tests/fuzz/bodies/jwt.rs"]
mod jwt;

use dice::Dice;

const ORIGINALS: [&str; 5] = [
    include_str!("../src/authenticate/jwt/vectors/rfc7515_a_2.jwt"),
    include_str!("../src/authenticate/jwt/vectors/rfc7515_a_3.jwt"),
    include_str!("../src/authenticate/jwt/vectors/rfc7519_6_1.jwt"),
    include_str!("../src/authenticate/jwt/vectors/rfc8037_a_4.jwt"),
    include_str!("../src/authenticate/jwt/vectors/rfc7515_a_2.jwks"),
];

/// `{"alg":"none"}` and the like, encoded; what JSON and tokens are made of.
const PIECES: [&str; 8] = [
    "eyJhbGciOiJub25lIn0",
    ".",
    "..",
    "=",
    "\"",
    "{\"keys\":[",
    "-_",
    "e30",
];

#[test]
fn no_bytes_make_a_token_of_nobody_pass() {
    let wanted = std::env::var("WEFT_TESTS_MUTATIONS").ok();
    let count = wanted
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000_u64);
    let mut readable = 0;
    for seed in 0..count {
        let mut dice = Dice::new(seed);
        let mut bytes = dice.pick(&ORIGINALS).trim_end().as_bytes().to_vec();
        for _ in 0..dice.below(4) {
            let at = dice.below(bytes.len().max(1));
            match dice.below(4) {
                0 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << dice.below(8);
                    }
                }
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..(at + dice.below(9)).min(bytes.len()))),
                _ => {
                    let at = at.min(bytes.len());
                    bytes.splice(at..at, dice.pick(&PIECES).bytes());
                }
            }
        }
        let outcome = std::panic::catch_unwind(|| jwt::check(&bytes));
        let is_readable = outcome.unwrap_or_else(|_| {
            panic!("seed {seed}: {}", bytes.escape_ascii());
        });
        readable += u64::from(is_readable);
    }
    // Most are broken, and not all.
    assert!(
        (1..count).contains(&readable),
        "{readable} of {count} could be read"
    );
}
