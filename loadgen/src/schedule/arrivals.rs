//! How requests are spaced along the work of a run, whatever its rate is at the time.
//!
//! A law places request `number` on the axis of work, where one request is one unit; the course of
//! the rate then says when that is. So every law goes with every course: a Poisson process on the
//! axis of work is one whose rate follows the course in time.

use std::fmt;

use crate::random::Random;

use super::course::REQUEST;

/// What makes the numbers of arrivals differ from others drawn from the same seed.
const STREAM: u64 = 0x6172_7269_7661_6C73;

/// The law by which requests of an open loop arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrivals {
    /// Evenly spaced.
    Constant,
    /// Each as if the others did not exist, as from many users who know nothing of each other.
    Poisson,
    /// So many at once, the groups evenly spaced.
    Burst(u64),
}

impl Arrivals {
    /// Parses `constant`, `poisson`, `burst:100`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let count = |text: &str| text.parse().ok().filter(|&count| count > 0);
        match text.split_once(':') {
            None if text == "constant" => Some(Self::Constant),
            None if text == "poisson" => Some(Self::Poisson),
            Some(("burst", number)) => count(number).map(Self::Burst),
            None | Some(_) => None,
        }
        .ok_or_else(|| format!("`{text}` is not a law; write constant, poisson or burst:100"))
    }

    /// Where on the axis of work request `number` lies, if that needs nothing but its number.
    pub(super) fn place(self, number: u128) -> Option<u128> {
        match self {
            Self::Constant => Some(number * REQUEST),
            Self::Burst(count) => Some(number / u128::from(count) * u128::from(count) * REQUEST),
            Self::Poisson => None,
        }
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => write!(f, "constant"),
            Self::Poisson => write!(f, "poisson"),
            Self::Burst(count) => write!(f, "burst:{count}"),
        }
    }
}

/// What is drawn for one request of a Poisson process: a pure function of seed and number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    /// Work between the request before it and this one: exponential with mean one.
    pub gap: u128,
    /// The shard that sends it: even, and independent of everything else.
    pub shard: u64,
}

impl Draw {
    /// The draw for request `number` of all `shard_count` shards.
    pub(super) fn new(seed: u64, number: u64, shard_count: u64) -> Self {
        let mut random = Random::new(seed ^ STREAM, number);
        let gap = -(1.0 - random.unit()).ln() * REQUEST as f64;
        Self {
            gap: gap as u128,
            shard: random.below(shard_count),
        }
    }
}
