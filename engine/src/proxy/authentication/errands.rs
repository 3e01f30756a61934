//! What shards ask of others: work that would hold up a request, or that only control can do.
//!
//! Messages only: a shard sends, and goes on or waits for the answer as for any other event. The
//! queues are bounded; when one is full, the shard says so to its client.

use std::sync::Arc;

use flume::{Receiver, Sender, TrySendError, bounded};

use crate::authenticate::Question;
use crate::limits;

/// A password to be verified.
#[derive(Debug)]
pub struct PasswordErrand {
    /// What is asked.
    pub question: Question,
    /// Where the answer goes: whether it is right.
    pub answer: Sender<(Question, bool)>,
}

/// The shards' ends of the queues.
#[derive(Clone, Debug)]
pub struct Errands {
    passwords: Sender<PasswordErrand>,
    keys: Sender<Arc<str>>,
}

/// The other ends.
#[derive(Debug)]
pub struct ErrandQueues {
    /// Passwords to be verified.
    pub passwords: Receiver<PasswordErrand>,
    /// Addresses of key sets that lack a key which a token names.
    pub keys: Receiver<Arc<str>>,
}

impl Errands {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, ErrandQueues) {
        let (passwords, to_verify) = bounded(limits::PASSWORD_QUEUE);
        let (keys, wanted) = bounded(limits::WANTED_KEYS);
        let queues = ErrandQueues {
            passwords: to_verify,
            keys: wanted,
        };
        (Self { passwords, keys }, queues)
    }

    /// Has a password verified; the answer comes through the receiver. `None` when too many wait.
    pub(super) fn verify(&self, question: Question) -> Option<Receiver<(Question, bool)>> {
        let (answer, answered) = bounded(1);
        let errand = PasswordErrand { question, answer };
        match self.passwords.try_send(errand) {
            Ok(()) => Some(answered),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }

    /// Says that the keys at `address` lack one. Lost when many others say so at this moment: the
    /// next token with that key says it again.
    pub(super) fn want_keys(&self, address: Arc<str>) {
        let _is_lost = self.keys.try_send(address);
    }
}
