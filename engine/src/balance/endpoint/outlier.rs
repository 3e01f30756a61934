//! Outlier ejection: an endpoint that fails is left out for a while (passive health).
//!
//! In: the outcome of each attempt, and `now`. Out: a verdict per endpoint. An endpoint is ejected
//! after so many errors in a row, or when its success rate over an interval lies far below that of
//! the others. The time grows with each ejection, with jitter; when it is over, one request is
//! sent as a probe, and only its success brings the endpoint back. No client's request is spent on
//! that while active checks fail: an ejection does not end before a check of the endpoint, if it
//! has any, succeeds.
//!
//! ```text
//!           errors in a row, success rate                time is over
//!   serving ─────────────────────────────> ejected ─────────────────────> probing
//!      ^                                      ^────────── failure ──────────┤
//!      └────────────────────────────── success ─────────────────────────────┘
//! ```
//!
//! Each shard judges for itself, by what it sees: a decision then needs no message and no shared
//! memory, and holds from the next pick on. What it costs is that each shard pays its own errors:
//! at most `consecutive_errors` for each failing endpoint and shard, once in each ejection time,
//! and a probe of each shard for its return. The number of requests that a success rate needs is
//! divided among the shards.
//!
//! Bounds: never more than the configured share of the endpoints, and never the last that could
//! serve; so a single endpoint is never ejected, and of two or three at most one (with the default
//! of 50 %).

use std::cell::Cell;
use std::time::Duration;

use crate::balance::draw::mixed;
use crate::io::Instant;
use crate::limits;

/// When endpoints are ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierPolicy {
    /// Errors in a row that eject an endpoint; 0 for never.
    pub consecutive_errors: u32,
    /// Time between two comparisons of success rates.
    pub interval: Duration,
    /// How long the first ejection lasts; each further one lasts as much longer...
    pub ejection_base: Duration,
    /// ...up to this.
    pub ejection_max: Duration,
    /// The share of the endpoints that may be ejected at once, in percent.
    pub ejected_percent_max: u32,
    /// Whether success rates are compared, and how.
    pub success_rate: Option<SuccessRatePolicy>,
}

/// How success rates are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuccessRatePolicy {
    /// With fewer endpoints that had enough requests, nothing is compared.
    pub endpoints_min: u32,
    /// Requests of an endpoint in one interval, over all shards, from which on it is compared.
    pub requests_min: u32,
    /// How many standard deviations below the mean an endpoint must lie, in thousandths.
    pub deviation_thousandths: u32,
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            consecutive_errors: 5,
            interval: Duration::from_secs(10),
            ejection_base: Duration::from_secs(30),
            ejection_max: Duration::from_secs(300),
            ejected_percent_max: 50,
            success_rate: Some(SuccessRatePolicy::default()),
        }
    }
}

impl Default for SuccessRatePolicy {
    fn default() -> Self {
        Self {
            endpoints_min: 5,
            requests_min: 100,
            deviation_thousandths: 1900,
        }
    }
}

impl OutlierPolicy {
    /// Nobody is ever ejected.
    pub const OFF: Self = Self {
        consecutive_errors: 0,
        interval: Duration::from_secs(10),
        ejection_base: Duration::from_secs(30),
        ejection_max: Duration::from_secs(300),
        ejected_percent_max: 0,
        success_rate: None,
    };

    /// How long ejection number `count` lasts: `count` times the base up to the maximum, and up to
    /// a fifth longer, so that endpoints that failed together are not probed together.
    fn duration(&self, count: u32, random: u64) -> Duration {
        let time = self.ejection_base.saturating_mul(count.max(1));
        let time = time.min(self.ejection_max);
        // 16 bits of chance: exact enough, and nothing can overflow.
        let share = f64::from(u16::try_from(random & 0xffff).unwrap_or(0)) / 65_536.0;
        let jitter = Duration::try_from_secs_f64(time.as_secs_f64() * share / 5.0);
        time.saturating_add(jitter.unwrap_or_default())
    }
}

/// Why an endpoint was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ejection {
    /// No connection could be made, several times in a row.
    ConnectErrors,
    /// Gateway errors in a row: no answer, a broken one, or 502, 503, 504.
    GatewayErrors,
    /// Other errors in a row: 500 and up.
    ServerErrors,
    /// Its success rate was far below the others'.
    SuccessRate,
}

impl Ejection {
    /// As text, for the admin interface.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectErrors => "consecutive_connect_errors",
            Self::GatewayErrors => "consecutive_gateway_errors",
            Self::ServerErrors => "consecutive_server_errors",
            Self::SuccessRate => "success_rate",
        }
    }
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::balance) enum Standing {
    #[default]
    Serving,
    Ejected {
        why: Ejection,
        until: Instant,
    },
    /// Its time is over; one request will tell.
    Probing {
        why: Ejection,
        is_probed: bool,
    },
}

impl Standing {
    pub(in crate::balance) const fn why(self) -> Option<Ejection> {
        match self {
            Self::Serving => None,
            Self::Ejected { why, .. } | Self::Probing { why, .. } => Some(why),
        }
    }
}

