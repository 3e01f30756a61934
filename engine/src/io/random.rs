//! Bytes that nobody can guess, from the kernel.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// 32 bytes that nobody can guess.
///
/// The kernel's and not those of the TLS library: that one measures the jitter of the processor
/// before its first byte, for 40 ms, which a process without TLS need not wait for.
///
/// # Panics
/// The kernel gives none: nothing may go on with a secret that can be guessed.
#[must_use]
pub fn random_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    loop {
        // So few come whole once the machine has started (`getrandom(2)`).
        match getrandom(&mut secret, GetRandomFlags::empty()) {
            Ok(count) if count == secret.len() => return secret,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("The kernel gives no random bytes: {error}"),
        }
    }
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
