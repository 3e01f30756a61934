//! What origins send: passed on with one reading, or answered with 502, never half understood.
//!
//! An origin plays a script of raw bytes; the client must get exactly what the table says, and the
//! next request must find a clean connection. Sections are of RFC 9112 unless named.

mod broken;
mod empty;
mod endless;
mod interim;
mod reuse;
mod table;
