//! The message model: heads as ranges into the bytes they were read from.
//!
//! [`RequestHead`] and [`ResponseHead`] are storage: a caller keeps one per connection side and
//! has it filled again and again, so that in steady state nothing is allocated. [`Request`] and
//! [`Response`] are `Copy` views of a filled head together with its bytes; every accessor is a
//! slice of these bytes, except a path that had to be normalised, which lives in the head.
//!
//! ```text
//!   bytes   POST /a/../b?x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}
//!   head    method = Post, path = "/b" (own copy), query = 13..14, fields = [...], body = Sized(2)
//! ```
//!
//! Must stay true: a view is made with the bytes its head was filled from. Nothing here is
//! specific to HTTP/1: an HTTP/2 reader writes names and values into one run and fills the same
//! model.

use std::time::Duration;

use super::field::{Field, FieldLine, FieldName};
use super::framing::{BodyLength, FramingError};
use super::h1::Progress;
use super::target::{PathText, Target, TargetError, TargetForm};
use super::{Method, Scheme, Version};

/// A range of a head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The range of `len` bytes from `start`. Heads are far below 4 GiB (`HEAD_BYTES_MAX`).
    pub(crate) fn new(start: usize, len: usize) -> Self {
        debug_assert!(start.saturating_add(len) <= u32::MAX as usize);
        Self {
            start: start as u32,
            len: len as u32,
        }
    }

    /// The range that `part`, a slice of `whole`, covers.
    pub(crate) fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        debug_assert!(start.saturating_add(part.len()) <= whole.len());
        Self::new(start, part.len())
    }

    /// Does `text` stand directly before this range?
    #[inline]
    pub(crate) fn is_after(self, text: &[u8], bytes: &[u8]) -> bool {
        bytes
            .get(..self.start as usize)
            .is_some_and(|before| before.ends_with(text))
    }

    /// The first byte of the range, as an index.
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    /// The index after the range.
    pub(crate) fn end(self) -> usize {
        (self.start as usize).saturating_add(self.len as usize)
    }

    /// The bytes of this range; empty if the range is not inside `bytes`.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// Why a head is refused. After any of these the connection cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The request or status line does not follow the grammar.
    Line,
    /// A line ends in a bare LF or CR, or more than a few empty lines precede the head.
    LineEnd,
    /// A field name is empty, holds a byte that is no token character, is followed by
    /// whitespace, or the line is folded.
    FieldName,
    /// A field value holds a control character.
    FieldValue,
    /// A well-formed version that is neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// The request line exceeds its limit.
    LineTooLong,
    /// The head exceeds its limit in bytes.
    HeadTooLarge,
    /// The head has more fields than allowed.
    TooManyFields,
    /// `Connection` is not a list of tokens, or names too many fields; or a 101 response does not
    /// say what it switches to.
    Connection,
    /// `Expect` asks for something other than `100-continue`.
    Expectation,
    /// The request target or `Host`.
    Target(TargetError),
    /// The length of the body is ambiguous or unknown.
    Framing(FramingError),
}

impl HeadError {
    /// The status that answers a request refused for this reason. A response refused for it is
    /// always answered 502.
    pub fn status(self) -> u16 {
        match self {
            Self::Line
            | Self::LineEnd
            | Self::FieldName
            | Self::FieldValue
            | Self::Connection
            | Self::Target(_) => 400,
            // RFC 9110 §15.5.15.
            Self::LineTooLong => 414,
            // RFC 9110 §15.5.18.
            Self::Expectation => 417,
            // RFC 6585 §5.
            Self::HeadTooLarge | Self::TooManyFields => 431,
            // RFC 9110 §15.6.6.
            Self::Version => 505,
            Self::Framing(error) => error.status(),
        }
    }

    /// A metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::LineEnd => "line_end",
            Self::FieldName => "field_name",
            Self::FieldValue => "field_value",
            Self::Version => "version",
            Self::LineTooLong => "line_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyFields => "too_many_fields",
            Self::Connection => "connection",
            Self::Expectation => "expectation",
            Self::Target(error) => error.label(),
            Self::Framing(error) => error.label(),
        }
    }
}

