//! What was proved about a caller.

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
        self.peer.is_none() && self.key_owner.is_none()
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
        self.key_owner
            .or_else(|| self.peer.map(|peer| peer.principal()))
    }
}
