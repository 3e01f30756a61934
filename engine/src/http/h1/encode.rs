//! Message heads as bytes: what is sent upstream, what is sent downstream, what the proxy says
//! itself.

use crate::http::{BodyLength, FieldEdits, Forwarded, Request, Response};

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
pub fn request(out: &mut Vec<u8>, request: &Request<'_>, edits: &RequestEdits<'_>) {
    let _ = (out, request, edits);
    unimplemented!()
}

/// Writes the head of a response for the client.
pub fn response(out: &mut Vec<u8>, response: &Response<'_>, edits: &ResponseEdits<'_>) {
    let _ = (out, response, edits);
    unimplemented!()
}

/// Writes a whole response of the proxy's own.
pub fn local_reply(out: &mut Vec<u8>, reply: &LocalReply<'_>) {
    let _ = (out, reply);
    unimplemented!()
}

/// Writes `HTTP/1.1 100 Continue`.
pub fn interim_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}
