//! What one connection has to send: copied bytes and received runs, in order.
//!
//! ```text
//!   segments  [ copied 0..57 ][ received run ][ copied 57..62 ][ received run ]
//!   copied     head ......... | chunk line .. |                  one Vec, reused
//! ```
//!
//! Heads and chunk lines are written into the queue's own `Vec`; bodies stay in the blocks they
//! arrived in. One `sendmsg` takes them all.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use crate::io::Buf;
use crate::limits;

/// A send takes what fits and never waits.
pub(super) const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

#[derive(Debug)]
enum Segment {
    /// A range of `SendQueue::copied`.
    Copied {
        start: usize,
        len: usize,
    },
    Received(Buf),
}

/// The bytes that one socket has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    copied: Vec<u8>,
    segments: VecDeque<Segment>,
    bytes: usize,
}

impl SendQueue {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Let `fill` append to the copied bytes.
    pub(crate) fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.copied.len();
        fill(&mut self.copied);
        debug_assert!(self.copied.len() >= start, "fill may only append");
        let len = self.copied.len().saturating_sub(start);
        if len == 0 {
            return;
        }
        self.bytes += len;
        if let Some(Segment::Copied {
            start: first,
            len: known,
        }) = self.segments.back_mut()
            && *first + *known == start
        {
            *known += len;
        } else {
            self.segments.push_back(Segment::Copied { start, len });
        }
    }

    pub(crate) fn push(&mut self, buf: Buf) {
        if !buf.is_empty() {
            self.bytes += buf.len();
            self.segments.push_back(Segment::Received(buf));
        }
    }

    /// The first bytes, at most `max`: where they lie if one segment has enough of them or is the
    /// only one, otherwise gathered in `gathered`.
    pub(crate) fn front<'a>(&'a self, gathered: &'a mut Vec<u8>, max: usize) -> &'a [u8] {
        let Some(first) = self.segments.front().map(|first| self.bytes_of(first)) else {
            return &[];
        };
        if first.len() >= max || self.segments.len() == 1 {
            return &first[..first.len().min(max)];
        }
        gathered.clear();
        for segment in &self.segments {
            let bytes = self.bytes_of(segment);
            let room = max - gathered.len();
            gathered.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() >= room {
                break;
            }
        }
        gathered
    }

    /// Hand as much to the kernel as it takes without waiting. `Ok(true)` = all of it.
    ///
    /// When a FIN follows at once (`is_last`), the kernel is told to hold back the last segment for
    /// it: FIN then costs no packet of its own.
    pub(crate) fn send(&mut self, fd: BorrowedFd<'_>, is_last: bool) -> Result<bool, Errno> {
        let mut flags = SEND_FLAGS;
        flags.set(SendFlags::MORE, is_last);
        while self.bytes > 0 {
            match self.send_once(fd, flags) {
                Ok(sent) => self.sent(sent),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn send_once(&self, fd: BorrowedFd<'_>, flags: SendFlags) -> Result<usize, Errno> {
        if let (Some(only), 1) = (self.segments.front(), self.segments.len()) {
            return send(fd, self.bytes_of(only), flags);
        }
        let mut slices = [IoSlice::new(&[]); limits::SEND_SEGMENTS];
        let mut count = 0;
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(self.bytes_of(segment));
            count += 1;
        }
        sendmsg(
            fd,
            &slices[..count],
            &mut SendAncillaryBuffer::default(),
            flags,
        )
    }

    fn bytes_of<'a>(&'a self, segment: &'a Segment) -> &'a [u8] {
        match segment {
            Segment::Copied { start, len } => &self.copied[*start..*start + *len],
            Segment::Received(buf) => buf,
        }
    }

    /// Forget the first `sent` bytes: they have left.
    pub(crate) fn sent(&mut self, mut sent: usize) {
        debug_assert!(sent <= self.bytes);
        self.bytes = self.bytes.saturating_sub(sent);
        while sent > 0 {
            match self.segments.front_mut() {
                Some(Segment::Copied { start, len }) if *len > sent => {
                    *start += sent;
                    *len -= sent;
                    return;
                }
                Some(Segment::Received(buf)) if buf.len() > sent => {
                    buf.advance(sent);
                    return;
                }
                Some(Segment::Copied { len, .. }) => sent -= *len,
                Some(Segment::Received(buf)) => sent -= buf.len(),
                None => return,
            }
            self.segments.pop_front();
        }
        if self.bytes == 0 {
            self.copied.clear();
        } else {
            self.compact();
        }
    }

    /// Give up copied bytes that are sent, so that a stream that never quite drains stays small.
    fn compact(&mut self) {
        let copied = |segment: &Segment| match segment {
            Segment::Copied { start, .. } => Some(*start),
            Segment::Received(_) => None,
        };
        let unsent = self
            .segments
            .iter()
            .find_map(copied)
            .unwrap_or(self.copied.len());
        if unsent < limits::SEND_COMPACT_BYTES {
            return;
        }
        self.copied.drain(..unsent);
        for segment in &mut self.segments {
            if let Segment::Copied { start, .. } = segment {
                *start -= unsent;
            }
        }
    }

    /// Forget everything.
    pub(crate) fn clear(&mut self) {
        self.segments.clear();
        self.copied.clear();
        self.bytes = 0;
    }

    /// Move received runs to the heap, so that a peer that does not read holds no block.
    pub(crate) fn release_blocks(&mut self) {
        for segment in &mut self.segments {
            if let Segment::Received(buf) = segment
                && buf.holds_block()
            {
                *buf = buf.to_heap();
            }
        }
    }

    /// Small enough to be kept for the next connection.
    pub(crate) fn worth_keeping(&self) -> bool {
        self.copied.capacity() <= limits::SPARE_SEND_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("socketpair")
    }

    #[test]
    fn copied_and_received_leave_in_order_however_little_the_kernel_takes() {
        let (near, far) = pair();
        let mut queue = SendQueue::default();
        let mut expected = Vec::new();
        for round in 0..200_u32 {
            let head = format!("head {round};");
            queue.write(|out| out.extend_from_slice(head.as_bytes()));
            queue.write(|out| out.extend_from_slice(b"more;"));
            let body = vec![u8::try_from(round % 251).expect("small"); 5000];
            queue.push(Buf::from_vec(body.clone()));
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(b"more;");
            expected.extend_from_slice(&body);
        }
        assert_eq!(queue.bytes(), expected.len());
        let mut received = Vec::new();
        let mut chunk = [0; 3001];
        while received.len() < expected.len() {
            queue.send(near.as_fd(), false).expect("send");
            let (count, _) =
                rustix::net::recv(&far, &mut chunk[..], rustix::net::RecvFlags::empty())
                    .expect("recv");
            received.extend_from_slice(&chunk[..count]);
        }
        assert_eq!(received, expected);
        assert_eq!((queue.bytes(), queue.copied.len()), (0, 0));
    }

    #[test]
    fn a_stream_that_never_drains_stays_small() {
        let mut queue = SendQueue::default();
        for _ in 0..100_000 {
            queue.write(|out| out.extend_from_slice(b"1000\r\n"));
            queue.push(Buf::from_vec(vec![b'x'; 10]));
            if queue.bytes() > 64 {
                queue.sent(16);
            }
        }
        assert!(queue.copied.len() <= 2 * limits::SEND_COMPACT_BYTES);
    }

    #[test]
    fn a_closed_peer_is_an_error_not_a_signal() {
        let (near, far) = pair();
        drop(far);
        let mut queue = SendQueue::default();
        queue.write(|out| out.push(b'x'));
        assert_eq!(queue.send(near.as_fd(), false), Err(Errno::PIPE));
    }
}
