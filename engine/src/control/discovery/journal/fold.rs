//! What a journal says in the end: its lines, one after another, folded into who is registered.
//!
//! Never fails on what it reads: a line that is damaged is counted and left out, and the last line,
//! if the process died while it was written, is told apart from that. Memory is bounded by the
//! length of a line and by what is registered.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use super::super::registry::{Key, Registration};
use super::record::Record;
use crate::limits;

/// An instance as the journal left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it registered.
    pub registration: Arc<Registration>,
    /// It takes nothing new.
    pub is_draining: bool,
    /// When its lease ends, in milliseconds since 1970.
    pub until: u64,
}

impl Entry {
    pub(super) fn record(&self) -> Record {
        Record::Put {
            registration: Arc::clone(&self.registration),
            is_draining: self.is_draining,
            until: self.until,
        }
    }
}

/// The sum of a journal.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) entries: BTreeMap<Key, Entry>,
    /// The numbers of the first lines that are damaged, from 1.
    pub(super) damaged: Vec<usize>,
    pub(super) damaged_count: usize,
    /// Bytes of whole lines: where writing goes on.
    pub(super) whole_bytes: u64,
    /// The last line was cut.
    pub(super) is_torn: bool,
}

/// Damaged lines that are told by number.
const DAMAGED_TOLD: usize = 5;

/// Folds a journal.
///
/// *Errors:* those of reading.
pub(super) fn fold(mut file: impl BufRead) -> io::Result<Folded> {
    let mut folded = Folded::default();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        number += 1;
        line.clear();
        let most = limits::JOURNAL_LINE_BYTES_MAX as u64;
        let length = file.by_ref().take(most).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(folded);
        }
        if line.last() != Some(&b'\n') {
            // The rest of a line that is too long is damaged too; at the end there is no rest.
            folded.is_torn = length < limits::JOURNAL_LINE_BYTES_MAX;
            if folded.is_torn {
                return Ok(folded);
            }
        }
        folded.whole_bytes += length as u64;
        let record = line.strip_suffix(b"\n").and_then(Record::read);
        folded.add(record, number);
    }
}

impl Folded {
    fn add(&mut self, record: Option<Record>, number: usize) {
        match record {
            // The first line says what the others are; elsewhere it says nothing.
            Some(Record::Header) => {}
            Some(_) | None if number == 1 => self.damage(number),
            Some(Record::Put {
                registration,
                is_draining,
                until,
            }) => {
                let key = (
                    Arc::clone(&registration.service),
                    Arc::clone(&registration.id),
                );
                let entry = Entry {
                    registration,
                    is_draining,
                    until,
                };
                self.entries.insert(key, entry);
            }
            Some(Record::Renew { service, id, until }) => {
                // Absent only behind a damaged line, which has been counted.
                if let Some(entry) = self.entries.get_mut(&(service, id)) {
                    entry.until = until;
                }
            }
            Some(Record::Gone { service, id }) => {
                self.entries.remove(&(service, id));
            }
            None => self.damage(number),
        }
    }

    fn damage(&mut self, number: usize) {
        self.damaged_count += 1;
        if self.damaged.len() < DAMAGED_TOLD {
            self.damaged.push(number);
        }
    }
}
