//! The virtual clock: what happens when, in order.
//!
//! In: events with their times. Out: the earliest one; of several at one time the one that was
//! noted first, so that a run depends on its seed and on nothing else.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use engine::io::Instant;

/// What is to happen.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    now: Instant,
    noted: u64,
    entries: BinaryHeap<Reverse<Entry<E>>>,
}

#[derive(Debug)]
struct Entry<E> {
    at: Instant,
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// Nothing is to happen, and it is `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            now,
            noted: 0,
            entries: BinaryHeap::new(),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// `event` is to happen `after` this moment.
    pub(crate) fn note(&mut self, after: Duration, event: E) {
        self.noted += 1;
        self.entries.push(Reverse(Entry {
            at: self.now + after,
            number: self.noted,
            event,
        }));
    }

    /// Goes on to the next event, if there is one before `end`.
    pub(crate) fn next(&mut self, end: Instant) -> Option<E> {
        let Reverse(first) = self.entries.peek()?;
        if first.at >= end {
            return None;
        }
        let Reverse(first) = self.entries.pop()?;
        self.now = first.at;
        Some(first.event)
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_their_order() {
        let mut agenda = Agenda::new(Instant::from_nanos(5));
        for (after, event) in [(9, 'c'), (3, 'a'), (3, 'b'), (20, 'd')] {
            agenda.note(Duration::from_nanos(after), event);
        }
        let end = Instant::from_nanos(25);
        let events: Vec<_> = std::iter::from_fn(|| agenda.next(end)).collect();
        assert_eq!(events, ['a', 'b', 'c']);
        assert_eq!(agenda.now(), Instant::from_nanos(14));
    }
}
