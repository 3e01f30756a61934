//! The thread that writes the journal.
//!
//! It takes what waits, writes it in one piece, has the disk confirm it once, and answers all.
//! A journal of which most is past is folded and written anew here, where nobody waits for more
//! than the next answer. After a failure it refuses everything until it has been given the whole
//! journal again.

use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

use flume::Receiver;
use tokio::sync::oneshot;

use super::WriteError;
use super::fold::{self, Entry};
use super::record::Record;
use crate::limits;

type Done = oneshot::Sender<Result<(), WriteError>>;

/// What is to be written.
#[derive(Debug)]
pub(super) enum Change {
    /// Lines at the end; on the disk before the answer, if anybody waits for one.
    Append { lines: Vec<u8>, done: Option<Done> },
    /// All lines.
    Rewrite { lines: Vec<u8>, done: Done },
}

/// The file, and how far it is known to be whole.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    length: u64,
    /// The length at which it is folded again.
    rewrite_at: u64,
    /// What failed, until the whole journal has been written again.
    failed: Option<WriteError>,
}

impl Writer {
    pub(super) fn new(path: PathBuf, file: File, length: u64) -> Self {
        Self {
            path,
            file,
            length,
            rewrite_at: rewrite_at(length),
            failed: None,
        }
    }

    /// Writes until nobody can ask for it any more.
    pub(super) fn run(mut self, queue: &Receiver<Change>) {
        while let Ok(first) = queue.recv() {
            let mut waiting = vec![first];
            waiting.extend(queue.drain());
            self.write_all(waiting);
        }
    }

    /// Writes changes in order; runs of appends share one confirmation.
    fn write_all(&mut self, changes: Vec<Change>) {
        let (mut lines, mut answers) = (Vec::new(), Vec::new());
        for change in changes {
            match change {
                Change::Append { lines: more, done } => {
                    lines.extend(more);
                    answers.extend(done);
                }
                Change::Rewrite { lines: all, done } => {
                    self.append(&std::mem::take(&mut lines), std::mem::take(&mut answers));
                    let outcome = self.replace(&all);
                    // Nobody waits: the process ends.
                    let _nobody = done.send(outcome);
                }
            }
        }
        self.append(&lines, answers);
        if self.failed.is_none() && self.length >= self.rewrite_at {
            self.compact();
        }
    }

    fn append(&mut self, lines: &[u8], answers: Vec<Done>) {
        if lines.is_empty() {
            return;
        }
        let outcome = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.try_append(lines, !answers.is_empty()),
        };
        for done in answers {
            let _nobody = done.send(outcome.clone());
        }
    }

    fn try_append(&mut self, lines: &[u8], is_awaited: bool) -> Result<(), WriteError> {
        let written = self.file.write_all(lines);
        let written = written.and_then(|()| {
            if is_awaited {
                self.file.sync_data()
            } else {
                Ok(())
            }
        });
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Folds the file and writes what is left of it.
    fn compact(&mut self) {
        let folded = File::open(&self.path).and_then(|file| fold::fold(BufReader::new(file)));
        let written = folded.and_then(|folded| {
            if folded.damaged_count > 0 {
                // Somebody else wrote into it. What the registry holds will replace it.
                return Err(io::Error::other("the journal was damaged while in use"));
            }
            let lines = lines(folded.entries.values().map(Entry::record));
            let file = replace(&self.path, &lines)?;
            Ok((file, lines.len() as u64))
        });
        match written {
            Ok((file, length)) => self.adopt(file, length),
            Err(error) => {
                self.fail(&error);
            }
        }
    }

    fn replace(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        match replace(&self.path, lines) {
            Ok(file) => {
                self.adopt(file, lines.len() as u64);
                Ok(())
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn adopt(&mut self, file: File, length: u64) {
        self.file = file;
        self.length = length;
        self.rewrite_at = rewrite_at(length);
        self.failed = None;
    }

    fn fail(&mut self, error: &io::Error) -> WriteError {
        let error = WriteError::System(error.to_string());
        self.failed = Some(error.clone());
        // A cut line in the middle would be damage; at the end it is expected.
        let _kept_as_it_is = self.file.set_len(self.length);
        error
    }
}

/// A journal grows to four times what it holds, and to a size that is no burden anyway.
fn rewrite_at(length: u64) -> u64 {
    length.saturating_mul(4).max(limits::JOURNAL_REWRITE_BYTES)
}

/// A whole journal.
pub(super) fn lines(records: impl Iterator<Item = Record>) -> Vec<u8> {
    let mut lines = Vec::new();
    Record::Header.write(&mut lines);
    records.for_each(|record| record.write(&mut lines));
    lines
}

/// Writes a file in the place of another: whichever moment the machine dies in, one of them is
/// there, whole.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}