/// What one shard remembers of one endpoint's outcomes.
#[derive(Debug, Default)]
pub(in crate::balance) struct Conduct {
    pub(in crate::balance) standing: Cell<Standing>,
    /// Since when it stands so.
    pub(in crate::balance) since: Cell<Instant>,
    /// Ejections that are not forgotten yet.
    pub(in crate::balance) ejections: Cell<u32>,
    errors_in_a_row: Cell<u32>,
    /// The interval that the next two are of.
    interval: Cell<u32>,
    requests: Cell<u32>,
    successes: Cell<u32>,
}

impl Conduct {
    /// Counts an outcome in interval number `interval`; gives how many requests it has had there.
    pub(in crate::balance) fn observe(&self, is_success: bool, interval: u32) -> u32 {
        if self.interval.replace(interval) != interval {
            self.requests.set(0);
            self.successes.set(0);
        }
        let requests = self.requests.get().saturating_add(1);
        self.requests.set(requests);
        if is_success {
            self.successes.set(self.successes.get().saturating_add(1));
            self.errors_in_a_row.set(0);
        } else {
            self.errors_in_a_row
                .set(self.errors_in_a_row.get().saturating_add(1));
        }
        requests
    }

    /// Errors since the last success.
    pub(in crate::balance) fn errors_in_a_row(&self) -> u32 {
        self.errors_in_a_row.get()
    }

    /// The share of its requests in this interval that succeeded.
    pub(in crate::balance) fn success_rate(&self) -> f64 {
        f64::from(self.successes.get()) / f64::from(self.requests.get().max(1))
    }

    /// Leaves it out from `now` on. `random` is the jitter.
    pub(in crate::balance) fn eject(
        &self,
        why: Ejection,
        policy: &OutlierPolicy,
        random: u64,
        now: Instant,
    ) {
        let count = self.remembered(policy, now).saturating_add(1);
        self.ejections.set(count);
        let random = mixed(random ^ u64::from(count));
        let until = now.after(policy.duration(count, random));
        self.stand(Standing::Ejected { why, until }, now);
    }

    /// Ejections that still count: one is forgotten for each ejection time that it has served.
    fn remembered(&self, policy: &OutlierPolicy, now: Instant) -> u32 {
        let count = self.ejections.get();
        if self.standing.get() != Standing::Serving || count == 0 {
            return count;
        }
        let served = now.since(self.since.get()).as_nanos();
        let forgotten = served.checked_div(policy.ejection_base.as_nanos());
        let forgotten = forgotten.map_or(u32::MAX, |it| u32::try_from(it).unwrap_or(u32::MAX));
        count.saturating_sub(forgotten)
    }

    /// Changes where it stands.
    pub(in crate::balance) fn stand(&self, standing: Standing, now: Instant) {
        if standing == Standing::Serving {
            self.errors_in_a_row.set(0);
            self.requests.set(0);
            self.successes.set(0);
        }
        self.standing.set(standing);
        self.since.set(now);
    }
}

/// What success rates of an interval say of one that is low.
#[derive(Clone, Copy, Debug)]
pub(in crate::balance) struct Rates {
    mean: f64,
    /// A rate below this is far from the others.
    least: f64,
}

impl Rates {
    /// Of these rates; `None` when they are too few to tell anything.
    ///
    /// Beside the deviation there is a distance that a rate must have from the mean: among
    /// endpoints that all but never fail, the deviation is so small that one failure more would be
    /// an outlier.
    pub(in crate::balance) fn new(rates: &[f64], policy: SuccessRatePolicy) -> Option<Self> {
        if rates.is_empty() || rates.len() < policy.endpoints_min as usize {
            return None;
        }
        let count = rates.len() as f64;
        let mean = rates.iter().sum::<f64>() / count;
        let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
        let deviation = f64::from(policy.deviation_thousandths) / 1000.0;
        let least = (mean - deviation * variance.sqrt()).min(mean - limits::SUCCESS_RATE_DISTANCE);
        Some(Self { mean, least })
    }

    /// Whether `conduct` is an outlier: its rate is far below the others', and that is no chance.
    ///
    /// Of many endpoints some are always the last: where all fail now and then, a few requests of
    /// one shard make a low rate by bad luck. Luck as bad or worse among so many requests has a
    /// probability of at most e^(-requests * divergence) (Chernoff 1952).
    pub(in crate::balance) fn condemn(&self, conduct: &Conduct) -> bool {
        let (rate, requests) = (conduct.success_rate(), f64::from(conduct.requests.get()));
        let part = |found: f64, expected: f64| {
            if found == 0.0 {
                0.0
            } else {
                found * (found / expected.max(1e-9)).ln()
            }
        };
        let divergence = part(rate, self.mean) + part(1.0 - rate, 1.0 - self.mean);
        rate < self.least && requests * divergence > -limits::SUCCESS_RATE_CHANCE.ln()
    }
}

/// One shard's share of the requests that a comparison needs.
pub(in crate::balance) fn share(policy: SuccessRatePolicy, shards: u32) -> SuccessRatePolicy {
    let least = policy.requests_min.min(limits::SUCCESS_RATE_REQUESTS_MIN);
    SuccessRatePolicy {
        requests_min: policy.requests_min.div_ceil(shards.max(1)).max(least),
        ..policy
    }
}