impl From<TargetError> for HeadError {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

impl From<FramingError> for HeadError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

/// Storage for one request head; reused from request to request.
#[derive(Debug, Default)]
pub struct RequestHead {
    pub(super) method: Method,
    pub(super) method_span: Span,
    pub(super) version: Version,
    pub(super) target: Target,
    /// The normalised path, when it differs from the received one.
    pub(super) path: Vec<u8>,
    pub(super) fields: Vec<FieldLine>,
    pub(super) body: BodyLength,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) upgrade: Option<Span>,
    pub(super) max_forwards: Option<u32>,
    pub(super) progress: Progress,
}

impl RequestHead {
    /// Empty storage; allocates on first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the request and any partly read head; keeps the storage.
    pub fn clear(&mut self) {
        let Self {
            mut path,
            mut fields,
            ..
        } = std::mem::take(self);
        path.clear();
        fields.clear();
        self.path = path;
        self.fields = fields;
    }

    /// The request in this head. `bytes` are those the head was read from, from their start.
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> Request<'a> {
        Request { head: self, bytes }
    }
}

/// A request: a filled head and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(super) head: &'a RequestHead,
    pub(super) bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// The method.
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// The method as received.
    pub fn method_bytes(&self) -> &'a [u8] {
        self.head.method_span.of(self.bytes)
    }

    /// The version the request arrived in.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The form of the request target.
    pub fn target_form(&self) -> TargetForm {
        self.head.target.form
    }

    /// The request target as received; for logs only.
    pub fn target(&self) -> &'a [u8] {
        self.head.target.raw.of(self.bytes)
    }

    /// The normalised path: what routing, policy and the upstream see. `*` for the asterisk form,
    /// empty for `CONNECT`.
    pub fn path(&self) -> &'a [u8] {
        match self.head.target.path {
            PathText::Received(span) => span.of(self.bytes),
            PathText::Normalised => &self.head.path,
            PathText::Root => b"/",
            PathText::Asterisk => b"*",
            PathText::Absent => b"",
        }
    }

    /// What follows `?`, without it; as received.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.head.target.query.map(|span| span.of(self.bytes))
    }

    /// `host[:port]` of the target, else of `Host`; RFC 9112 §3.2.2. Empty only for an HTTP/1.0
    /// request without `Host`.
    pub fn authority(&self) -> &'a [u8] {
        self.head.target.authority.whole.of(self.bytes)
    }

    /// The host without its port, in the case received; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &'a [u8] {
        self.head.target.authority.host.of(self.bytes)
    }

    /// The port, if the authority names one.
    pub fn port(&self) -> Option<u16> {
        self.head.target.authority.port
    }

    /// The scheme, if the target names one.
    pub fn scheme(&self) -> Option<Scheme> {
        self.head.target.scheme
    }

    /// All received field lines in order, hop-by-hop ones too.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(&self.head.fields, self.bytes)
    }

    /// The value of the first field line of this name.
    pub fn field(&self, name: FieldName) -> Option<&'a [u8]> {
        self.fields().first(name)
    }

    /// The value of the first field line with this name, in any case.
    pub fn field_by_name(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields().first_by_name(name)
    }

    /// How the body is delimited; never [`BodyLength::UntilClose`].
    pub fn body(&self) -> BodyLength {
        self.head.body
    }

    /// May another request follow on this connection? RFC 9112 §9.3.
    pub fn keep_alive(&self) -> bool {
        self.head.keep_alive
    }

    /// Does the client wait for a 100 response before it sends the body? RFC 9110 §10.1.1.
    pub fn expects_continue(&self) -> bool {
        self.head.expects_continue
    }

    /// The protocol the client wants to switch to, when that may be forwarded: HTTP/1.1,
    /// `Connection: upgrade`, one protocol, not h2c, no body. RFC 9110 §7.8.
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        self.head.upgrade.map(|span| span.of(self.bytes))
    }

    /// `Max-Forwards` of a TRACE or OPTIONS request; RFC 9110 §7.6.2. At 0 the proxy answers
    /// itself.
    pub fn max_forwards(&self) -> Option<u32> {
        self.head.max_forwards
    }
}

