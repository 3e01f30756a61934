//! What one lane of an HTTP/2 connection learns of its answer.
//!
//! Facts for the expectations, as `http1`'s parser keeps them: status, length, hash. For a gRPC
//! call, length and hash are those of the message, without its prefix.

use crate::expect::Answer;
use crate::grpc::{self, Messages, Outcome};
use crate::http2::fields::Fields;

/// One answer, as far as it has come. Used again for every request of its lane.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    status: u16,
    body_bytes: u64,
    received_bytes: u64,
    hash: Option<crc32fast::Hasher>,
    grpc: Option<Call>,
}

/// A gRPC call, as far as it has been answered.
#[derive(Clone, Copy, Debug, Default)]
struct Call {
    code: Option<u8>,
    messages: Messages,
    /// The answer's content type is gRPC's.
    is_grpc: bool,
}

impl AnswerReader {
    /// A reader; `hashes` says whether bodies are hashed.
    pub(crate) fn new(hashes: bool) -> Self {
        Self {
            status: 0,
            body_bytes: 0,
            received_bytes: 0,
            hash: hashes.then(crc32fast::Hasher::new),
            grpc: None,
        }
    }

    /// Prepares for the next answer; `is_call` when the request was a gRPC call.
    pub(crate) fn expect(&mut self, is_call: bool) {
        (self.status, self.body_bytes, self.received_bytes) = (0, 0, 0);
        if let Some(hash) = &mut self.hash {
            hash.reset();
        }
        self.grpc = is_call.then(Call::default);
    }

    /// The head came.
    pub(crate) fn head(&mut self, status: u16, fields: &Fields) {
        self.status = status;
        if let Some(call) = &mut self.grpc {
            let content_type = fields.get(b"content-type").unwrap_or_default();
            call.is_grpc = content_type.starts_with(grpc::CONTENT_TYPE);
            // An answer of a head alone has it there.
            call.code = fields.get(b"grpc-status").and_then(grpc::code_in_field);
        }
    }

    /// A part of the content came.
    pub(crate) fn content(&mut self, bytes: &[u8]) {
        let (hash, body_bytes) = (&mut self.hash, &mut self.body_bytes);
        let mut count = |bytes: &[u8]| {
            *body_bytes += bytes.len() as u64;
            if let Some(hash) = hash {
                hash.update(bytes);
            }
        };
        match &mut self.grpc {
            Some(call) => call.messages.feed(bytes, count),
            None => count(bytes),
        }
    }

    /// The trailers came.
    pub(crate) fn trailers(&mut self, fields: &Fields) {
        if let Some(call) = &mut self.grpc {
            call.code = fields.get(b"grpc-status").and_then(grpc::code_in_field);
        }
    }

    /// So many bytes came that belong to this answer, framing included.
    pub(crate) const fn received(&mut self, bytes: usize) {
        self.received_bytes += bytes as u64;
    }

    /// What is known about the answer so far.
    pub(crate) fn answer(&self) -> Answer {
        Answer {
            status: self.status,
            body_bytes: self.body_bytes,
            received_bytes: self.received_bytes,
            body_hash: self.hash.as_ref().map(|hash| hash.clone().finalize()),
            grpc: self.grpc.map(|call| Outcome {
                code: call.code.filter(|_| call.is_grpc),
                messages: call.messages.whole(),
            }),
        }
    }
}
