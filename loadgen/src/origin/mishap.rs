//! How an answer over HTTP/2 goes wrong on purpose.
//!
//! What costs a connection of HTTP/1.1 costs a stream here where HTTP/2 can say so: a reset is
//! RST_STREAM, before the head or behind it. A cut is the end of the connection, with everything on
//! it. A slow body is not slow here: its pace is one of HTTP/1.1.

use super::fault::Fault;
use super::multiplex::Multiplex;
use super::plan::Reply;
use crate::http2::ErrorCode;
use crate::http2::hpack::encode::{push_made, push_named, push_status};
use crate::http2::hpack::table::name;
use crate::origin::reply::push_decimal;

impl Multiplex<'_> {
    /// Goes wrong instead of answering.
    pub(super) fn misbehave(&mut self, key: usize, fault: Fault, reply: &Reply) {
        let mut head = Vec::new();
        // One byte more than there is: none.
        let lies = |out: &mut Vec<u8>| push_decimal(out, 1);
        match fault {
            Fault::Stall => {}
            Fault::Reset => self.reset(key),
            Fault::ResetHead | Fault::ResetBody => {
                push_status(&mut head, reply.status);
                push_made(&mut head, name::CONTENT_LENGTH, |out| {
                    push_decimal(out, reply.size + 1)
                });
                // Content is announced, and will not come.
                self.connection.answer(key, &head, reply.size + 1, false);
                self.reset(key);
            }
            Fault::Close | Fault::CloseBody | Fault::CutHead => self.is_broken = true,
            Fault::BadStatus => {
                push_named(&mut head, name::STATUS, b"2x0");
                self.end(key, &head);
            }
            Fault::BadChunk | Fault::TwoFramings | Fault::Malformed => {
                push_status(&mut head, 200);
                push_made(&mut head, name::CONTENT_LENGTH, lies);
                self.end(key, &head);
            }
            Fault::SlowBody => {
                push_status(&mut head, reply.status);
                push_made(&mut head, name::CONTENT_LENGTH, |out| {
                    push_decimal(out, reply.size)
                });
                self.connection.answer(key, &head, reply.size, false);
                if reply.size == 0 {
                    self.connection.finish(key, ErrorCode::NoError);
                }
            }
        }
    }

    fn reset(&mut self, key: usize) {
        self.connection.finish(key, ErrorCode::Internal);
    }

    /// Sends a head that is the whole answer.
    fn end(&mut self, key: usize, head: &[u8]) {
        self.connection.answer(key, head, 0, false);
        self.connection.finish(key, ErrorCode::NoError);
    }
}
