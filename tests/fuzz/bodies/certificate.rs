//! Who a certificate is for. What must hold for any bytes: no panic; the same answer twice; an
//! identity is a valid SPIFFE ID of a workload; what is told to the origin is one entry of
//! `X-Forwarded-Client-Cert`, whatever the certificate says.

use std::time::Duration;

use engine::config::SpiffeId;
use engine::tls::Peer;

/// Checks it for `bytes`; says whether they were a certificate that is taken.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let read = Peer::read(bytes, Duration::ZERO);
    let again = Peer::read(bytes, Duration::ZERO);
    let peer = match (read, again) {
        (Ok(peer), Ok(again)) => {
            assert_eq!(peer.forwarded, again.forwarded);
            peer
        }
        (read, again) => {
            assert_eq!(read.err(), again.err());
            return false;
        }
    };
    if let Some(identity) = &peer.identity {
        assert_eq!(SpiffeId::parse(identity.as_str()).as_ref(), Some(identity));
        assert!(identity.path().starts_with('/'), "{identity}");
        assert_eq!(peer.principal(), identity.as_str());
    }
    let entry = std::str::from_utf8(&peer.forwarded).expect("text");
    assert!(
        entry
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic()),
        "{entry}"
    );
    let (hash, rest) = entry
        .split_once(";Subject=\"")
        .expect("a hash, then a subject");
    let digits = hash.strip_prefix("Hash=").expect("a hash");
    assert!(digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let (_, fields) = rest.split_once('"').expect("the end of the subject");
    let is_field = |field: &str| {
        field.is_empty() || field.starts_with("URI=spiffe://") || field.starts_with("DNS=")
    };
    // Neither can another entry begin (`,`), nor a field that nobody has judged.
    assert!(fields.split(';').all(is_field), "{entry}");
    assert!(!fields.contains([',', '"']), "{entry}");
    true
}
