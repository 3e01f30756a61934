//! HTTP/1.1 (RFC 9112) on both sides, above all what must never pass.

mod connection;
mod forwarding;
mod mutation;
mod requests;
mod responses;
mod table;
mod unread;
mod upgrade;
