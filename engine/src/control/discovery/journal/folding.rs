//! Folding a journal beside the writing of it.
//!
//! *In:* a journal, and how much of it is to be folded. *Out:* a file that says the same in fewer
//! lines, made by a thread of its own; the writer appends what it has written meanwhile, and puts
//! it in the place of the journal. A hundred thousand leases take seconds to fold, in which the
//! answers to others would have to wait.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use super::fold::{self, Entry};
use super::writer::{lines, sync_folder};

/// A fold that is under way.
#[derive(Debug)]
pub(super) struct Folding {
    thread: JoinHandle<io::Result<Beside>>,
    /// Bytes of the journal that it covers.
    covered: u64,
}

/// What a fold has made.
#[derive(Debug)]
struct Beside {
    file: File,
    length: u64,
}

impl Folding {
    /// Begins to fold the first `length` bytes of a journal.
    pub(super) fn start(path: &Path, length: u64) -> io::Result<Self> {
        let journal = path.to_owned();
        let thread = thread::Builder::new()
            .name("weft-fold".into())
            .spawn(move || fold(&journal, length))?;
        Ok(Self {
            thread,
            covered: length,
        })
    }

    /// Whether it can be put in the place of the journal without a wait.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// What it has made, with what was written into the journal meanwhile, which has `length` bytes
    /// now. To be put in its place, or to be thrown away; the journal is as it was.
    pub(super) fn finish(self, path: &Path, length: u64) -> io::Result<(File, u64)> {
        let covered = self.covered;
        let Beside {
            mut file,
            length: folded,
        } = self.wait()?;
        let mut journal = File::open(path)?;
        journal.seek(SeekFrom::Start(covered))?;
        let since = length.saturating_sub(covered);
        let copied = io::copy(&mut journal.take(since), &mut file)?;
        if copied != since {
            return Err(damage("the journal was cut while in use"));
        }
        file.sync_all()?;
        Ok((file, folded.saturating_add(copied)))
    }

    /// Waits for its end.
    fn wait(self) -> io::Result<Beside> {
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(io::Error::other("folding the journal failed")))
    }

    /// Throws it away, as soon as it has ended.
    pub(super) fn discard(self, path: &Path) {
        let _of_no_use = self.wait();
        remove(path);
    }
}

/// Puts what was finished in the place of the journal: whichever moment the machine dies in, one of
/// them is there, whole.
pub(super) fn put_in_place(path: &Path) -> io::Result<()> {
    fs::rename(beside(path), path)?;
    sync_folder(path)
}

fn damage(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Where the folded journal is until it takes the place of the other.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("folded")
}

/// Removes what is of no use: of a fold that failed, or of a process that died.
pub(super) fn remove(path: &Path) {
    let _mostly_there_is_none = fs::remove_file(beside(path));
}

fn fold(path: &Path, length: u64) -> io::Result<Beside> {
    let journal = BufReader::new(File::open(path)?.take(length));
    let folded = fold::fold(journal)?;
    if folded.damaged_count > 0 {
        // Somebody else wrote into it. What the registry holds will replace it.
        return Err(damage("the journal was damaged while in use"));
    }
    let lines = lines(folded.entries.values().map(Entry::record));
    let mut file = File::create(beside(path))?;
    file.write_all(&lines)?;
    file.sync_all()?;
    let length = lines.len() as u64;
    Ok(Beside { file, length })
}
