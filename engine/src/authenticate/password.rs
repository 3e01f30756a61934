//! Passwords: hashing one for a configuration, and verifying one.
//!
//! Argon2id (RFC 9106) with the parameters that OWASP recommends for it: 19 MiB and two passes,
//! 21 ms. Other parameters in a configured hash are used as they are; they are bounded when
//! the configuration is read. Neither belongs on a shard.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::Question;

/// The hash under which a password is configured. The salt must be random.
///
/// *Errors:* none that a password could cause.
pub fn hash_password(password: &[u8], salt: &[u8; 16]) -> Option<String> {
    let salt = SaltString::encode_b64(salt).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
    let hash = argon2.hash_password(password, &salt).ok()?;
    Some(hash.to_string())
}

impl Question {
    /// Whether the password is the one of the hash.
    ///
    /// *Cost:* what the hash says; tens of milliseconds and megabytes.
    #[must_use]
    pub fn verify(&self) -> bool {
        PasswordHash::new(&self.hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(&self.password, &hash)
                .is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9106_a_password_is_known_by_its_hash() {
        let salt = [7; 16];
        let hash = hash_password(b"correct horse", &salt).expect("a hash");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let question = |password: &[u8]| Question::new(&hash, password);
        assert!(question(b"correct horse").verify());
        assert!(!question(b"correct hors").verify());
        assert!(!question(b"").verify());
    }

    #[test]
    fn the_hash_of_nobody_can_be_verified_and_takes_as_long() {
        let nobody = PasswordHash::new(super::super::basic::NOBODY).expect("a hash");
        let nobody = Params::try_from(&nobody).expect("parameters");
        let cost = |it: &Params| (it.m_cost(), it.t_cost(), it.p_cost());
        assert_eq!(cost(&nobody), cost(&Params::default()));
        assert!(!Question::new(super::super::basic::NOBODY, b"").verify());
    }
}
