//! What the commands of this package need to start other programs.
//!
//! In: names, options of a command line. Out: where a program is, a port for it, and whether it
//! listens.
//! Starts and ends nothing: who starts a program knows what it needs.

#![allow(
    clippy::disallowed_methods,
    reason = "plain threads with the system's clock: nothing here runs on a shard"
)]

use std::env;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Where programs are.
#[derive(Debug, Default)]
pub struct Programs(Vec<(String, PathBuf)>);

impl Programs {
    /// Notes `NAME=PATH`; `None` for other text.
    pub fn note(&mut self, text: &str) -> Option<()> {
        let (name, path) = text.split_once('=')?;
        self.0.push((name.to_owned(), path.into()));
        Some(())
    }

    /// The path that was noted, else the program of that name beside this one, else the name, which
    /// is looked for in `PATH`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        let noted = self.0.iter().find(|(known, _)| known == name);
        noted
            .map(|(_, path)| path.clone())
            .or_else(|| beside(name))
            .unwrap_or_else(|| name.into())
    }
}

/// The program of that name beside this one, if it is there.
fn beside(name: &str) -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let path = own.parent()?.join(name);
    path.exists().then_some(path)
}

/// What `parse` makes of words between commas.
///
/// # Errors
/// The word that it does not know, followed by `usage`.
pub fn list<T>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    usage: &str,
) -> Result<Vec<T>, String> {
    let parse = |word: &str| parse(word).ok_or_else(|| format!("`{word}` is not known\n{usage}"));
    text.split(',').map(parse).collect()
}

/// A port that nobody has.
///
/// # Errors
/// What the system says.
pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok(address.port())
}

/// That port, on this machine.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits until somebody listens.
///
/// # Errors
/// Nobody did within `patience`.
pub fn wait_for(address: SocketAddr, patience: Duration) -> Result<(), String> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err(format!("nobody listens on {address}"))
}