/// Storage for one response head; reused from response to response.
#[derive(Debug, Default)]
pub struct ResponseHead {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) reason: Span,
    pub(super) fields: Vec<FieldLine>,
    pub(super) body: BodyLength,
    /// `Content-Length` of a response whose body is absent by rule (HEAD, 304).
    pub(super) described_length: Option<u64>,
    pub(super) keep_alive: bool,
    pub(super) keep_alive_timeout: Option<u32>,
    pub(super) upgrade: Option<Span>,
    pub(super) progress: Progress,
}

impl ResponseHead {
    /// Empty storage; allocates on first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the response and any partly read head; keeps the storage.
    pub fn clear(&mut self) {
        let Self { mut fields, .. } = std::mem::take(self);
        fields.clear();
        self.fields = fields;
    }

    /// The response in this head. `bytes` are those the head was read from, from their start.
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> Response<'a> {
        Response { head: self, bytes }
    }
}

/// A response: a filled head and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub(super) head: &'a ResponseHead,
    pub(super) bytes: &'a [u8],
}

impl<'a> Response<'a> {
    /// The version the response arrived in.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The status code, 100 to 999.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The reason phrase as received; may be empty.
    pub fn reason(&self) -> &'a [u8] {
        self.head.reason.of(self.bytes)
    }

    /// Does another response to the same request follow? True for 1xx except 101.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.head.status) && !self.is_switch()
    }

    /// 101: the connection changes protocol. The caller checks that the request asked for it.
    pub fn is_switch(&self) -> bool {
        self.head.status == 101
    }

    /// The protocol of a 101 response.
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        self.head.upgrade.map(|span| span.of(self.bytes))
    }

    /// All received field lines in order, hop-by-hop ones too.
    pub fn fields(&self) -> Fields<'a> {
        Fields::new(&self.head.fields, self.bytes)
    }

    /// The field lines that do not end at this hop, in order (RFC 9110 §7.6.1).
    pub fn forwarded_fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let lines = self.head.fields.iter().zip(self.fields());
        lines
            .filter(|(line, _)| line.forward)
            .map(|(_, field)| field)
    }

    /// The value of the first field line of this name.
    pub fn field(&self, name: FieldName) -> Option<&'a [u8]> {
        self.fields().first(name)
    }

    /// The value of the first field line with this name, in any case.
    pub fn field_by_name(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields().first_by_name(name)
    }

    /// How the body is delimited.
    pub fn body(&self) -> BodyLength {
        self.head.body
    }

    /// The length that a response to HEAD or a 304 says its body would have.
    pub fn described_length(&self) -> Option<u64> {
        self.head.described_length
    }

    /// May the connection carry another request after this response? RFC 9112 §9.3.
    pub fn keep_alive(&self) -> bool {
        self.head.keep_alive
    }

    /// `Keep-Alive: timeout=N`: how long the peer keeps the connection when idle.
    pub fn keep_alive_timeout(&self) -> Option<Duration> {
        self.head
            .keep_alive_timeout
            .map(|seconds| Duration::from_secs(u64::from(seconds)))
    }
}

/// The field lines of a head, in the order received.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    lines: std::slice::Iter<'a, FieldLine>,
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(lines: &'a [FieldLine], bytes: &'a [u8]) -> Self {
        Self {
            lines: lines.iter(),
            bytes,
        }
    }

    fn first(mut self, name: FieldName) -> Option<&'a [u8]> {
        let line = self.lines.find(|line| line.name == name)?;
        Some(line.value.of(self.bytes))
    }

    fn first_by_name(mut self, name: &[u8]) -> Option<&'a [u8]> {
        self.find(|field| field.name_bytes.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.lines.next().map(|line| Field {
            name: line.name,
            name_bytes: line.name_span.of(self.bytes),
            value: line.value.of(self.bytes),
        })
    }
}
