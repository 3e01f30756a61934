//! Deadlines of one shard: a heap of wake-up times in which moving a deadline costs nothing.
//!
//! A deadline is a number in a slot. The heap holds at most one *scheduled* entry per slot that is
//! not later than the deadline; when it comes up and the deadline has moved on, it is put back at
//! the new time. A connection that pushes its idle deadline forward at each request thus touches
//! the heap once per idle period, not once per request. Deadlines are rounded up to
//! [`limits::TIMER_GRAIN`] so that an idle shard wakes for many at once; exact sleeps are not.
//!
//! Pure: time comes in as an argument.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;

use crate::io::Instant;
use crate::limits;

/// Entries of the heap beyond one for each slot, before the stale ones are thrown out.
const SPARE_ENTRIES: usize = 64;

/// Names a deadline of this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(u32);

#[derive(Debug)]
struct Slot {
    /// When to wake the owner; `NEVER` = disarmed.
    deadline: Instant,
    /// The earliest entry in the heap for this slot; `NEVER` = none.
    scheduled: Instant,
    waker: Option<Waker>,
}

/// All deadlines of a shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    slots: Slab<Slot>,
    heap: BinaryHeap<Reverse<(Instant, TimerKey)>>,
}

impl Timers {
    pub(crate) fn insert(&mut self) -> TimerKey {
        let slot = Slot {
            deadline: Instant::NEVER,
            scheduled: Instant::NEVER,
            waker: None,
        };
        TimerKey(u32::try_from(self.slots.insert(slot)).unwrap_or(u32::MAX))
    }

    /// Entries left in the heap are recognised as stale when they come up.
    pub(crate) fn remove(&mut self, key: TimerKey) {
        self.slots.try_remove(key.0 as usize);
    }

    /// Move the deadline. Touches the heap only when nothing is scheduled early enough.
    pub(crate) fn arm(&mut self, key: TimerKey, at: Instant) {
        let Some(slot) = self.slots.get_mut(key.0 as usize) else {
            return;
        };
        slot.deadline = at;
        if at < slot.scheduled {
            slot.scheduled = at;
            self.heap.push(Reverse((at, key)));
            if self.heap.len() > 2 * self.slots.len() + SPARE_ENTRIES {
                self.drop_stale();
            }
        }
    }

    /// Rebuild the heap from what is scheduled. Connections that come and go would otherwise leave
    /// an entry each for as long as their deadlines are away.
    fn drop_stale(&mut self) {
        self.heap.clear();
        let entries = self.slots.iter().filter_map(|(key, slot)| {
            let key = TimerKey(u32::try_from(key).unwrap_or(u32::MAX));
            (slot.scheduled != Instant::NEVER).then_some(Reverse((slot.scheduled, key)))
        });
        self.heap.extend(entries);
    }

    /// Whether the deadline has passed; if not, `waker` is called when it does.
    pub(crate) fn elapsed(&mut self, key: TimerKey, now: Instant, waker: &Waker) -> bool {
        let Some(slot) = self.slots.get_mut(key.0 as usize) else {
            return true;
        };
        if slot.deadline <= now {
            return true;
        }
        if !slot
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            slot.waker = Some(waker.clone());
        }
        false
    }

    /// When [`Timers::fire`] is to be called next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Wake the owners of all deadlines that have passed.
    pub(crate) fn fire(&mut self, now: Instant) {
        while let Some(Reverse((at, key))) = self.heap.peek().copied() {
            if at > now {
                return;
            }
            self.heap.pop();
            let Some(slot) = self.slots.get_mut(key.0 as usize) else {
                continue;
            };
            if slot.scheduled != at {
                continue; // An earlier entry replaced this one, or the slot has a new owner.
            }
            slot.scheduled = Instant::NEVER;
            if slot.deadline <= now {
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            } else if slot.deadline != Instant::NEVER {
                slot.scheduled = slot.deadline;
                self.heap.push(Reverse((slot.deadline, key)));
            }
        }
    }
}

/// `at`, rounded up to the timer grain.
pub(crate) fn coarse(at: Instant) -> Instant {
    let grain = duration_nanos(limits::TIMER_GRAIN);
    match at.nanos().checked_next_multiple_of(grain) {
        Some(nanos) => Instant::from_nanos(nanos),
        None => Instant::NEVER,
    }
}

const fn duration_nanos(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000_000 + duration.subsec_nanos() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn a_moved_deadline_fires_once_at_its_last_place() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut timers = Timers::default();
        let key = timers.insert();
        for deadline in [10, 20, 30] {
            timers.arm(key, at(deadline));
        }
        assert_eq!(
            timers.heap.len(),
            1,
            "later deadlines do not touch the heap"
        );
        assert!(!timers.elapsed(key, at(5), &waker));
        timers.fire(at(15));
        timers.fire(at(29));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timers.fire(at(30));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(timers.elapsed(key, at(30), &waker));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn an_earlier_deadline_is_not_missed_and_a_disarmed_one_is() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut timers = Timers::default();
        let key = timers.insert();
        timers.arm(key, at(100));
        timers.arm(key, at(10));
        assert!(!timers.elapsed(key, at(1), &waker));
        timers.fire(at(10));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        timers.arm(key, Instant::NEVER);
        timers.fire(at(1000));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_reused_slot_does_not_inherit_an_old_entry() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut timers = Timers::default();
        let old = timers.insert();
        timers.arm(old, at(10));
        timers.remove(old);
        let new = timers.insert();
        assert_eq!(old, new);
        timers.arm(new, at(50));
        assert!(!timers.elapsed(new, at(1), &waker));
        timers.fire(at(20));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timers.fire(at(50));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_armed_and_removed_does_not_pile_up() {
        let mut timers = Timers::default();
        let kept = timers.insert();
        timers.arm(kept, at(500));
        for round in 0..100_000 {
            let key = timers.insert();
            timers.arm(key, at(1_000_000 + round));
            timers.arm(key, at(1_000));
            timers.remove(key);
        }
        assert!(timers.heap.len() <= 4 * SPARE_ENTRIES);
        assert_eq!(timers.next(), Some(at(500)));
    }

    #[test]
    fn coarse_rounds_up() {
        let grain = duration_nanos(limits::TIMER_GRAIN);
        assert_eq!(coarse(at(1)), at(grain));
        assert_eq!(coarse(at(grain)), at(grain));
        assert_eq!(coarse(Instant::NEVER), Instant::NEVER);
    }
}
