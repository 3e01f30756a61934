//! What policies can ask about a request.
//!
//! Some things have more than one reading, because upstreams disagree: `/admin;x=1` is `/admin`
//! for a servlet container, `//admin` for many file servers, and of two lines of one field some
//! take the first and some the last. A policy must hold for whatever upstream there is. So a
//! policy that denies is for a request if *any* reading fits, one that allows only if *all* do;
//! what it excludes (`not`) the other way round. Most requests have one reading, which costs
//! nothing.

use std::net::IpAddr;

use super::path;
use crate::authenticate::Principal;
use crate::http::{Request, RequestHead, Scheme};

/// A request as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    pub(super) request: Request<'a>,
    pub(super) facts: Facts<'a>,
    host: &'a [u8],
    /// The path as a lenient upstream may read it, where that differs from the normalised one.
    pub(super) lenient_path: Option<&'a [u8]>,
}

/// What is known of a request besides its head.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who calls.
    pub principal: &'a Principal<'a>,
    /// The client's address, after trusted hops; `None` over a Unix socket.
    pub client: Option<IpAddr>,
    /// By what scheme the request came in.
    pub scheme: Scheme,
}

/// How something with several readings is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readings {
    /// One that fits is enough.
    Any,
    /// All have to fit.
    All,
}

impl Readings {
    /// Whether `fits` holds for one or all of `readings`; never if there are none.
    pub(super) fn judge<T>(
        self,
        mut readings: impl Iterator<Item = T>,
        fits: impl Fn(T) -> bool,
    ) -> bool {
        match self {
            Self::Any => readings.any(fits),
            Self::All => readings.next().is_some_and(&fits) && readings.all(fits),
        }
    }
}

impl<'a> Attributes<'a> {
    /// The attributes of `request`. A second reading of its path is written into `storage`.
    #[must_use]
    pub fn new(request: Request<'a>, facts: Facts<'a>, storage: &'a mut Vec<u8>) -> Self {
        let lenient_path = path::lenient(request.path(), storage);
        Self {
            request,
            facts,
            host: request.host(),
            lenient_path,
        }
    }

    /// Where there is no request to be seen: the attributes of a connection to `host`. `nothing` is
    /// a head that was not filled.
    #[must_use]
    pub fn of_connection(host: &'a [u8], facts: Facts<'a>, nothing: &'a RequestHead) -> Self {
        Self {
            request: nothing.view(b""),
            facts,
            host,
            lenient_path: None,
        }
    }

    /// The path in each of its readings.
    pub(super) fn paths(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        [Some(self.request.path()), self.lenient_path]
            .into_iter()
            .flatten()
    }

    /// The host, without a final dot: `example.com.` is the same host (RFC 3986 §3.2.2).
    pub(super) fn host(&self) -> &'a [u8] {
        self.host.strip_suffix(b".").unwrap_or(self.host)
    }

    /// The port that the client asked for, by name or by its scheme (RFC 9110 §4.2).
    pub(super) fn port(&self) -> u16 {
        let scheme = self.request.scheme().unwrap_or(self.facts.scheme);
        self.request.port().unwrap_or(match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }
}
