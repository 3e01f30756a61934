//! A copy of a request body as far as it was sent, so that it can be sent again (pure).
//!
//! Kept only where a repetition is conceivable at all (an idempotent method on a route that has
//! retries), and only while it is whole: a body beyond [`limits::REPLAY_BYTES_MAX`] cannot be
//! repeated, and its copy is dropped at once.

use crate::limits;

/// The sent part of one request body.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    bytes: &'a mut Vec<u8>,
    is_kept: bool,
    is_whole: bool,
}

impl<'a> Replay<'a> {
    /// A replay kept in `bytes`, whose storage is reused.
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        bytes.clear();
        Self {
            bytes,
            is_kept: false,
            is_whole: true,
        }
    }

    /// From now on a copy is kept, or is not.
    pub(super) fn set_kept(&mut self, is_kept: bool) {
        self.is_kept = is_kept;
    }

    /// Sees a piece that is being sent.
    pub(super) fn keep(&mut self, payload: &[u8]) {
        if payload.is_empty() || !self.is_whole {
            return;
        }
        let bytes = self.bytes.len().saturating_add(payload.len());
        if self.is_kept && bytes <= limits::REPLAY_BYTES_MAX {
            self.bytes.extend_from_slice(payload);
        } else {
            self.is_whole = false;
            self.bytes.clear();
        }
    }

    /// All that was sent, if all of it is here.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.is_whole.then_some(self.bytes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsent_body_is_whole() {
        let mut bytes = b"old".to_vec();
        let replay = Replay::new(&mut bytes);
        assert_eq!(replay.whole(), Some(&b""[..]));
    }

    #[test]
    fn what_was_sent_without_a_copy_is_gone() {
        let mut bytes = Vec::new();
        let mut replay = Replay::new(&mut bytes);
        replay.keep(b"");
        assert!(replay.whole().is_some());
        replay.keep(b"a");
        replay.set_kept(true);
        replay.keep(b"b");
        assert_eq!(replay.whole(), None);
    }

    #[test]
    fn a_copy_is_kept_up_to_its_bound() {
        let mut bytes = Vec::new();
        let mut replay = Replay::new(&mut bytes);
        replay.set_kept(true);
        replay.keep(&[b'x'; limits::REPLAY_BYTES_MAX]);
        assert_eq!(
            replay.whole().map(<[u8]>::len),
            Some(limits::REPLAY_BYTES_MAX)
        );
        replay.keep(b"y");
        assert_eq!(replay.whole(), None);
    }
}
