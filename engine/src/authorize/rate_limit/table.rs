//! Buckets of many callers, shared by all shards, in fixed memory.
//!
//! A slot is one word: which caller, and when its bucket is full again. A caller's slot is one of
//! the eight of its set. Shards change slots by compare-and-swap: no lock, and no shard waits for
//! another.
//!
//! ```text
//!   63          46 45                                    0
//!   | mark of the | when the bucket is full again, in ticks |
//!   | caller      |                                         |
//! ```
//!
//! *No two slots for one caller.* A newcomer takes over the slot of its set that is full again
//! first, the first such, and starts where that bucket stood. So the time in a slot never goes
//! back. If two shards bring the same newcomer, both choose the same slot unless one of them saw
//! another change before; whoever comes second finds its swap refused, looks again, and finds the
//! caller.
//!
//! *Nobody is given a new bucket cheaply.* A slot that is taken over is the one with the least
//! debt of eight, and its debt is not forgiven but taken along. Who is being limited has the most:
//! to lose its slot, all others in its set must owe more.
//!
//! The place of a caller depends on a key that is random and secret, so that nobody can choose
//! callers that meet in one set. Two callers of one set have the same mark once in 260,000 times;
//! they then share a bucket, which lets neither pass more.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bucket::{Rate, Taken, Ticks};

/// Slots of a set: one cache line.
const WAYS: usize = 8;
const TICK_BITS: u32 = 46;
const TICKS_MAX: u64 = (1 << TICK_BITS) - 1;

/// Buckets by caller.
#[derive(Debug)]
pub(super) struct Table {
    sets: Box<[Set]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([AtomicU64; WAYS]);

/// Where a caller's bucket is, and by what it is known there.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    set: &'a Set,
    mark: u64,
}

impl Table {
    /// Room for at least `callers`.
    pub(super) fn new(callers: usize) -> Self {
        let count = callers.div_ceil(WAYS).max(1).next_power_of_two();
        let mut sets = Vec::new();
        sets.resize_with(count, Set::default);
        Self { sets: sets.into() }
    }

    /// Takes a token of the bucket of the caller with this hash.
    ///
    /// *Cost:* one cache line; again for each time that another shard was faster.
    pub(super) fn take(&self, caller: u64, rate: Rate, now: Ticks) -> Taken {
        let Some(place) = self.place(caller) else {
            debug_assert!(false, "a table without sets");
            return Taken::Passes(now);
        };
        let now = Ticks(now.0.min(TICKS_MAX));
        loop {
            let (slot, seen) = place.find();
            let Some(slot) = slot else {
                return Taken::Passes(now);
            };
            let taken = rate.take(ticks_of(seen), now);
            let Taken::Passes(full_at) = taken else {
                // A newcomer that is refused at once leaves the slot to its owner.
                return taken;
            };
            let new = place.mark << TICK_BITS | full_at.0.min(TICKS_MAX);
            // Relaxed: the word is all there is, nothing else is published with it.
            let swapped =
                slot.compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed);
            if swapped.is_ok() {
                return taken;
            }
        }
    }

    /// When the caller's bucket is full again, without taking anything.
    pub(super) fn peek(&self, caller: u64) -> Ticks {
        let seen = self.place(caller).map(|place| place.find().1);
        ticks_of(seen.unwrap_or(0))
    }

    fn place(&self, caller: u64) -> Option<Place<'_>> {
        let mask = self.sets.len().wrapping_sub(1);
        let index = usize::try_from(caller & u64::from(u32::MAX)).unwrap_or(0) & mask;
        // A mark of 0 is an empty slot's.
        let mark = (caller >> TICK_BITS).max(1);
        let set = self.sets.get(index)?;
        Some(Place { set, mark })
    }
}

impl<'a> Place<'a> {
    /// The caller's slot, else the one that it would take over; and what stood there.
    fn find(self) -> (Option<&'a AtomicU64>, u64) {
        let mut least: (Option<&AtomicU64>, u64) = (None, u64::MAX);
        for slot in &self.set.0 {
            let seen = slot.load(Ordering::Relaxed);
            if seen >> TICK_BITS == self.mark {
                return (Some(slot), seen);
            }
            if least.0.is_none() || ticks_of(seen) < ticks_of(least.1) {
                least = (Some(slot), seen);
            }
        }
        least
    }
}

fn ticks_of(word: u64) -> Ticks {
    Ticks(word & TICKS_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::{BuildHasher, RandomState};
    use std::num::NonZeroU32;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::io::Instant;

    fn rate(requests: u32, burst: u32) -> Rate {
        let some = |count| NonZeroU32::new(count).expect("not 0");
        Rate::new(some(requests), Duration::from_secs(60), some(burst))
    }

    fn passes(table: &Table, caller: u64, rate: Rate, now: Ticks) -> bool {
        matches!(table.take(caller, rate, now), Taken::Passes(_))
    }

    #[test]
    fn threads_together_pass_exactly_the_burst_of_each_caller() {
        let rate = rate(60, 1000);
        let now = rate.ticks(Instant::from_nanos(1_000_000_000_000));
        let keys = RandomState::new();
        for callers in [1_u64, 40] {
            let table = Table::new(4096);
            let take = |_: u32| {
                let mut passed = 0;
                for round in 0..callers * 1500 {
                    let caller = keys.hash_one(round % callers);
                    passed += u64::from(passes(&table, caller, rate, now));
                }
                passed
            };
            let (table, take) = (&table, &take);
            let total: u64 = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|id| scope.spawn(move || take(id))).collect();
                threads
                    .into_iter()
                    .map(|one| one.join().expect("a count"))
                    .sum()
            });
            assert_eq!(total, callers * 1000);
            assert_eq!(rate.left(table.peek(keys.hash_one(0_u64)), now), 0);
        }
    }

    #[test]
    fn newcomers_in_a_full_table_give_nobody_a_new_bucket() {
        let rate = rate(60, 100);
        let now = rate.ticks(Instant::from_nanos(1_000_000_000_000));
        let keys = RandomState::new();
        let table = Table::new(WAYS);
        // Whoever is refused has spent its burst.
        let limited = keys.hash_one(0_u64);
        while passes(&table, limited, rate, now) {}
        // Ten thousand others come by, a request each.
        let mut others: HashMap<u64, bool> = HashMap::new();
        for other in 1..10_000_u64 {
            others.insert(other, passes(&table, keys.hash_one(other), rate, now));
            assert!(!passes(&table, limited, rate, now), "after {other}");
        }
        // What they could send is bounded by the seven slots that were left.
        let passed = others.values().filter(|passed| **passed).count();
        assert_eq!(passed, (WAYS - 1) * 100);
    }

    #[test]
    fn time_fills_buckets_again() {
        let rate = rate(60, 3);
        let table = Table::new(1);
        let at = |second: u64| rate.ticks(Instant::from_nanos((1_000 + second) * 1_000_000_000));
        let pass = |second| {
            (0..9)
                .filter(|_| passes(&table, 5, rate, at(second)))
                .count()
        };
        assert_eq!(
            [pass(0), pass(1), pass(1), pass(3), pass(100)],
            [3, 1, 0, 2, 3]
        );
    }

    #[test]
    fn the_end_of_the_ticks_lets_pass() {
        let rate = rate(60, 3);
        let table = Table::new(1);
        for _ in 0..10 {
            assert!(passes(&table, 1, rate, Ticks(u64::MAX)));
        }
    }
}
