//! From the shards' intervals to the run's: a merge by interval number.
//!
//! Shards close their intervals at the same instants, so interval `k` of the run is the sum of
//! interval `k` of all shards and is complete when the last one has come. Intervals leave in
//! order. The memory of merged samples goes back to the shards.

use std::collections::VecDeque;

use engine::io::Instant;

use crate::sample::Samples;

use super::shard::Interval;

/// One interval of the run, being merged or complete.
#[derive(Debug)]
pub(crate) struct Merged {
    /// When it began.
    pub from: Instant,
    /// When the last shard closed it.
    pub to: Instant,
    /// The sum of the shards' samples.
    pub samples: Box<Samples>,
    missing: usize,
}

/// Merges intervals of a fixed number of shards.
#[derive(Debug)]
pub(crate) struct Merger {
    shard_count: usize,
    /// Number of the interval at the front of `open`.
    first: usize,
    open: VecDeque<Option<Merged>>,
}

impl Merger {
    /// A merger for `shard_count` shards.
    pub(crate) const fn new(shard_count: usize) -> Self {
        Self {
            shard_count,
            first: 0,
            open: VecDeque::new(),
        }
    }

    /// Takes one shard's interval; gives back the samples' memory, emptied, if it is free.
    pub(crate) fn add(&mut self, interval: Interval) -> Option<Box<Samples>> {
        let Interval {
            number,
            from,
            to,
            mut samples,
            ..
        } = interval;
        let place = number.checked_sub(self.first)?;
        while self.open.len() <= place {
            self.open.push_back(None);
        }
        let slot = self.open.get_mut(place)?;
        let Some(merged) = slot else {
            *slot = Some(Merged {
                from,
                to,
                samples,
                missing: self.shard_count - 1,
            });
            return None;
        };
        merged.samples.add(&samples);
        merged.to = merged.to.max(to);
        merged.missing = merged.missing.saturating_sub(1);
        samples.reset();
        Some(samples)
    }

    /// The next interval if all shards have closed it, or, once they are `ended`, as it is.
    pub(crate) fn next(&mut self, ended: bool) -> Option<Merged> {
        loop {
            let is_complete = match self.open.front()? {
                Some(merged) => merged.missing == 0 || ended,
                None => ended,
            };
            if !is_complete {
                return None;
            }
            self.first += 1;
            if let Some(merged) = self.open.pop_front().flatten() {
                return Some(merged);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(shard: u64, number: usize) -> Interval {
        let mut samples = Box::new(Samples::new(false));
        samples.counts.received_bytes = 1 << (8 * shard);
        let (from, to) = (
            Instant::from_nanos(10 * number as u64),
            Instant::from_nanos(100 + shard),
        );
        Interval {
            shard,
            number,
            from,
            to,
            samples,
        }
    }

    #[test]
    fn an_interval_leaves_when_all_shards_have_closed_it() {
        let mut merger = Merger::new(2);
        assert!(merger.add(interval(0, 0)).is_none());
        assert!(merger.add(interval(0, 1)).is_none());
        assert!(merger.next(false).is_none());
        let spare = merger.add(interval(1, 0)).expect("memory to use again");
        assert_eq!(spare.counts.received_bytes, 0);
        let merged = merger.next(false).expect("a complete interval");
        assert_eq!(merged.samples.counts.received_bytes, 0x101);
        assert_eq!((merged.from.nanos(), merged.to.nanos()), (0, 101));
        assert!(merger.next(false).is_none());
    }

    #[test]
    fn nothing_is_lost_when_a_shard_ended_early() {
        let mut merger = Merger::new(2);
        merger.add(interval(0, 1));
        assert!(merger.next(false).is_none());
        assert_eq!(
            merger.next(true).map(|merged| merged.from.nanos()),
            Some(10)
        );
        assert!(merger.next(true).is_none());
    }
}
