//! The thread that writes the journal.
//!
//! It takes what waits, writes it in one piece, has the disk confirm it once, and answers all.
//! A journal of which most is past is folded beside that (`folding`), and nobody waits for it.
//! After a failure it refuses everything until it has been given the whole journal again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flume::{Receiver, RecvTimeoutError};
use tokio::sync::oneshot;

use super::WriteError;
use super::folding::{self, Folding};
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
    folding: Option<Folding>,
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
            folding: None,
            failed: None,
        }
    }

    /// Writes until nobody can ask for it any more.
    pub(super) fn run(mut self, queue: &Receiver<Change>) {
        while let Some(first) = self.next(queue) {
            let mut waiting: Vec<Change> = first.into_iter().collect();
            waiting.extend(queue.drain());
            self.write_all(waiting);
            if self.folding.as_ref().is_some_and(Folding::is_finished) {
                self.finish_folding();
            }
        }
        self.finish_folding();
    }

    /// The next change, or nothing when a fold may have ended; `None` when nobody can ask for
    /// anything any more.
    fn next(&self, queue: &Receiver<Change>) -> Option<Option<Change>> {
        if self.folding.is_none() {
            return queue.recv().ok().map(Some);
        }
        match queue.recv_timeout(limits::JOURNAL_FOLD_POLL) {
            Ok(change) => Some(Some(change)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
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
        if self.failed.is_none() && self.folding.is_none() && self.length >= self.rewrite_at {
            match Folding::start(&self.path, self.length) {
                Ok(folding) => self.folding = Some(folding),
                Err(_no_thread) => self.fold_later(),
            }
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

    /// Puts the folded journal in the place of the other, if there is one and all is well.
    fn finish_folding(&mut self) {
        let Some(folding) = self.folding.take() else {
            return;
        };
        if self.failed.is_some() {
            // The whole journal is about to be written anew.
            return folding.discard(&self.path);
        }
        match folding.finish(&self.path, self.length) {
            Ok((file, length)) => match folding::put_in_place(&self.path) {
                Ok(()) => self.adopt(file, length),
                Err(error) => {
                    self.fail(&error);
                }
            },
            Err(error) => {
                folding::remove(&self.path);
                // Somebody else writes into it, and what the registry holds has to replace it; or
                // there is no room for a second one, and the first is as it was.
                if error.kind() == io::ErrorKind::InvalidData {
                    self.fail(&error);
                } else {
                    self.fold_later();
                }
            }
        }
    }

    /// It is tried again when the journal is longer.
    fn fold_later(&mut self) {
        self.rewrite_at = self.rewrite_at.saturating_mul(2);
    }

    fn replace(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        if let Some(folding) = self.folding.take() {
            folding.discard(&self.path);
        }
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
pub(in crate::control::discovery) fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    let new = path.with_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        Ok(file)
    });
    if written.is_err() {
        // A part of it is of no use, and on a full disk a burden.
        let _mostly_there_is_one = fs::remove_file(&new);
    }
    let file = written?;
    sync_folder(path)?;
    Ok(file)
}

/// Has the disk confirm which files are in the folder of `path`.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of one line, folded while `meanwhile` is done; what the writer holds of it then.
    fn folded(name: &str, meanwhile: impl Fn(&Path)) -> Option<WriteError> {
        let folder = std::env::temp_dir().join(format!("weft-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("made");
        let path = folder.join("registry.journal");
        let gone = Record::Gone {
            service: "orders".into(),
            id: "a".into(),
        };
        let content = lines([gone].into_iter());
        let file = replace(&path, &content).expect("written");
        let length = content.len() as u64;
        let mut writer = Writer::new(path.clone(), file, length);
        meanwhile(&path);
        writer.folding = Folding::start(&path, length).ok();
        writer.finish_folding();
        let was_folded = fs::metadata(&path).expect("there").len() < length;
        assert_eq!(was_folded, name == "well");
        fs::remove_dir_all(&folder).expect("removed");
        writer.failed
    }

    #[test]
    fn a_journal_that_cannot_be_folded_is_written_on_unless_it_is_damaged() {
        assert_eq!(folded("well", |_| ()), None);
        // No file can be made where the folded journal would be.
        let is_full = |path: &Path| fs::create_dir(path.with_extension("folded")).expect("made");
        assert_eq!(folded("full", is_full), None);
        let damage = |path: &Path| fs::write(path, "nonsense\n".repeat(20)).expect("written");
        assert!(folded("damaged", damage).is_some());
    }
}
