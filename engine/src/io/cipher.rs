//! What may stand between the bytes of a socket and those that its stream gives and takes.
//!
//! The driver knows that a socket may have a [`Cipher`]; what it does is the business of whoever
//! sets it with [`super::Stream::secure`]. Received runs are opened as they are delivered, so that
//! a stream never wakes its reader for bytes that carry no content. Queued bytes are sealed when
//! they are sent, at the end of a batch, so that a head and its body share a record.

use std::fmt::Debug;

/// Encryption of one connection, both directions. Pure: bytes in, bytes out.
pub trait Cipher: Debug {
    /// Opens the next bytes from the peer, however they are cut; they may be changed on the way.
    /// Content is appended to `plain`, what the peer must be told to `reply`.
    fn open(&mut self, sealed: &mut [u8], plain: &mut Vec<u8>, reply: &mut Vec<u8>) -> Opened;

    /// Seals content and appends it to `sealed`.
    ///
    /// *Errors:* nothing can be sealed, now or ever: the connection is to be given up.
    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), CipherFailed>;

    /// Appends the notice that nothing follows, if there is such a thing.
    fn finish(&mut self, sealed: &mut Vec<u8>);
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// More may come.
    More,
    /// The peer has said that nothing follows.
    Finished,
    /// The bytes are not what they should be; nothing that follows can be opened.
    Broken,
}

/// Nothing can be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherFailed;
