//! Who may change the registry, and how often.
//!
//! A token from a file, or a user whom the kernel names on a Unix socket. A file may hold several
//! tokens, one a line, so that a new one can be handed out before the old one is withdrawn; a file
//! that is not there is made, with a token that nobody has seen. Tokens
//! are kept and compared as hashes: how long a comparison takes says nothing about them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::reply::Problem;
use crate::authenticate::hash_api_key;
use crate::config::{self, KeyHash};
use crate::io::Instant;
use crate::limits;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody over TCP.
    Network,
    /// A process of this user, over a Unix socket; unknown when the kernel does not tell.
    User(Option<u32>),
}

/// Who may change the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    tokens: Vec<KeyHash>,
    uids: Vec<u32>,
}

/// Why the tokens cannot be used.
#[derive(Debug)]
pub enum AccessError {
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// A token in it could be guessed.
    Short(PathBuf),
    /// There is none in it.
    Empty(PathBuf),
}

impl Access {
    /// Reads who may change the registry. A file of tokens that is not there is made.
    ///
    /// # Errors
    /// What is wrong with the file of tokens.
    pub fn open(settings: &config::Registry) -> Result<Self, AccessError> {
        if let Some(path) = settings.token_file.as_ref().filter(|path| !path.exists()) {
            make(path).map_err(|error| AccessError::File(path.clone(), error))?;
        }
        Self::read(settings)
    }

    /// Reads who may change the registry.
    ///
    /// # Errors
    /// What is wrong with the file of tokens.
    pub fn read(settings: &config::Registry) -> Result<Self, AccessError> {
        let tokens = match &settings.token_file {
            Some(path) => tokens(path)?,
            None => Vec::new(),
        };
        Ok(Self {
            tokens,
            uids: settings.uids.clone(),
        })
    }

    /// Lets a request pass, or says why not.
    pub(super) fn admit(&self, peer: Peer, fields: &HeaderMap) -> Result<(), Problem> {
        if let Peer::User(Some(uid)) = peer
            && self.uids.contains(&uid)
        {
            return Ok(());
        }
        let credentials = fields.get(AUTHORIZATION);
        let Some(credentials) = credentials else {
            return match (peer, self.tokens.is_empty()) {
                (Peer::User(uid), true) => Err(Problem::user(uid)),
                (Peer::Network | Peer::User(_), _) => {
                    Err(Problem::unauthorised("no Authorization field"))
                }
            };
        };
        let token = bearer(credentials.as_bytes());
        let token = token.ok_or_else(|| Problem::unauthorised("not a bearer token"))?;
        let hash = hash_api_key(token);
        // All are compared, so that the place of the right one is not told either.
        let found = self.tokens.iter().filter(|known| **known == hash).count();
        if found > 0 {
            Ok(())
        } else {
            Err(Problem::unauthorised("not a token that is known here"))
        }
    }
}

/// The token of RFC 6750 §2.1; the scheme in any case (RFC 9110 §11.1).
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(7)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    (is_bearer && !token.is_empty()).then(|| token.trim_ascii())
}

fn tokens(path: &Path) -> Result<Vec<KeyHash>, AccessError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| AccessError::File(path.to_owned(), error))?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut tokens = Vec::new();
    for line in lines {
        if line.len() < limits::REGISTRY_TOKEN_BYTES_MIN {
            return Err(AccessError::Short(path.to_owned()));
        }
        tokens.push(hash_api_key(line.as_bytes()));
    }
    if tokens.is_empty() {
        return Err(AccessError::Empty(path.to_owned()));
    }
    Ok(tokens)
}

/// Makes a file with one new token, for its owner only.
fn make(path: &Path) -> io::Result<()> {
    let mut random = [0_u8; 24];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{token}")
}

impl fmt::Display for AccessError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = limits::REGISTRY_TOKEN_BYTES_MIN;
        match self {
            Self::File(path, error) => write!(out, "{}: {error}", path.display()),
            Self::Short(path) => {
                let path = path.display();
                write!(out, "{path}: a token is shorter than {least} bytes")
            }
            Self::Empty(path) => write!(out, "{}: there is no token in it", path.display()),
        }
    }
}

/// A token bucket: so many in a second, twice as many at once.
#[derive(Debug)]
pub(super) struct Bucket {
    /// In billionths, so that a nanosecond of a rate is a whole number.
    filled: u64,
    rate: u64,
    at: Instant,
}

const ONE: u64 = 1_000_000_000;

impl Bucket {
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let rate = u64::from(rate);
        Self {
            filled: rate.saturating_mul(2 * ONE),
            rate,
            at: now,
        }
    }

    /// Takes one, or gives the whole seconds after which there is one again.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), u64> {
        let elapsed = u64::try_from(now.since(self.at).as_nanos()).unwrap_or(u64::MAX);
        self.at = now;
        let most = self.rate.saturating_mul(2 * ONE);
        let gained = self.rate.saturating_mul(elapsed);
        self.filled = self.filled.saturating_add(gained).min(most);
        match self.filled.checked_sub(ONE) {
            Some(rest) => {
                self.filled = rest;
                Ok(())
            }
            None => Err(1),
        }
    }
}
