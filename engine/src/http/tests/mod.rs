//! Tests of the whole module: each table runs at once, at every split and byte by byte.

mod chunked;
mod encode;
mod forwarded;
mod framing;
mod inquiry;
mod malformed;
mod request;
mod response;
mod target;

/// Reproducible random numbers for tests: xorshift64*.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
