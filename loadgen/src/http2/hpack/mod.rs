//! HPACK, the compression of fields (RFC 7541).
//!
//! [`decode`] reads everything a peer may send: static and dynamic table, Huffman, changes of the
//! table's size. [`encode`] writes blocks that change nothing at the peer (no entry ever enters its
//! dynamic table), so that a block can be made once and sent as often as wanted, on any connection.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod huffman;
pub(crate) mod table;

#[cfg(test)]
mod tests;
