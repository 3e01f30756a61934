//! What a built-in origin answers.
//!
//! | path | answer |
//! |---|---|
//! | `/bytes/N` | 200 with N bytes |
//! | `/delay/MS` | the request told as JSON, after MS milliseconds |
//! | `/status/NNN` | that status (200 to 599), its name as the body |
//! | any other | the request told as JSON: endpoint, method, path, query, fields, body length |
//!
//! Every answer has a Content-Length. A request body is read to its end and counted. Memory per
//! request is bounded: large bodies are made of one static block.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde::Serialize;

/// Largest `/bytes/N`: more than any test needs, and far from overflowing.
const BYTES_MAX: u64 = 1 << 40;

/// Longest `/delay/MS`, in milliseconds: beyond the proxy's own timeouts there is nothing to see.
const DELAY_MS_MAX: u64 = 600_000;

/// A block of text that large bodies repeat.
static BLOCK: [u8; 64 << 10] = block();

/// The body of an answer.
pub(super) type Reply = Full<Content>;

/// Answers one request.
pub(super) async fn reply(name: &str, request: Request<Incoming>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let Some(body_bytes) = count(body).await else {
        return text(StatusCode::BAD_REQUEST, "the request body ended early\n");
    };
    let path = head.uri.path();
    let (verb, argument) = path[1.min(path.len())..]
        .split_once('/')
        .unwrap_or(("", ""));
    match verb {
        "bytes" => match argument.parse() {
            Ok(length) if length <= BYTES_MAX => bytes(length),
            _ => text(StatusCode::BAD_REQUEST, "/bytes/N: N is 0 to 2^40\n"),
        },
        "status" => match argument.parse().ok().and_then(final_status) {
            Some(status) => text(status, &format!("{status}\n")),
            None => text(StatusCode::BAD_REQUEST, "/status/NNN: NNN is 200 to 599\n"),
        },
        "delay" => match argument.parse() {
            Ok(millis) if millis <= DELAY_MS_MAX => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                told(name, &head, body_bytes)
            }
            _ => text(StatusCode::BAD_REQUEST, "/delay/MS: MS is 0 to 600000\n"),
        },
        _ => told(name, &head, body_bytes),
    }
}

/// Length of a body, which is read and dropped; `None` when it broke off.
async fn count(mut body: Incoming) -> Option<u64> {
    let mut length = 0_u64;
    while let Some(frame) = body.frame().await {
        let bytes = frame.ok()?.into_data().map_or(0, |bytes| bytes.len());
        length = length.saturating_add(bytes as u64);
    }
    Some(length)
}

/// A status that ends an exchange: 1xx would leave the client waiting.
fn final_status(number: u16) -> Option<StatusCode> {
    StatusCode::from_u16(number)
        .ok()
        .filter(|_| (200..600).contains(&number))
}

/// A request, told as JSON.
#[derive(Serialize)]
struct Told<'a> {
    endpoint: &'a str,
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    version: String,
    fields: Vec<String>,
    body_bytes: u64,
}

fn told(name: &str, head: &Parts, body_bytes: u64) -> Response<Reply> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let told = Told {
        endpoint: name,
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query(),
        version: format!("{:?}", head.version),
        fields: head.headers.iter().map(line).collect(),
        body_bytes,
    };
    let body = serde_json::to_string_pretty(&told);
    debug_assert!(body.is_ok(), "text and numbers have a JSON form");
    let mut response = text(StatusCode::OK, &(body.unwrap_or_default() + "\n"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, body: &str) -> Response<Reply> {
    let mut response = Response::new(Full::new(Content::Text(body.to_owned().into())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn bytes(length: u64) -> Response<Reply> {
    let mut response = Response::new(Full::new(Content::Repeated(length)));
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, octets);
    response
}

/// The bytes of an answer still to be sent.
#[derive(Debug)]
pub(super) enum Content {
    /// These.
    Text(Bytes),
    /// So many, cut from `BLOCK` again and again.
    Repeated(u64),
}

impl Buf for Content {
    fn remaining(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Repeated(remaining) => usize::try_from(*remaining).unwrap_or(usize::MAX),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Repeated(_) => BLOCK.get(..self.remaining()).unwrap_or(&BLOCK),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Text(text) => text.advance(count),
            Self::Repeated(remaining) => *remaining = remaining.saturating_sub(count as u64),
        }
    }
}

/// Lines of 64 characters, so that a large answer can be looked at.
const fn block() -> [u8; 64 << 10] {
    let mut block = [b'.'; 64 << 10];
    let mut at = 0;
    while at < block.len() {
        block[at] = match at % 64 {
            63 => b'\n',
            column => b'0' + (column % 10) as u8,
        };
        at += 1;
    }
    block
}
