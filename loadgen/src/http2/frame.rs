//! Frames (RFC 9113 §4.1 and §6): cut out of runs of received bytes, and written.
//!
//! [`Frames`] gives every frame but DATA whole: from the run where it lies, or gathered if it is
//! split over several. DATA is given in pieces as it comes, so content is never copied. A length
//! that cannot be is noticed when the head of the frame is there.

use super::{FRAME_BYTES_MAX, Fault};

/// Bytes of the head of a frame.
pub(crate) const HEAD_BYTES: usize = 9;

/// What the flags of frames mean (§6).
pub(crate) mod flag {
    /// DATA, HEADERS: nothing follows on this stream.
    pub(crate) const END_STREAM: u8 = 0x1;
    /// SETTINGS, PING: an acknowledgement.
    pub(crate) const ACK: u8 = 0x1;
    /// HEADERS, CONTINUATION: the field block is complete.
    pub(crate) const END_HEADERS: u8 = 0x4;
    /// DATA, HEADERS: padding is there.
    pub(crate) const PADDED: u8 = 0x8;
    /// HEADERS: a priority is there.
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// Types of frames (§6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// §6.1.
    Data,
    /// §6.2.
    Headers,
    /// §6.3.
    Priority,
    /// §6.4.
    Reset,
    /// §6.5.
    Settings,
    /// §6.6.
    PushPromise,
    /// §6.7.
    Ping,
    /// §6.8.
    GoAway,
    /// §6.9.
    WindowUpdate,
    /// §6.10.
    Continuation,
    /// To be ignored (§5.5).
    Unknown,
}

impl Kind {
    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::Reset,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// What kind of frame.
    pub kind: Kind,
    /// Its flags.
    pub flags: u8,
    /// The stream it belongs to; 0 is the connection.
    pub stream: u32,
    /// Bytes of its payload.
    pub length: usize,
}

impl Head {
    /// Is this flag set?
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Reads one; `None` when `bytes` are too few.
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, d, e, f, g] = bytes.first_chunk::<HEAD_BYTES>()?;
        Some(Self {
            kind: Kind::of(kind),
            flags,
            // §4.1: the highest bit is reserved and ignored.
            stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
            length: u32::from_be_bytes([0, a, b, c]) as usize,
        })
    }

    /// Bytes of payload that are not padding or its length.
    fn without_padding<'a>(&self, payload: &'a [u8]) -> Result<&'a [u8], Fault> {
        if !self.has(flag::PADDED) {
            return Ok(payload);
        }
        let (&padding, rest) = payload
            .split_first()
            .ok_or(Fault::frame_size("no room for the length of the padding"))?;
        // §6.1, §6.2: padding does not fill more than the rest of the frame.
        let content = rest.len().checked_sub(usize::from(padding));
        let content = content.ok_or(Fault::protocol("more padding than payload"))?;
        Ok(&rest[..content])
    }

    /// The part of a HEADERS frame's payload that belongs to the field block (§6.2).
    pub(crate) fn block<'a>(&self, payload: &'a [u8]) -> Result<&'a [u8], Fault> {
        let payload = self.without_padding(payload)?;
        if !self.has(flag::PRIORITY) {
            return Ok(payload);
        }
        let block = payload.split_at_checked(5).map(|(_, block)| block);
        block.ok_or(Fault::frame_size("no room for a priority"))
    }
}

/// What was cut out of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'frame, 'run> {
    /// A whole frame, not DATA, and its payload.
    Frame(Head, &'frame [u8]),
    /// The beginning of a DATA frame: the whole of its length counts against the windows.
    Data(Head),
    /// A piece of its content; `last` when the frame is complete with it.
    Content { bytes: &'run [u8], last: bool },
}

/// A DATA frame of which not all has come.
#[derive(Clone, Copy, Debug)]
struct Unread {
    content: usize,
    padding: usize,
}

/// Cuts frames out of runs of bytes.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The beginning of a frame whose end has not come, or the last frame that was gathered.
    carry: Vec<u8>,
    carry_used: bool,
    unread: Option<Unread>,
}

