//! See `bodies/jwt.rs`, which an ordinary test runs as well.

#![no_main]

#[path = "../bodies/jwt.rs"]
mod body;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    body::check(bytes);
});
