//! The journal: leases that survive the process.
//!
//! *In:* records of changes, in order. *Out:* an answer when they are on the disk, and after a
//! restart the instances that were registered. One file that is appended to (`record`), folded when
//! it is opened (`fold`), and when most of it is past (`folding`).
//!
//! Must stay true: what was answered is on the disk (`fdatasync` before the answer; changes that
//! wait together share one). A process that dies at any instruction leaves a journal that the next
//! one reads. A damaged file is kept beside the new one under another name and reported; what can
//! be read of it is used. After a failed write the journal is rewritten as a whole from what the
//! registry holds, since nobody knows what the disk has. Writing is a thread of its own: no disk
//! makes the control thread wait.

mod fold;
mod folding;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;

use flume::{Sender, TrySendError};
use tokio::sync::oneshot;

pub use fold::Entry;
pub use record::Record;
pub(super) use writer::replace;

use crate::limits;
use fold::Folded;
use writer::{Change, Writer};

/// The file in the registry's folder.
const NAME: &str = "registry.journal";
/// The file that says that a process uses the folder.
const LOCK: &str = "registry.lock";

/// What opening a journal found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The instances, by service and id.
    pub entries: Vec<Entry>,
    /// Where a damaged journal was put, if it was.
    pub aside: Option<PathBuf>,
    /// Lines of it that could not be read.
    pub damaged_count: usize,
    /// The first of them, from 1.
    pub damaged: Vec<usize>,
    /// The last line was cut: the process died while it wrote it.
    pub is_torn: bool,
}

/// Why a journal cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process uses it.
    Used(PathBuf),
    /// The system says why.
    System(PathBuf, io::Error),
}

/// Why changes are not on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The disk is behind: too many changes wait already.
    Behind,
    /// What the system said.
    System(String),
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    changes: Sender<Change>,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if it is missing, and reads it. `stamp` names a
    /// damaged file that is set aside.
    ///
    /// # Errors
    /// When another process uses it, or the system refuses.
    pub fn open(folder: &Path, stamp: u64) -> Result<(Self, Recovered), OpenError> {
        let system = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::System(path, error)
        };
        fs::create_dir_all(folder).map_err(system(folder))?;
        let lock = lock(&folder.join(LOCK))?;
        let path = folder.join(NAME);
        folding::remove(&path);
        let folded = match File::open(&path) {
            Ok(file) => fold::fold(BufReader::new(file)).map_err(system(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Folded::default(),
            Err(error) => return Err(system(&path)(error)),
        };
        let mut recovered = Recovered {
            entries: folded.entries.values().cloned().collect(),
            aside: None,
            damaged_count: folded.damaged_count,
            damaged: folded.damaged,
            is_torn: folded.is_torn,
        };
        let is_damaged = recovered.damaged_count > 0;
        let (file, length) = if is_damaged || folded.whole_bytes == 0 {
            let lines = writer::lines(recovered.entries.iter().map(Entry::record));
            if is_damaged {
                let aside = folder.join(format!("{NAME}.damaged-{stamp}"));
                keep_beside(&path, &aside).map_err(system(&aside))?;
                recovered.aside = Some(aside);
            }
            let file = replace(&path, &lines).map_err(system(&path))?;
            (file, lines.len() as u64)
        } else {
            let file = append_to(&path, folded.whole_bytes).map_err(system(&path))?;
            (file, folded.whole_bytes)
        };
        let (changes, queue) = flume::bounded(limits::JOURNAL_QUEUE);
        let writer = Writer::new(path.clone(), file, length);
        thread::Builder::new()
            .name("weft-journal".into())
            .spawn(move || {
                writer.run(&queue);
                // Not before the last line is written.
                drop(lock);
            })
            .map_err(system(&path))?;
        Ok((Self { changes }, recovered))
    }

    /// Writes records; the answer comes when they are on the disk.
    ///
    /// # Errors
    /// [`WriteError::Behind`] when too many wait already: nothing was written.
    pub fn write(
        &self,
        records: &[Record],
    ) -> Result<oneshot::Receiver<Result<(), WriteError>>, WriteError> {
        let (done, answer) = oneshot::channel();
        self.send(Change::Append {
            lines: append_lines(records),
            done: Some(done),
        })?;
        Ok(answer)
    }

    /// Writes records that nobody waits for: a renewal that is lost makes a lease shorter, no more.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn note(&self, records: &[Record]) -> Result<(), WriteError> {
        self.send(Change::Append {
            lines: append_lines(records),
            done: None,
        })
    }

    /// Writes the whole journal anew; what a registry does after a failure.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn rewrite(
        &self,
        records: impl Iterator<Item = Record>,
    ) -> Result<oneshot::Receiver<Result<(), WriteError>>, WriteError> {
        let (done, answer) = oneshot::channel();
        self.send(Change::Rewrite {
            lines: writer::lines(records),
            done,
        })?;
        Ok(answer)
    }

    fn send(&self, change: Change) -> Result<(), WriteError> {
        self.changes.try_send(change).map_err(|error| match error {
            TrySendError::Full(_) => WriteError::Behind,
            TrySendError::Disconnected(_) => {
                WriteError::System("the thread that writes it is gone".to_owned())
            }
        })
    }
}

fn append_lines(records: &[Record]) -> Vec<u8> {
    let mut lines = Vec::new();
    records.iter().for_each(|record| record.write(&mut lines));
    lines
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| OpenError::System(path.to_owned(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Used(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::System(path.to_owned(), error)),
    }
}

/// Keeps a file under a second name. The first stays, so that a crash loses neither.
fn keep_beside(path: &Path, aside: &Path) -> io::Result<()> {
    match fs::hard_link(path, aside) {
        Ok(()) => Ok(()),
        // From an earlier start that ended here.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links.
        Err(_) => fs::copy(path, aside).map(drop),
    }
}

/// A journal that is well: writing goes on behind its last whole line.
fn append_to(path: &Path, whole_bytes: u64) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.set_len(whole_bytes)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Used(path) => write!(out, "{}: another process uses it", path.display()),
            Self::System(path, error) => write!(out, "{}: {error}", path.display()),
        }
    }
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Behind => out.write_str("the disk is behind"),
            Self::System(why) => out.write_str(why),
        }
    }
}
