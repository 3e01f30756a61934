//! How the origin answers a gRPC call: with what came, or as wished.
//!
//! Messages are sent back as they came, so that one call with one message gets it back; a wished
//! size is one message of that length. A call that is to fail gets a head alone, with the code
//! that was wished, or the one that stands for the HTTP status that was drawn.

use engine::io::Buf;

use super::multiplex::Body;
use super::plan::Reply;
use crate::grpc::{self, Messages, PREFIX_BYTES};
use crate::http2::hpack::encode::{push_field, push_named, push_status};
use crate::http2::hpack::table::name;

/// The most that the messages of a call may add up to.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Codes for what the origin itself refuses.
const INVALID_ARGUMENT: u8 = 3;
const RESOURCE_EXHAUSTED: u8 = 8;
const INTERNAL: u8 = 13;

/// One call, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Call {
    messages: Messages,
    /// What came, with prefixes.
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Call {
    /// A part of the request came.
    pub(super) fn content(&mut self, bytes: &[u8]) {
        self.messages.feed(bytes, |_| {});
        if self.bytes.len() + bytes.len() > MESSAGE_BYTES_MAX {
            self.is_too_long = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The code of the answer, and what is wrong if it is not as wished.
    fn code(&self, reply: Option<&Reply>) -> (u8, &'static str) {
        match reply {
            None => (INVALID_ARGUMENT, "a wish that cannot be"),
            Some(_) if self.is_too_long => (RESOURCE_EXHAUSTED, "more than 4 MiB"),
            Some(_) if self.messages.whole().is_none() => (INTERNAL, "not a row of whole messages"),
            Some(reply) => match reply.grpc_status {
                Some(code) => (code, "as wished"),
                None => (grpc::code_of_status(reply.status), "as drawn"),
            },
        }
    }

    /// Appends the head of the answer; gives the length of its content, which is 0 when the head
    /// says it all.
    pub(super) fn push_head(&self, out: &mut Vec<u8>, reply: Option<&Reply>) -> u64 {
        push_status(out, 200);
        push_named(out, name::CONTENT_TYPE, grpc::CONTENT_TYPE);
        let (code, why) = self.code(reply);
        let size = match reply.filter(|_| code == grpc::OK) {
            Some(Reply {
                size,
                wished_size: true,
                ..
            }) => size + PREFIX_BYTES as u64,
            Some(_) => self.bytes.len() as u64,
            None => 0,
        };
        if size == 0 {
            push_field(out, b"grpc-status", code.to_string().as_bytes());
            if code != grpc::OK {
                push_field(out, b"grpc-message", why.as_bytes());
            }
        }
        size
    }

    /// The content of the answer.
    pub(super) fn take_message(&mut self, reply: Option<&Reply>) -> Body {
        match reply {
            Some(Reply {
                size,
                wished_size: true,
                ..
            }) => Body::Message(*size),
            _ => Body::Own(Buf::from_vec(std::mem::take(&mut self.bytes))),
        }
    }
}
