//! How much may this caller send: the second half of step 6.
//!
//! A listener, a virtual host and a route may each have limits ([`RateLimit`]); each is a token
//! bucket for every caller that its key tells apart. A request that policies allow has to take a
//! token from all of them, outermost first; the first that has none refuses it.
//!
//! All shards share the buckets: a limit of 10 is 10, on however many shards a caller's
//! connections are. It is the one exception from *nothing shared* on the path of a request; see
//! `ARCHITECTURE.md`. Not here: the answer.

mod bucket;
mod key;
mod table;

use std::hash::RandomState;
use std::io::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::attributes::Attributes;
use super::external::Passed;
use crate::config::{self, AuthorizationLevel};
use crate::io::Instant;
use crate::route::Location;

use bucket::{Rate, Taken, Ticks};
use table::Table;

/// The number of a limit over the whole configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub u32);

/// A request that policies allow, and that limits may still refuse.
#[derive(Debug)]
#[must_use]
pub struct Allowed(pub(super) ());

/// A limit, with the buckets of its callers.
#[derive(Debug)]
pub struct RateLimit {
    id: LimitId,
    /// `level/name`
    label: Box<str>,
    source: config::RateLimit,
    rate: Rate,
    buckets: Arc<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    /// Random and secret: nobody can tell whose bucket is where.
    keys: RandomState,
    table: Table,
}

/// All limits of one listener.
#[derive(Debug, Default)]
pub struct ListenerLimits {
    listener: Vec<RateLimit>,
    /// By the place of the virtual host in the listener.
    virtual_hosts: Vec<Vec<RateLimit>>,
    /// By the place of the route in the listener.
    routes: Vec<Vec<RateLimit>>,
}

/// A limit that has let a request pass.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Which.
    pub limit: &'a RateLimit,
    full_at: Ticks,
    now: Ticks,
}

/// A limit that has no token left for a caller.
#[derive(Clone, Copy, Debug)]
pub struct Exceeded<'a> {
    /// Which.
    pub limit: &'a RateLimit,
    /// When the caller has a token again.
    pub retry_after: Duration,
}

impl ListenerLimits {
    /// The limits of `listener`. `ids` are those of the whole configuration, by place in it. A
    /// limit that `previous` has, too, and that has not changed goes on with its buckets.
    #[must_use]
    pub fn compile(listener: &config::Listener, ids: &[LimitId], previous: Option<&Self>) -> Self {
        let compile = |level: AuthorizationLevel<'_>, sources: &[config::RateLimit]| -> Vec<_> {
            let compile = |source| RateLimit::compile(level, source, ids, previous);
            sources.iter().map(compile).collect()
        };
        let hosts = &listener.virtual_hosts;
        let routes = hosts.iter().flat_map(|host| &host.routes);
        let of_host = |host: &config::VirtualHost| {
            compile(
                AuthorizationLevel::VirtualHost(&host.name),
                &host.rate_limits,
            )
        };
        let of_route = |route: &config::Route| {
            compile(AuthorizationLevel::Route(&route.name), &route.rate_limits)
        };
        Self {
            listener: compile(AuthorizationLevel::Listener, &listener.rate_limits),
            virtual_hosts: hosts.iter().map(of_host).collect(),
            routes: routes.map(of_route).collect(),
        }
    }

    /// The limits for a request that was routed to `location`, outermost first.
    pub fn at<'a>(
        &'a self,
        location: Location<'_>,
    ) -> impl Iterator<Item = &'a RateLimit> + use<'a> {
        let virtual_host = location
            .virtual_host
            .and_then(|at| self.virtual_hosts.get(at));
        let route = location.place.and_then(|at| self.routes.get(at));
        let inner = virtual_host.into_iter().chain(route).flatten();
        self.listener.iter().chain(inner)
    }

    fn all(&self) -> impl Iterator<Item = &RateLimit> {
        let inner = self.virtual_hosts.iter().chain(&self.routes).flatten();
        self.listener.iter().chain(inner)
    }
}

/// Takes a token from each of `limits`; `passed` is told of those that had one.
///
/// *Cost:* for each limit a hash of what tells callers apart and one cache line; allocates
/// nothing.
///
/// # Errors
/// The first that has none. Those before it have lost theirs.
pub fn limit<'a>(
    allowed: Allowed,
    limits: impl Iterator<Item = &'a RateLimit>,
    attributes: &Attributes<'_>,
    now: Instant,
    mut passed: impl FnMut(Passing<'_>),
) -> Result<Passed, Exceeded<'a>> {
    let Allowed(()) = allowed;
    for limit in limits {
        passed(limit.take(attributes, now)?);
    }
    Ok(Passed(()))
}

