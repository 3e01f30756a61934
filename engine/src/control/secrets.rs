//! `weft hash-key` and `weft hash-password`: from a secret to what a configuration holds of it.
//!
//! In: a secret on standard input, never on the command line, where every user of the machine could
//! read it. Out: the text that goes into the configuration. A secret that could be guessed is
//! refused, since its hash would be no protection.

use std::fmt;
use std::io::{self, Read as _};

use crate::authenticate::{self, hash_api_key};
use crate::io::random_secret;
use crate::limits;

/// Fewest bytes of a key: less can be found by trying, whatever is stored of it.
const KEY_BYTES_MIN: usize = 16;

/// Why a secret is not hashed.
#[derive(Debug)]
pub enum SecretError {
    /// Standard input cannot be read.
    Input(io::Error),
    /// It is too short to be hard to guess.
    TooShort(usize),
    /// No memory to hash it.
    NotHashed,
    /// It is longer than what a request may bring.
    TooLong(usize),
}

/// The hash of the key on standard input.
///
/// # Errors
/// It cannot be read, or is no key that could be used.
pub fn hash_key() -> Result<String, SecretError> {
    let key = read(limits::API_KEY_BYTES_MAX)?;
    match key.len() {
        bytes if bytes < KEY_BYTES_MIN => Err(SecretError::TooShort(KEY_BYTES_MIN)),
        _ => Ok(hash_api_key(&key).to_string()),
    }
}

/// The hash of the password on standard input.
///
/// # Errors
/// It cannot be read, or is longer than what a request may bring.
pub fn hash_password() -> Result<String, SecretError> {
    let password = read(limits::BASIC_BYTES_MAX)?;
    let salt = random_secret();
    let salt = salt.first_chunk().copied().unwrap_or_default();
    authenticate::hash_password(&password, &salt).ok_or(SecretError::NotHashed)
}

/// The secret on standard input, without the end of its line.
fn read(bytes_max: usize) -> Result<Vec<u8>, SecretError> {
    let mut secret = Vec::new();
    let bound = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(3);
    io::stdin()
        .lock()
        .take(bound)
        .read_to_end(&mut secret)
        .map_err(SecretError::Input)?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
    }
    if secret.last() == Some(&b'\r') {
        secret.pop();
    }
    match secret.len() {
        bytes if bytes > bytes_max => Err(SecretError::TooLong(bytes_max)),
        _ => Ok(secret),
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => write!(f, "The secret cannot be read: {error}."),
            Self::TooShort(bytes) => write!(
                f,
                "The secret has fewer than {bytes} bytes and could be guessed.\n  FIX  Take random \
                 ones, as in `openssl rand -hex 20`."
            ),
            Self::NotHashed => f.write_str("The secret cannot be hashed."),
            Self::TooLong(bytes) => write!(f, "The secret has more than {bytes} bytes."),
        }
    }
}
