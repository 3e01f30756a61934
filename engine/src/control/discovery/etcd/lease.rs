//! The lease of this proxy in etcd, by which all its instances live there.
//!
//! One for the proxy instead of one for each instance: what renewing costs etcd does not grow with
//! how many there are, and an instance that stops renewing here is taken out by this proxy. The
//! number of the lease is kept in the registry's folder, so that a proxy that was restarted goes on
//! with it, and its instances were never gone.

use std::cell::{Cell, RefCell};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tokio::task::spawn_blocking;

use super::super::journal;
use crate::io::clock;

/// Its file in the registry's folder.
const FILE: &str = "etcd.lease";
/// Past leases whose keys may still be told of.
const PAST: usize = 4;

/// The lease, if there is one.
#[derive(Debug)]
pub(super) struct Lease {
    file: PathBuf,
    current: Cell<Option<i64>>,
    past: RefCell<Vec<i64>>,
}

impl Lease {
    /// The lease of the process before this one, which may have ended.
    pub(super) fn of(folder: &Path) -> Self {
        let file = folder.join(FILE);
        let written = fs::read_to_string(&file).ok();
        let number = written.and_then(|text| text.trim().parse::<i64>().ok());
        Self {
            file,
            current: Cell::new(number.filter(|number| *number > 0)),
            past: RefCell::default(),
        }
    }

    /// Its number.
    pub(super) fn current(&self) -> Option<i64> {
        self.current.get()
    }

    /// Whether a key that lives by `lease` is there because of this proxy.
    pub(super) fn is_own(&self, lease: i64) -> bool {
        self.current.get() == Some(lease) || self.past.borrow().contains(&lease)
    }

    /// It has ended.
    pub(super) fn end(&self) {
        let mut past = self.past.borrow_mut();
        if past.len() == PAST {
            past.remove(0);
        }
        past.extend(self.current.take());
    }

    /// There is a new one. On the disk before anything lives by it.
    pub(super) async fn begin(&self, number: i64) -> io::Result<()> {
        self.current.set(Some(number));
        let (file, line) = (self.file.clone(), format!("{number}\n"));
        let written = spawn_blocking(move || journal::replace(&file, line.as_bytes()).map(drop));
        written
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// A number that no other lease has.
pub(super) fn number() -> i64 {
    let wall = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let random = RandomState::new().hash_one(wall.as_nanos());
    i64::try_from(random >> 1).unwrap_or(i64::MAX).max(1)
}
