//! See `bodies/hello.rs`, which an ordinary test runs as well.

#![no_main]

#[path = "../bodies/hello.rs"]
mod body;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    body::check(bytes);
});
