//! Round robin: whose turn it is.
//!
//! Endpoints of equal weight take turns in a circle, in which shards begin far from each other.
//! Those of different weights are due at
//! moments of a clock that only picks move: an endpoint of weight `w` is due `w` times in each
//! period, at equal distances, and whoever is due next is picked. So over one period each is
//! picked exactly as often as its weight says and never in a burst. The due moments of different
//! endpoints are shifted against each other by the golden ratio, which spreads any number of them
//! evenly, and by the shard, so that shards do not follow one another.
//!
//! Cost: constant for equal weights, else one replacement in a heap. Nobody looks at all endpoints.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::roster::Roster;

/// Length of a period: more than the largest weight, so that two turns of one endpoint differ. A
/// million picks a second of one endpoint reach the end of the clock after four years; from then
/// on turns go by place.
const PERIOD: u64 = 1 << 17;

const _: () = assert!(PERIOD > crate::limits::WEIGHT_MAX as u64);

/// The position of one shard in a cluster's turn.
#[derive(Debug)]
pub(in crate::balance) enum Turns {
    /// All weights are equal: where the next search begins.
    Equal(usize),
    /// They are not.
    Weighted(Schedule),
}

/// When each endpoint is due.
#[derive(Debug)]
pub(in crate::balance) struct Schedule {
    due: BinaryHeap<Reverse<(u64, u32)>>,
    now: u64,
    shard: u32,
    strides: Vec<Stride>,
}

/// The distance between two turns of one endpoint.
#[derive(Clone, Debug)]
struct Stride {
    weight: u32,
    /// What the whole numbers of earlier distances left out, in units of 1 / `weight`.
    left_out: u32,
    is_queued: bool,
}

impl Stride {
    fn next(&mut self) -> u64 {
        let weight = u64::from(self.weight);
        let rest = PERIOD.checked_rem(weight).unwrap_or(0);
        let left_out = u64::from(self.left_out).saturating_add(rest);
        let carries = left_out >= weight;
        let left_out = if carries {
            left_out.saturating_sub(weight)
        } else {
            left_out
        };
        self.left_out = u32::try_from(left_out).unwrap_or(0);
        distance(self.weight).saturating_add(u64::from(carries))
    }
}

/// The fractional part of this multiple of the golden ratio, in 2^32 parts.
fn golden(number: u32) -> u64 {
    u64::from(number.wrapping_mul(0x9e37_79b9))
}

/// Where a shard begins in a circle of so many. Shards go round equally fast: if they began side by
/// side, an endpoint would have a request of each at once and then none for a whole round.
fn begin(shard: u32, count: usize) -> usize {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let place = u64::from(count).saturating_mul(golden(shard)) >> 32;
    usize::try_from(place).unwrap_or(0)
}

/// The whole part of the distance between two turns of an endpoint of this weight.
fn distance(weight: u32) -> u64 {
    PERIOD.checked_div(u64::from(weight)).unwrap_or(PERIOD)
}

impl Turns {
    /// The turns of places with these weights, none of which has joined.
    pub(in crate::balance) fn new(weights: &[u32], is_equal: bool, shard: u32) -> Self {
        if is_equal {
            return Self::Equal(begin(shard, weights.len()));
        }
        let stride = |weight: &u32| Stride {
            weight: *weight,
            left_out: 0,
            is_queued: false,
        };
        Self::Weighted(Schedule {
            due: BinaryHeap::new(),
            now: 0,
            shard,
            strides: weights.iter().map(stride).collect(),
        })
    }

    /// `place` has come into the roster.
    pub(in crate::balance) fn join(&mut self, place: u32) {
        if let Self::Weighted(schedule) = self {
            schedule.join(place);
        }
    }

    /// The place in `roster` whose turn it is.
    pub(in crate::balance) fn next(&mut self, roster: &Roster) -> Option<u32> {
        match self {
            Self::Equal(next) => {
                let at = next.checked_rem(roster.count())?;
                *next = at.saturating_add(1);
                roster.at(at)
            }
            Self::Weighted(schedule) => schedule.next(roster),
        }
    }
}

impl Schedule {
    fn join(&mut self, place: u32) {
        let Some(stride) = self.strides.get_mut(place as usize) else {
            return;
        };
        if stride.weight == 0 || stride.is_queued {
            return;
        }
        stride.is_queued = true;
        let distance = distance(stride.weight);
        let number = place
            .wrapping_add(1)
            .wrapping_add(self.shard.wrapping_mul(7919));
        let phase = distance.saturating_mul(golden(number)) >> 32;
        self.due
            .push(Reverse((self.now.saturating_add(phase), place)));
    }

    fn next(&mut self, roster: &Roster) -> Option<u32> {
        while let Some(mut first) = self.due.peek_mut() {
            let Reverse((due, place)) = *first;
            let stride = self.strides.get_mut(place as usize)?;
            if !roster.contains(place) {
                stride.is_queued = false;
                std::collections::binary_heap::PeekMut::pop(first);
                continue;
            }
            self.now = due;
            first.0.0 = due.saturating_add(stride.next());
            return Some(place);
        }
        None
    }
}
