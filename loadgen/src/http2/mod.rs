//! HTTP/2 as the generator and its origin need it: bytes in, events and bytes out.
//!
//! Written from RFC 9113 and RFC 7541 alone, as `http1` is from its RFC: a judge that shares a
//! parser with what it judges shares the bug. No sockets, no clock, no tasks; [`Connection`] takes
//! received bytes, split anywhere, and gives [`Event`]s; what is to be sent gathers in it.
//!
//! ```text
//!   bytes ─> frame ─> connection ─> hpack, fields ─> Event
//!                        │ streams, windows
//!   bytes <── sending <──┘
//! ```
//!
//! Strict: a frame that breaks the RFC is a [`Fault`] of the whole connection, a message that
//! breaks it an event of its stream, never a guess. Every buffer and count that the peer can make
//! grow has a limit here. In steady state nothing allocates: fields, blocks and streams live in
//! memory that is used again.
//!
//! Deliberately missing: push (announced as not wanted), priorities (read and ignored, as RFC 9113
//! §5.3.2 allows), CONNECT, and the dynamic table of the encoder: requests are encoded once and
//! each costs its target the same.
//!
//! [`Connection`]: connection::Connection
//! [`Event`]: connection::Event

pub(crate) mod connection;
pub(crate) mod fields;
pub(crate) mod frame;
pub(crate) mod hpack;
pub(crate) mod sending;
pub(crate) mod settings;
pub(crate) mod streams;
pub(crate) mod window;

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest frame payload that is accepted: the initial SETTINGS_MAX_FRAME_SIZE, which is never
/// raised (RFC 9113 §6.5.2).
pub(crate) const FRAME_BYTES_MAX: usize = 16_384;
/// The longest field block that is accepted, over all its frames, and the most that its fields may
/// add up to, each with 32 bytes for itself (RFC 9113 §6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE).
pub(crate) const FIELDS_BYTES_MAX: usize = 64 * 1024;
/// Frames of one field block: without a limit, empty CONTINUATION frames could go on for ever.
pub(crate) const BLOCK_FRAMES_MAX: u32 = 64;

/// Why a connection or stream ends (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ErrorCode {
    /// Nothing is wrong.
    NoError = 0x0,
    /// A rule was broken for which there is no better code.
    Protocol = 0x1,
    /// Something went wrong that is not the peer's fault.
    Internal = 0x2,
    /// More was sent than a window allowed.
    FlowControl = 0x3,
    /// A frame came for a stream that is over.
    StreamClosed = 0x5,
    /// A frame has a length that it cannot have.
    FrameSize = 0x6,
    /// The stream was not looked at and may be tried again.
    RefusedStream = 0x7,
    /// The stream is not wanted any more.
    Cancel = 0x8,
    /// A field block cannot be decoded.
    Compression = 0x9,
    /// The peer asks for more than it may.
    EnhanceYourCalm = 0xb,
}

/// The peer broke a rule that ends the connection (RFC 9113 §5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The code to end it with.
    pub code: ErrorCode,
    /// What was wrong, in a few words.
    pub why: &'static str,
}

impl Fault {
    const fn new(code: ErrorCode, why: &'static str) -> Self {
        Self { code, why }
    }

    const fn protocol(why: &'static str) -> Self {
        Self::new(ErrorCode::Protocol, why)
    }

    const fn frame_size(why: &'static str) -> Self {
        Self::new(ErrorCode::FrameSize, why)
    }

    const fn compression(why: &'static str) -> Self {
        Self::new(ErrorCode::Compression, why)
    }

    const fn flow_control(why: &'static str) -> Self {
        Self::new(ErrorCode::FlowControl, why)
    }

    const fn calm(why: &'static str) -> Self {
        Self::new(ErrorCode::EnhanceYourCalm, why)
    }
}
