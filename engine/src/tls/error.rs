//! Why a handshake failed, in as many words as an operator needs and no more than a peer may know.
//!
//! Closed: every error of the library becomes one of these, and each has one word for counters and
//! logs.

use rustls::{CertificateError, Error};

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The peer left before the end.
    Closed,
    /// It took too long.
    TimedOut,
    /// The first bytes are not TLS.
    NotTls,
    /// There is no version, cipher suite, group or signature scheme that both sides take.
    Incompatible,
    /// There is no application protocol that both sides speak.
    NoProtocol,
    /// The peer has shown no certificate, and must.
    CertificateRequired,
    /// The peer's certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The peer's certificate is not from an issuer that is trusted.
    CertificateUnknownIssuer,
    /// The peer's certificate has been revoked.
    CertificateRevoked,
    /// The peer's certificate is for another name or identity.
    CertificateName,
    /// The peer's certificate cannot be used for another reason.
    CertificateInvalid,
    /// The peer has ended the handshake with an alert.
    Alert,
    /// The peer breaks the protocol.
    Malformed,
}

impl HandshakeError {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 13] = [
        Self::Closed,
        Self::TimedOut,
        Self::NotTls,
        Self::Incompatible,
        Self::NoProtocol,
        Self::CertificateRequired,
        Self::CertificateExpired,
        Self::CertificateUnknownIssuer,
        Self::CertificateRevoked,
        Self::CertificateName,
        Self::CertificateInvalid,
        Self::Alert,
        Self::Malformed,
    ];

    /// The word for it in counters and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::TimedOut => "timed_out",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::NoProtocol => "no_protocol",
            Self::CertificateRequired => "certificate_required",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateUnknownIssuer => "certificate_unknown_issuer",
            Self::CertificateRevoked => "certificate_revoked",
            Self::CertificateName => "certificate_name",
            Self::CertificateInvalid => "certificate_invalid",
            Self::Alert => "alert",
            Self::Malformed => "malformed",
        }
    }

    /// What the library's error means.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::CertificateRequired,
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::PeerIncompatible(_) => Self::Incompatible,
            Error::NoApplicationProtocol => Self::NoProtocol,
            Error::AlertReceived(_) => Self::Alert,
            _ => Self::Malformed,
        }
    }

    /// What an error of a client of its own means, whose stream is not ours.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Self {
        let known = error.get_ref().and_then(|error| error.downcast_ref());
        known.map_or(Self::Closed, Self::of)
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::CertificateExpired,
            // The second: an issuer of that name is trusted, and it is not this one.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Self::CertificateUnknownIssuer
            }
            CertificateError::Revoked => Self::CertificateRevoked,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateName
            }
            _ => Self::CertificateInvalid,
        }
    }
}
