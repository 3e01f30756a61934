//! Message heads as bytes: what is sent upstream, what is sent downstream, what the proxy says
//! itself.
//!
//! A forwarded head is the received one without the fields that ended at this hop, framed by the
//! proxy: `Host`, `Content-Length`, `Transfer-Encoding` and `Connection` are always written from
//! what was understood, never copied. What the configuration edits wins over what the proxy would
//! add. Must stay true: what is written here, read again, has the same reading.

use super::digits::{DECIMAL_BYTES, decimal, three, write_address};
use crate::http::field::FieldLine;
use crate::http::forwarded::trusted_entries;
use crate::http::{
    BodyLength, FieldEdits, FieldName, FieldPatterns, Forwarded, Request, Response, TargetForm,
    Version, reason,
};

/// What changes when a request is forwarded. The default forwards it as received, without
/// hop-by-hop fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestEdits<'a> {
    /// The request target (`path[?query]`) instead of the received one.
    pub target: Option<&'a [u8]>,
    /// `Host` instead of the received authority.
    pub host: Option<&'a [u8]>,
    /// Field edits, applied in this order.
    pub fields: &'a [&'a FieldEdits],
    /// `X-Forwarded-*`; `None` passes what was received.
    pub forwarded: Option<Forwarded>,
    /// An entry of `X-Forwarded-Client-Cert`, after those that are kept.
    pub client_certificate: Option<&'a [u8]>,
    /// The name of this proxy in `Via`; `None` adds no entry.
    pub via: Option<&'a [u8]>,
    /// Replaces any received `X-Request-Id`; `None` passes what was received.
    pub request_id: Option<&'a [u8]>,
    /// Forward [`Request::upgrade`].
    pub upgrade: bool,
    /// Tell the upstream to close afterwards.
    pub close: bool,
    /// How the body is framed, if not as received.
    pub body: Option<BodyLength>,
}

/// What a response says about the connection to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionReply {
    /// Nothing: an HTTP/1.1 connection persists.
    #[default]
    Persist,
    /// `Connection: keep-alive`, for an HTTP/1.0 client.
    KeepAlive,
    /// `Connection: close`.
    Close,
    /// `Connection: upgrade` with the response's `Upgrade`; 101 only.
    Upgrade,
}

/// What becomes of `Server`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerPolicy<'a> {
    /// As the upstream sent it.
    #[default]
    Pass,
    /// As the upstream sent it, else this.
    Default(&'a [u8]),
    /// Always this.
    Replace(&'a [u8]),
    /// Never any.
    Remove,
}

/// What changes when a response is forwarded.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseEdits<'a> {
    /// Field edits, applied in this order.
    pub fields: &'a [&'a FieldEdits],
    /// What is said about the connection.
    pub connection: ConnectionReply,
    /// The name of this proxy in `Via`; `None` adds no entry.
    pub via: Option<&'a [u8]>,
    /// `Date`, for a response without one.
    pub date: Option<&'a [u8]>,
    /// What becomes of `Server`.
    pub server: ServerPolicy<'a>,
    /// Replaces any received `X-Request-Id`; `None` passes what was received.
    pub request_id: Option<&'a [u8]>,
    /// A `Set-Cookie` beside those received.
    pub set_cookie: Option<&'a [u8]>,
    /// How the body is framed, if not as received.
    pub body: Option<BodyLength>,
}

/// A response the proxy makes itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalReply<'a> {
    /// The status code.
    pub status: u16,
    /// The body; not sent for HEAD requests, but its length is told.
    pub body: &'a [u8],
    /// `Content-Type` of the body; empty for `text/plain; charset=utf-8`.
    pub content_type: &'a [u8],
    /// More fields: names and values that are valid.
    pub fields: &'a [(&'a [u8], &'a [u8])],
    /// Field edits, applied in this order.
    pub edits: &'a [&'a FieldEdits],
    /// What is said about the connection.
    pub connection: ConnectionReply,
    /// `Date`.
    pub date: Option<&'a [u8]>,
    /// `Server`.
    pub server: Option<&'a [u8]>,
    /// `X-Request-Id`.
    pub request_id: Option<&'a [u8]>,
    /// The request was HEAD.
    pub head_only: bool,
}

