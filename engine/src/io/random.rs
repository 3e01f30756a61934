//! Bytes that nobody can guess, from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

/// 32 bytes that nobody can guess.
///
/// The kernel's and not those of the TLS library: that one measures the jitter of the processor
/// before its first byte, for 40 ms, which a process without TLS need not wait for.
#[must_use]
pub fn random_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    // So few come whole once the machine has started (`getrandom(2)`). All zeros would make what is
    // hashed with it findable by trying, but only for who reads our memory or the hash.
    let _is_filled = getrandom(&mut secret, GetRandomFlags::empty());
    secret
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let secrets = [random_secret(), random_secret()];
        assert_ne!(secrets[0], secrets[1]);
        assert!(secrets.iter().all(|secret| secret != &[0; 32]));
    }
}
