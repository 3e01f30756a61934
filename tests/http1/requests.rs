//! What clients send to make two recipients disagree: refused, or forwarded with one reading.
//!
//! Sources: RFC 9112 and 9110 by section, RFC 3986 for targets, advisories by number, and the
//! families of request smuggling published since 2005 (CL.TE, TE.CL, TE.TE, CL.0, 0.CL, chunk
//! extensions). The cases were written from those descriptions.

mod chunked;
mod fields;
mod framing;
mod limits;
mod request_line;
mod target;