/// Writes the head of a request for the upstream.
///
/// *Input*: bytes in `edits` are valid for their place: they come from checked configuration or
/// from a parsed head.
/// *Output*: `Host` first (RFC 9110 §7.2), the forwarded fields as received, then what the proxy
/// adds. Always HTTP/1.1 (RFC 9112 §2.3).
/// *Cost*: no allocation if `out` has room.
pub fn request(out: &mut Vec<u8>, request: &Request<'_>, edits: &RequestEdits<'_>) {
    begin_request(out, request, edits.target);
    let host = edits.host.unwrap_or_else(|| request.authority());
    write_line(out, b"Host: ", host);

    let is_replaced = |line: &FieldLine| {
        replaced_by_rule(line.name, request, edits)
            || replaced(edits.fields, line.name, line.name_span.of(request.bytes))
    };
    copy_fields(out, &request.head.fields, request.bytes, is_replaced);

    write_added(out, request, edits);
    if let Some(hops) = request.max_forwards() {
        // RFC 9110 §7.6.2. At 0 the proxy answers instead of forwarding.
        let mut digits = [0; DECIMAL_BYTES];
        let hops = decimal(&mut digits, u64::from(hops.saturating_sub(1)));
        write_line(out, b"Max-Forwards: ", hops);
    }
    write_edits(out, edits.fields);
    match edits.body.unwrap_or_else(|| request.body()) {
        BodyLength::None => {}
        BodyLength::Sized(length) => write_length(out, length),
        BodyLength::Chunked | BodyLength::UntilClose => write_chunked(out),
    }
    match request.upgrade() {
        Some(protocol) if edits.upgrade => {
            write_line(out, b"Connection: ", b"upgrade");
            write_line(out, b"Upgrade: ", protocol);
        }
        _ if edits.close => write_line(out, b"Connection: ", b"close"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a request that asks about another one: its method, its target (or the edited
/// one) and, of its fields, those that `asked` has; with what the proxy adds for an upstream, and
/// without a body.
///
/// `Max-Forwards` is never in it: whoever it ends at would answer for itself (RFC 9110 §7.6.2).
///
/// *Input*, *Cost*: as for [`request`].
pub fn inquiry(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    edits: &RequestEdits<'_>,
    asked: &FieldPatterns,
) {
    begin_request(out, request, edits.target);
    write_line(out, b"Host: ", request.authority());
    let is_left_out = |line: &FieldLine| {
        let name_bytes = line.name_span.of(request.bytes);
        let is_told = edits.forwarded.is_some_and(|it| it.tells(line.name));
        !(is_told || asked.has(line.name, name_bytes))
            // RFC 9110 §10.1.1: there is no content that could be expected.
            || matches!(line.name, FieldName::MaxForwards | FieldName::Expect)
            || replaced_by_rule(line.name, request, edits)
            || replaced(edits.fields, line.name, name_bytes)
    };
    copy_fields(out, &request.head.fields, request.bytes, is_left_out);
    write_added(out, request, edits);
    write_edits(out, edits.fields);
    // RFC 9110 §8.6: also for methods that are expected to have content.
    write_length(out, 0);
    out.extend_from_slice(b"\r\n");
}

/// Makes room for a request's head, and writes its first line (RFC 9112 §3).
fn begin_request(out: &mut Vec<u8>, request: &Request<'_>, target: Option<&[u8]>) {
    out.reserve(request.bytes.len().saturating_add(ADDED_BYTES));
    out.extend_from_slice(request.method_bytes());
    out.push(b' ');
    match target {
        Some(target) => out.extend_from_slice(target),
        None => write_target(out, request),
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Writes the head of a response for the client.
///
/// *Input*: as for [`request`].
/// *Output*: always HTTP/1.1, also to an HTTP/1.0 client (RFC 9110 §6.2).
/// *Cost*: no allocation if `out` has room.
pub fn response(out: &mut Vec<u8>, response: &Response<'_>, edits: &ResponseEdits<'_>) {
    out.reserve(response.bytes.len().saturating_add(ADDED_BYTES));
    write_status(out, response.status(), response.reason());

    let is_replaced = |line: &FieldLine| {
        let by_rule = match line.name {
            FieldName::Server => edits.server.replaces(),
            FieldName::XRequestId => edits.request_id.is_some(),
            _ => false,
        };
        by_rule || replaced(edits.fields, line.name, line.name_span.of(response.bytes))
    };
    copy_fields(out, &response.head.fields, response.bytes, is_replaced);

    let adding = Adding {
        edits: edits.fields,
    };
    if !response.is_interim() {
        // RFC 9110 §6.6.1: a recipient with a clock adds what is missing.
        match edits.date {
            Some(date) if response.field(FieldName::Date).is_none() => {
                adding.field(out, FieldName::Date, b"Date: ", date);
            }
            _ => {}
        }
        let has_server = response.field(FieldName::Server).is_some();
        if let Some(server) = edits.server.written(has_server) {
            adding.field(out, FieldName::Server, b"Server: ", server);
        }
        if let Some(id) = edits.request_id {
            adding.field(out, FieldName::XRequestId, b"X-Request-Id: ", id);
        }
        if let Some(cookie) = edits.set_cookie {
            adding.field(out, FieldName::SetCookie, b"Set-Cookie: ", cookie);
        }
        if let Some(pseudonym) = edits.via {
            write_via(out, response.version(), pseudonym);
        }
    }
    write_edits(out, edits.fields);
    match edits.body.unwrap_or_else(|| response.body()) {
        BodyLength::None => {
            // HEAD and 304: the length that the body would have had.
            if let Some(length) = response.described_length() {
                write_length(out, length);
            }
        }
        BodyLength::Sized(length) => write_length(out, length),
        BodyLength::Chunked => write_chunked(out),
        BodyLength::UntilClose => {}
    }
    if !response.is_interim() {
        write_connection(out, edits.connection, response.upgrade());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a whole response of the proxy's own, with its body.
///
/// *Cost*: no allocation if `out` has room.
pub fn local_reply(out: &mut Vec<u8>, reply: &LocalReply<'_>) {
    write_status(out, reply.status, reason(reply.status).as_bytes());
    // RFC 9110 §8.6 and §15: these have no body and tell no length.
    let has_body = !matches!(reply.status, 100..=199 | 204 | 304);
    let adding = Adding { edits: reply.edits };
    if let Some(date) = reply.date {
        adding.field(out, FieldName::Date, b"Date: ", date);
    }
    if let Some(server) = reply.server {
        adding.field(out, FieldName::Server, b"Server: ", server);
    }
    if let Some(id) = reply.request_id {
        adding.field(out, FieldName::XRequestId, b"X-Request-Id: ", id);
    }
    if has_body && !reply.body.is_empty() {
        let text = match reply.content_type {
            b"" => b"text/plain; charset=utf-8",
            other => other,
        };
        adding.field(out, FieldName::ContentType, b"Content-Type: ", text);
    }
    for (name, value) in reply.fields {
        if !replaced(reply.edits, FieldName::recognise(name), name) {
            write_field(out, name, value);
        }
    }
    write_edits(out, reply.edits);
    if has_body {
        write_length(out, reply.body.len() as u64);
    }
    write_connection(out, reply.connection, None);
    out.extend_from_slice(b"\r\n");
    if has_body && !reply.head_only {
        out.extend_from_slice(reply.body);
    }
}

/// Writes `HTTP/1.1 100 Continue`.
pub fn interim_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Room for what the proxy adds to a head, in bytes; more only costs a growth of the buffer.
const ADDED_BYTES: usize = 512;

impl<'a> ServerPolicy<'a> {
    /// Is a received `Server` taken out?
    fn replaces(self) -> bool {
        matches!(self, Self::Replace(_) | Self::Remove)
    }

    /// What is written, given that a received one is there or not.
    fn written(self, is_received: bool) -> Option<&'a [u8]> {
        match self {
            Self::Replace(server) => Some(server),
            Self::Default(server) if !is_received => Some(server),
            Self::Default(_) | Self::Pass | Self::Remove => None,
        }
    }
}

/// Fields the proxy adds itself, unless the configuration edits the same name.
struct Adding<'a> {
    edits: &'a [&'a FieldEdits],
}

impl Adding<'_> {
    /// *Input*: `start`: how the line of `name` begins, up to its value.
    #[inline]
    fn field<const N: usize>(
        &self,
        out: &mut Vec<u8>,
        name: FieldName,
        start: &[u8; N],
        value: &[u8],
    ) {
        debug_assert_eq!(start.strip_suffix(b": "), Some(name.spelling().as_bytes()));
        if self.is_free(name) {
            write_line(out, start, value);
        }
    }

    fn is_free(&self, name: FieldName) -> bool {
        !replaced(self.edits, name, name.spelling().as_bytes())
    }
}

/// Do edits take out lines of this name?
#[inline]
fn replaced(edits: &[&FieldEdits], name: FieldName, name_bytes: &[u8]) -> bool {
    edits.iter().any(|edits| edits.replaces(name, name_bytes))
}

/// Does the proxy write a field of this name itself?
#[inline]
fn replaced_by_rule(name: FieldName, request: &Request<'_>, edits: &RequestEdits<'_>) -> bool {
    match name {
        FieldName::XRequestId => edits.request_id.is_some(),
        FieldName::MaxForwards => request.max_forwards().is_some(),
        FieldName::XForwardedFor
        | FieldName::XForwardedProto
        | FieldName::XForwardedHost
        | FieldName::XForwardedClientCert
        | FieldName::XForwardedOther
        | FieldName::Forwarded
        | FieldName::XRealIp => edits
            .forwarded
            .is_some_and(|forwarded| forwarded.replaces(name, request)),
        _ => false,
    }
}

/// Copies the forwarded field lines, names in the case received.
///
/// Lines that stand as `name: value CRLF` are copied as they are, neighbours in one go.
fn copy_fields(
    out: &mut Vec<u8>,
    lines: &[FieldLine],
    bytes: &[u8],
    is_replaced: impl Fn(&FieldLine) -> bool,
) {
    let mut run = 0..0;
    for line in lines {
        if !line.forward || is_replaced(line) {
            continue;
        }
        let whole = line.name_span.start()..line.value.end().saturating_add(2);
        let is_plain = bytes.get(line.name_span.end()..line.value.start()) == Some(b": ")
            && bytes.get(line.value.end()..whole.end) == Some(b"\r\n");
        if is_plain && whole.start == run.end {
            run.end = whole.end;
            continue;
        }
        out.extend_from_slice(bytes.get(run).unwrap_or_default());
        run = 0..0;
        if is_plain {
            run = whole;
        } else {
            write_field(out, line.name_span.of(bytes), line.value.of(bytes));
        }
    }
    out.extend_from_slice(bytes.get(run).unwrap_or_default());
}

/// What was set and added; a later edit of the same name wins.
fn write_edits(out: &mut Vec<u8>, mut edits: &[&FieldEdits]) {
    while let Some((first, later)) = edits.split_first() {
        for edit in first.set.iter().chain(&first.add) {
            if !replaced(later, edit.name, &edit.name_bytes) {
                write_field(out, &edit.name_bytes, &edit.value);
            }
        }
        edits = later;
    }
}

/// What the proxy tells of itself and of the client.
fn write_added(out: &mut Vec<u8>, request: &Request<'_>, edits: &RequestEdits<'_>) {
    let adding = Adding {
        edits: edits.fields,
    };
    if let Some(forwarded) = &edits.forwarded {
        write_forwarded(out, request, forwarded, &adding);
    }
    if let Some(certificate) = edits.client_certificate {
        adding.field(
            out,
            FieldName::XForwardedClientCert,
            b"X-Forwarded-Client-Cert: ",
            certificate,
        );
    }
    if let Some(id) = edits.request_id {
        adding.field(out, FieldName::XRequestId, b"X-Request-Id: ", id);
    }
    if let Some(pseudonym) = edits.via {
        write_via(out, request.version(), pseudonym);
    }
}

/// `X-Forwarded-For`, `-Proto` and `-Host`.
fn write_forwarded(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    forwarded: &Forwarded,
    adding: &Adding<'_>,
) {
    if adding.is_free(FieldName::XForwardedFor) {
        let before = out.len();
        out.extend_from_slice(b"X-Forwarded-For: ");
        let is_trusting = forwarded.trusted_hops > 0;
        let trusted = is_trusting.then(|| trusted_entries(request, forwarded.trusted_hops));
        for entry in trusted.into_iter().flatten() {
            out.extend_from_slice(entry);
            out.extend_from_slice(b", ");
        }
        match forwarded.client {
            Some(client) => {
                write_address(out, client);
                out.extend_from_slice(b"\r\n");
            }
            // A peer without an address adds nothing: the last entry ends the line.
            None if out.ends_with(b", ") => {
                out.truncate(out.len().saturating_sub(2));
                out.extend_from_slice(b"\r\n");
            }
            None => out.truncate(before),
        }
    }
    if !forwarded.believes(FieldName::XForwardedProto, request) {
        let scheme = forwarded.scheme.label().as_bytes();
        adding.field(
            out,
            FieldName::XForwardedProto,
            b"X-Forwarded-Proto: ",
            scheme,
        );
    }
    let host = request.authority();
    if !host.is_empty() && !forwarded.believes(FieldName::XForwardedHost, request) {
        adding.field(out, FieldName::XForwardedHost, b"X-Forwarded-Host: ", host);
    }
}

/// `Via` as a line of its own at the end, which appends to the list; RFC 9110 §7.6.3.
fn write_via(out: &mut Vec<u8>, received: Version, pseudonym: &[u8]) {
    let start = match received {
        Version::Http10 => b"Via: 1.0 ",
        Version::Http11 => b"Via: 1.1 ",
    };
    write_line(out, start, pseudonym);
}

/// The target in the form an origin server takes, RFC 9112 §3.2.1; `CONNECT` keeps its authority.
fn write_target(out: &mut Vec<u8>, request: &Request<'_>) {
    if request.target_form() == TargetForm::Authority {
        out.extend_from_slice(request.authority());
        return;
    }
    out.extend_from_slice(request.path());
    if let Some(query) = request.query() {
        out.push(b'?');
        out.extend_from_slice(query);
    }
}

/// What is said about the connection.
fn write_connection(out: &mut Vec<u8>, reply: ConnectionReply, protocol: Option<&[u8]>) {
    match reply {
        ConnectionReply::Persist => {}
        ConnectionReply::KeepAlive => write_line(out, b"Connection: ", b"keep-alive"),
        ConnectionReply::Close => write_line(out, b"Connection: ", b"close"),
        ConnectionReply::Upgrade => {
            write_line(out, b"Connection: ", b"upgrade");
            write_line(out, b"Upgrade: ", protocol.unwrap_or_default());
        }
    }
}

/// `HTTP/1.1 status reason`
fn write_status(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    debug_assert!((100..1000).contains(&status));
    let mut start = *b"HTTP/1.1 200 ";
    if let Some(digits) = start.get_mut(9..12) {
        digits.copy_from_slice(&three(status));
    }
    write_line(out, &start, reason);
}

fn write_length(out: &mut Vec<u8>, length: u64) {
    let mut digits = [0; DECIMAL_BYTES];
    write_line(out, b"Content-Length: ", decimal(&mut digits, length));
}

fn write_chunked(out: &mut Vec<u8>) {
    write_line(out, b"Transfer-Encoding: ", b"chunked");
}

/// `start value CRLF`, where `start` is a name known here with its colon: a copy of known length is
/// one or two instructions instead of a call.
#[inline]
fn write_line<const N: usize>(out: &mut Vec<u8>, start: &[u8; N], value: &[u8]) {
    out.extend_from_slice(start);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `name: value CRLF`
fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