impl RateLimit {
    fn compile(
        level: AuthorizationLevel<'_>,
        source: &config::RateLimit,
        ids: &[LimitId],
        previous: Option<&ListenerLimits>,
    ) -> Self {
        let requests = NonZeroU32::new(source.requests).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(source.burst).unwrap_or(NonZeroU32::MIN);
        let label: Box<str> = format!("{level}/{}", source.name).into();
        let mut before = previous.into_iter().flat_map(ListenerLimits::all);
        let same = before.find(|limit| limit.label == label && limit.source.is_same(source));
        let id = usize::try_from(source.index)
            .ok()
            .and_then(|at| ids.get(at));
        debug_assert!(id.is_some(), "a number for every limit");
        Self {
            id: id.copied().unwrap_or(LimitId(u32::MAX)),
            label,
            rate: Rate::new(requests, source.per, burst),
            buckets: same.map_or_else(
                || Arc::new(Buckets::new(source)),
                |limit| Arc::clone(&limit.buckets),
            ),
            source: source.clone(),
        }
    }

    /// What it is called: `level/name`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> LimitId {
        self.id
    }

    /// It as configured.
    #[must_use]
    pub fn source(&self) -> &config::RateLimit {
        &self.source
    }

    /// Tokens that the caller has left; takes none.
    #[must_use]
    pub fn left(&self, attributes: &Attributes<'_>, now: Instant) -> u64 {
        let full_at = self.buckets.table.peek(self.caller(attributes));
        self.rate.left(full_at, self.rate.ticks(now))
    }

    /// Takes a token.
    fn take(&self, attributes: &Attributes<'_>, now: Instant) -> Result<Passing<'_>, Exceeded<'_>> {
        let now = self.rate.ticks(now);
        let table = &self.buckets.table;
        match table.take(self.caller(attributes), self.rate, now) {
            Taken::Passes(full_at) => Ok(Passing {
                limit: self,
                full_at,
                now,
            }),
            Taken::Refused(retry_after) => Err(Exceeded {
                limit: self,
                retry_after,
            }),
        }
    }

    /// Appends the value of `RateLimit-Policy`: `"name";q=100;w=60`
    /// (draft-ietf-httpapi-ratelimit-headers-10 §3). The window is in whole seconds; a shorter one
    /// is left out.
    pub fn write_policy(&self, out: &mut Vec<u8>) {
        let source = &self.source;
        // Names hold no character that a quoted string would have to escape.
        let _ = write!(out, "\"{}\";q={}", source.name, source.requests);
        if source.per.subsec_nanos() == 0 {
            let _ = write!(out, ";w={}", source.per.as_secs());
        }
    }

    fn caller(&self, attributes: &Attributes<'_>) -> u64 {
        key::caller(&self.source.key, attributes, &self.buckets.keys)
    }
}

impl Buckets {
    fn new(limit: &config::RateLimit) -> Self {
        let callers = match limit.key.is_empty() {
            true => 1,
            false => usize::try_from(limit.callers).unwrap_or(usize::MAX),
        };
        Self {
            keys: RandomState::new(),
            table: Table::new(callers),
        }
    }
}

impl Passing<'_> {
    /// Appends the value of `RateLimit`: `"name";r=9;t=3`
    /// (draft-ietf-httpapi-ratelimit-headers-10 §4): what is left, and in how many whole seconds
    /// all of it is there again.
    pub fn write_left(&self, out: &mut Vec<u8>) {
        let rate = self.limit.rate;
        let left = rate.left(self.full_at, self.now);
        let full_in = rate.until(self.full_at, self.now);
        let seconds = whole_seconds(full_in);
        let _ = write!(out, "\"{}\";r={left};t={seconds}", self.limit.source.name);
    }
}

impl Exceeded<'_> {
    /// Whole seconds, at least 1, after which the caller may come again (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        whole_seconds(self.retry_after).max(1)
    }

    /// Appends the value of `RateLimit`: `"name";r=0;t=3` (the same, §4).
    pub fn write_left(&self, out: &mut Vec<u8>) {
        let seconds = self.retry_after_seconds();
        let _ = write!(out, "\"{}\";r=0;t={seconds}", self.limit.source.name);
    }
}

/// Seconds, rounded up.
fn whole_seconds(time: Duration) -> u64 {
    let is_part = time.subsec_nanos() > 0;
    time.as_secs().saturating_add(u64::from(is_part))
}
