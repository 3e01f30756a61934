//! What was proved about a caller.
//!
//! Each part was verified by the method that put it there. It lives as long as its request: names
//! are those of the configuration, the certificate is the connection's, the token the shard's.

use std::rc::Rc;

use super::Token;
use crate::config::SpiffeId;
use crate::tls::Peer;

/// Who we hold the caller to be. Each part is there only if it was proved; the default is a caller
/// of whom nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Principal<'a> {
    /// The holder of the certificate that was shown in the TLS handshake.
    pub peer: Option<&'a Peer>,
    /// The owner of the API key.
    pub key_owner: Option<&'a str>,
    /// The user whose password was presented.
    pub user: Option<&'a str>,
    /// The token, verified.
    pub token: Option<Rc<Token>>,
}

impl<'a> Principal<'a> {
    /// What the handshake proved.
    #[must_use]
    pub fn of_peer(peer: Option<&'a Peer>) -> Self {
        Self {
            peer,
            ..Self::default()
        }
    }

    /// Nothing was proved.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.peer.is_none()
            && self.key_owner.is_none()
            && self.user.is_none()
            && self.token.is_none()
    }

    /// The SPIFFE ID of the certificate, if it is an SVID.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&'a SpiffeId> {
        self.peer.and_then(|peer| peer.identity.as_ref())
    }

    /// The name by which logs know the caller: what it has shown with this request, else its
    /// certificate.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        let subject = self
            .token
            .as_ref()
            .and_then(|token| token.subject.as_deref());
        subject
            .or(self.user)
            .or(self.key_owner)
            .or_else(|| self.peer.map(|peer| peer.principal()))
    }
}