impl Frames {
    /// The next part, taken from the front of `run`; `None` when `run` is used up.
    pub(crate) fn next<'frame, 'run: 'frame>(
        &'frame mut self,
        run: &mut &'run [u8],
    ) -> Result<Option<Part<'frame, 'run>>, Fault> {
        if std::mem::take(&mut self.carry_used) {
            self.carry.clear();
        }
        if let Some(unread) = self.unread.take() {
            return Ok(self.content(unread, run));
        }
        let Some(bytes) = Self::whole(&mut self.carry, &mut self.carry_used, run)? else {
            return Ok(None);
        };
        let Some((head, payload)) = Head::read(bytes).zip(bytes.get(HEAD_BYTES..)) else {
            return Ok(None);
        };
        if head.kind != Kind::Data {
            return Ok(Some(Part::Frame(head, payload)));
        }
        let padding = payload.first().map_or(0, |&length| usize::from(length));
        let content = (head.length - payload.len()).checked_sub(padding);
        self.unread = Some(Unread {
            content: content.ok_or(Fault::protocol("more padding than payload"))?,
            padding,
        });
        Ok(Some(Part::Data(head)))
    }

    /// The bytes of the next frame (of DATA, those before its content), from the run itself if they
    /// lie there together.
    fn whole<'frame, 'run: 'frame>(
        carry: &'frame mut Vec<u8>,
        carry_used: &mut bool,
        run: &mut &'run [u8],
    ) -> Result<Option<&'frame [u8]>, Fault> {
        if carry.is_empty()
            && let Some((bytes, rest)) = run.split_at_checked(needed(run)?)
        {
            *run = rest;
            return Ok(Some(bytes));
        }
        loop {
            let missing = needed(carry)? - carry.len();
            if missing == 0 {
                *carry_used = true;
                return Ok(Some(carry));
            }
            let (bytes, rest) = run.split_at(missing.min(run.len()));
            carry.extend_from_slice(bytes);
            *run = rest;
            if bytes.len() < missing {
                return Ok(None);
            }
        }
    }

    /// A piece of a DATA frame. Padding is skipped: its content is of no interest (§6.1 lets a
    /// recipient not look).
    fn content<'run>(
        &mut self,
        unread: Unread,
        run: &mut &'run [u8],
    ) -> Option<Part<'static, 'run>> {
        let (bytes, rest) = run.split_at(unread.content.min(run.len()));
        let padding = unread.padding.min(rest.len());
        *run = &rest[padding..];
        let left = Unread {
            content: unread.content - bytes.len(),
            padding: unread.padding - padding,
        };
        let last = left.content == 0 && left.padding == 0;
        if !last {
            self.unread = Some(left);
        }
        (last || !bytes.is_empty()).then_some(Part::Content { bytes, last })
    }
}

/// How many bytes belong together at the beginning of `bytes`; more are asked for until enough are
/// there to tell.
fn needed(bytes: &[u8]) -> Result<usize, Fault> {
    let Some(head) = Head::read(bytes) else {
        return Ok(HEAD_BYTES);
    };
    // §4.2.
    if head.length > FRAME_BYTES_MAX {
        return Err(Fault::frame_size("a frame longer than was allowed"));
    }
    match head.kind {
        Kind::Data if !head.has(flag::PADDED) => Ok(HEAD_BYTES),
        Kind::Data if head.length == 0 => {
            Err(Fault::frame_size("no room for the length of the padding"))
        }
        Kind::Data => Ok(HEAD_BYTES + 1),
        _ => Ok(HEAD_BYTES + head.length),
    }
}

