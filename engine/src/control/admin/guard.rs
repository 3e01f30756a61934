//! Which requests the admin interface refuses before it looks at the page.
//!
//! It has no authentication, so it listens where only the operator reaches it: loopback or a Unix
//! socket. A web browser on the same machine reaches loopback too, on behalf of any page it
//! shows; three checks keep such pages out without hindering curl, Prometheus or a person who
//! types the address: fetch metadata, `Origin` on what changes something, and a `Host` that is
//! the address itself rather than a name that somebody else's DNS points at it. Pure.

use std::net::IpAddr;

use hyper::header::{HOST, ORIGIN};
use hyper::{HeaderMap, Method};
use rustix::process::geteuid;

use crate::control::discovery::api::Peer;

/// Where the interface listens decides what a `Host` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// This machine only, over TCP.
    Loopback,
    /// A Unix socket: no browser gets there.
    Socket,
    /// Other machines, by whatever name they know: the operator's decision.
    Network,
}

/// Who sends a request, and over what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) reach: Reach,
    pub(super) peer: Peer,
}

impl Caller {
    /// Why a request is refused, as a sentence for its body. A socket that is open to others shows
    /// its pages to its owner and to root; registration decides for itself.
    pub(super) fn refuse(
        &self,
        method: &Method,
        fields: &HeaderMap,
        is_api: bool,
    ) -> Option<&'static str> {
        let is_owner = match self.peer {
            Peer::Network => true,
            Peer::User(uid) => uid.is_some_and(|uid| uid == 0 || uid == geteuid().as_raw()),
        };
        if !is_owner && !is_api {
            return Some("These pages are for the user that weft runs as.\n");
        }
        refuse(self.reach, method, fields)
    }
}

/// Why a request was refused, as a sentence for its body.
fn refuse(reach: Reach, method: &Method, fields: &HeaderMap) -> Option<&'static str> {
    let value = |name: &str| fields.get(name).map(|value| value.as_bytes());
    let site = value("sec-fetch-site");
    if site.is_some_and(|site| site != b"none" && site != b"same-origin") {
        return Some("Requests that another web page makes are refused.\n");
    }
    let only_reads = matches!(*method, Method::GET | Method::HEAD);
    if !only_reads && fields.contains_key(ORIGIN) {
        return Some("A web page may not change anything here; use curl -X POST.\n");
    }
    if reach == Reach::Loopback
        && !fields
            .get(HOST)
            .is_none_or(|host| is_local(host.as_bytes()))
    {
        return Some("Host is neither localhost nor an address; ask by the address.\n");
    }
    None
}

/// `localhost` or an IP literal, with or without a port.
fn is_local(host: &[u8]) -> bool {
    let Ok(host) = str::from_utf8(host) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn refused(reach: Reach, method: &Method, fields: &[(&'static str, &'static str)]) -> bool {
        let fields = fields
            .iter()
            .map(|(name, value)| {
                (
                    name.parse().expect("a name"),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        refuse(reach, method, &fields).is_some()
    }

    #[test]
    fn tools_and_typed_addresses_pass() {
        for host in [
            "127.0.0.1:9901",
            "localhost:9901",
            "LOCALHOST",
            "[::1]:9901",
            "[::1]",
        ] {
            assert!(
                !refused(Reach::Loopback, &Method::GET, &[("host", host)]),
                "{host}"
            );
            assert!(
                !refused(Reach::Loopback, &Method::POST, &[("host", host)]),
                "{host}"
            );
        }
        let typed = [("host", "127.0.0.1:9901"), ("sec-fetch-site", "none")];
        assert!(!refused(Reach::Loopback, &Method::GET, &typed));
        assert!(!refused(Reach::Loopback, &Method::GET, &[]));
        assert!(!refused(
            Reach::Network,
            &Method::GET,
            &[("host", "weft.example:9901")]
        ));
        assert!(!refused(
            Reach::Socket,
            &Method::POST,
            &[("host", "whatever")]
        ));
    }

    #[test]
    fn web_pages_are_refused() {
        let rebound = [("host", "rebound.example:9901")];
        assert!(refused(Reach::Loopback, &Method::GET, &rebound));
        assert!(refused(
            Reach::Loopback,
            &Method::GET,
            &[("host", "127.0.0.1.example")]
        ));
        for reach in [Reach::Loopback, Reach::Network, Reach::Socket] {
            let cross = [("host", "127.0.0.1"), ("sec-fetch-site", "cross-site")];
            assert!(refused(reach, &Method::GET, &cross));
            let form = [("host", "127.0.0.1"), ("origin", "https://page.example")];
            assert!(refused(reach, &Method::POST, &form));
            assert!(!refused(reach, &Method::GET, &form));
        }
    }
}
