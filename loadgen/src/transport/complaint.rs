//! What can go wrong with TLS, in sentences that say what to do.
//!
//! TLS failures travel as `std::io::Error` around a `rustls::Error`, as rustls itself does it, so
//! that whoever does not care about TLS need not know of it.

use std::io::Error;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// Did TLS fail, rather than the connection under it?
pub(crate) fn is_tls(error: &Error) -> bool {
    cause(error).is_some()
}

fn cause(error: &Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// A connection's error as the rest of a sentence: `cannot connect to X: …`.
pub(crate) fn complaint(error: &Error) -> String {
    match cause(error) {
        Some(TlsError::InvalidCertificate(why)) => certificate(why),
        Some(TlsError::AlertReceived(alert)) => refusal(*alert),
        Some(TlsError::InvalidMessage(_)) => "what the peer speaks is not TLS".into(),
        Some(TlsError::PeerIncompatible(why)) => {
            format!("the peer speaks TLS, but not as we do ({why:?})")
        }
        Some(TlsError::NoApplicationProtocol) => {
            "the peer speaks none of the application protocols offered (ALPN)".into()
        }
        Some(other) => format!("TLS failed: {other}"),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the peer closed the connection during the TLS handshake".into()
        }
        None => error.to_string(),
    }
}

fn certificate(why: &CertificateError) -> String {
    let told = match why {
        // A bad signature: an authority of the same name has another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            return "its certificate is signed by nobody we trust; name the authority with \
                    --cacert, or take any certificate with --insecure"
                .into();
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet".into()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "is not for `{}` but for {}; say whom to expect with --sni",
            expected.to_str(),
            if presented.is_empty() {
                "no name".into()
            } else {
                presented.join(", ")
            }
        ),
        other => format!("is of no use: {other}"),
    };
    format!("its certificate {told}")
}

fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the peer asks for a client certificate; give one with --cert and --key".into()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError => {
            format!("the peer does not accept our certificate (alert {alert:?})")
        }
        AlertDescription::HandshakeFailure => "the peer found nothing in common with us, or no \
             client certificate (alert HandshakeFailure)"
            .into(),
        AlertDescription::ProtocolVersion => {
            "the peer does not speak the TLS version offered".into()
        }
        AlertDescription::UnrecognisedName => {
            "the peer does not know the name asked for; say another with --sni".into()
        }
        AlertDescription::NoApplicationProtocol => {
            "the peer speaks none of the application protocols offered (ALPN)".into()
        }
        other => format!("the peer refused the connection (alert {other:?})"),
    }
}