/// Appends the head of a frame; `kind` as in §6.
pub(crate) fn push_head(out: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, length: usize) {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind as u8, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a frame whose payload are numbers: RST_STREAM, WINDOW_UPDATE, GOAWAY.
pub(crate) fn push_numbers(out: &mut Vec<u8>, kind: Kind, stream: u32, numbers: &[u32]) {
    push_head(out, kind, 0, stream, 4 * numbers.len());
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Appends a field block as HEADERS and as many CONTINUATIONs as it takes (§6.2, §6.10).
pub(crate) fn push_block(out: &mut Vec<u8>, stream: u32, block: &[u8], ends: bool, most: usize) {
    let mut kind = Kind::Headers;
    let mut flags = if ends { flag::END_STREAM } else { 0 };
    let mut rest = block;
    loop {
        let (part, after) = rest.split_at(most.min(rest.len()));
        if after.is_empty() {
            flags |= flag::END_HEADERS;
        }
        push_head(out, kind, flags, stream, part.len());
        out.extend_from_slice(part);
        if after.is_empty() {
            return;
        }
        (kind, flags, rest) = (Kind::Continuation, 0, after);
    }
}

/// Reads a number of 31 bits; the highest bit is reserved.
pub(crate) fn number31(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of `bytes`, cut at every `step`: frames with payloads, content joined.
    fn cut(bytes: &[u8], step: usize) -> Result<Vec<(Head, Vec<u8>)>, Fault> {
        let (mut frames, mut got) = (Frames::default(), Vec::new());
        for mut run in bytes.chunks(step) {
            while let Some(part) = frames.next(&mut run)? {
                match part {
                    Part::Frame(head, payload) => got.push((head, payload.to_vec())),
                    Part::Data(head) => got.push((head, Vec::new())),
                    Part::Content { bytes, .. } => {
                        got.last_mut().expect("its head").1.extend_from_slice(bytes);
                    }
                }
            }
            assert!(run.is_empty());
        }
        assert!(frames.unread.is_none() && (frames.carry.is_empty() || frames.carry_used));
        Ok(got)
    }

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        push_head(&mut out, Kind::Settings, 0, 0, 6);
        out.extend([0, 4, 0, 1, 0, 0]);
        push_block(&mut out, 1, &[7; 20], false, 9);
        push_head(&mut out, Kind::Data, 0, 1, 5);
        out.extend(b"hello");
        push_head(&mut out, Kind::Data, flag::PADDED, 1, 6);
        out.extend(b"\x03hi000");
        push_head(&mut out, Kind::Data, flag::PADDED | flag::END_STREAM, 1, 1);
        out.extend([0]);
        push_head(&mut out, Kind::Data, 0, 3, 0);
        push_numbers(&mut out, Kind::WindowUpdate, 1, &[5]);
        out
    }

    #[test]
    fn rfc9113_4_1_frames_are_the_same_wherever_they_are_split() {
        let bytes = sample();
        let whole = cut(&bytes, bytes.len()).expect("frames");
        let kinds: Vec<_> = whole.iter().map(|(head, _)| head.kind).collect();
        let (continuation, data) = (Kind::Continuation, Kind::Data);
        let expected = [Kind::Settings, Kind::Headers, continuation, continuation];
        assert_eq!(kinds[..4], expected);
        assert_eq!(kinds[4..], [data, data, data, data, Kind::WindowUpdate]);
        let contents: Vec<_> = whole[4..8]
            .iter()
            .map(|(_, content)| &content[..])
            .collect();
        assert_eq!(contents, [&b"hello"[..], b"hi", b"", b""]);
        assert!(whole[3].0.has(flag::END_HEADERS) && !whole[2].0.has(flag::END_HEADERS));
        for step in 1..bytes.len() {
            assert_eq!(cut(&bytes, step).as_ref(), Ok(&whole), "{step}");
        }
    }

    #[test]
    fn rfc9113_4_2_a_frame_that_is_too_long_is_refused_at_its_head() {
        let mut out = Vec::new();
        push_head(&mut out, Kind::Unknown, 0, 0, FRAME_BYTES_MAX + 1);
        assert_eq!(
            cut(&out, 1).expect_err("too long").code,
            super::super::ErrorCode::FrameSize
        );
        assert_eq!(cut(&out, 9), cut(&out, 1));
    }

    #[test]
    fn rfc9113_6_1_padding_cannot_be_longer_than_the_frame() {
        let padded = |length: usize, padding: u8| {
            let mut out = Vec::new();
            push_head(&mut out, Kind::Data, flag::PADDED, 1, length);
            out.push(padding);
            out.resize(HEAD_BYTES + length.max(1), 0);
            cut(&out, out.len()).map(drop)
        };
        assert_eq!(padded(4, 3), Ok(()));
        assert!(padded(4, 4).is_err() && padded(0, 0).is_err());
        let head = |flags, length| Head {
            kind: Kind::Headers,
            flags,
            stream: 1,
            length,
        };
        let both = head(flag::PADDED | flag::PRIORITY, 8);
        assert_eq!(both.block(&[1, 0, 0, 0, 0, 0, 9, 0]), Ok(&[9][..]));
        assert!(both.block(&[3, 0, 0, 0, 0, 0, 9, 0]).is_err());
        assert!(both.block(&[]).is_err() && both.block(&[8, 0, 0]).is_err());
    }
}
