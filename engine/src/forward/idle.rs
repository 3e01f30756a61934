//! Idle connections of one endpoint: which may be reused, which must go (pure).
//!
//! In: connections that finished a clean exchange, and `now`. Out: the most recently used one
//! that is still good. LIFO keeps the working set small and lets the surplus age out.
//!
//! A connection leaves when it has been idle for longer than its idle limit (the configured one,
//! or what the peer announced with `Keep-Alive: timeout=` less a margin, whichever is shorter),
//! when its lifetime has passed, when the peer closed it or sent something unasked, or when there
//! are more than the configured number.

use std::collections::VecDeque;
use std::time::Duration;

use crate::io::Instant;
use crate::limits;

/// The bounds of one cluster's idle connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdlePolicy {
    /// Idle connections kept for each endpoint.
    pub idle_max: usize,
    /// Longest idle time.
    pub idle_timeout: Duration,
    /// Longest life; each connection's own is up to a tenth shorter.
    pub lifetime: Duration,
}

impl IdlePolicy {
    /// When a connection made at `now` retires. `random` spreads the ends of connections made
    /// together over a tenth of the lifetime, so that they are not all remade together.
    pub(super) fn retires_at(&self, now: Instant, random: u64) -> Instant {
        let tenth = self.lifetime / 10;
        let share = u32::try_from(random & 0xffff).unwrap_or(0);
        now + self
            .lifetime
            .saturating_sub(tenth.saturating_mul(share) / 0x1_0000)
    }

    /// How long a connection may idle whose peer announced that it keeps it for `announced`
    /// (`Keep-Alive: timeout=`). Zero means not at all.
    pub(super) fn idle_limit(&self, announced: Option<Duration>) -> Duration {
        match announced {
            Some(announced) => self
                .idle_timeout
                .min(announced.saturating_sub(limits::KEEP_ALIVE_MARGIN)),
            None => self.idle_timeout,
        }
    }
}

/// An idle connection.
#[derive(Debug)]
struct Idle<C> {
    connection: C,
    since: Instant,
    until: Instant,
}

impl<C> Idle<C> {
    /// Why it must go, if it must.
    fn fate(&self, now: Instant, is_quiet: impl Fn(&C) -> bool) -> Option<Gone> {
        if self.until <= now {
            return Some(Gone::Expired);
        }
        (!is_quiet(&self.connection)).then_some(Gone::NotQuiet)
    }
}

/// The idle connections of one endpoint, the most recently used last.
#[derive(Debug)]
pub(super) struct IdleList<C> {
    idle: VecDeque<Idle<C>>,
}

impl<C> Default for IdleList<C> {
    fn default() -> Self {
        Self {
            idle: VecDeque::new(),
        }
    }
}

/// Why an idle connection was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The peer closed it, or sent something unasked.
    NotQuiet,
    /// Its time was up.
    Expired,
    /// There were enough others.
    Surplus,
}

impl<C> IdleList<C> {
    /// Keeps `connection` until `until`; the oldest goes when there are more than `idle_max`.
    pub(super) fn put(
        &mut self,
        connection: C,
        now: Instant,
        until: Instant,
        idle_max: usize,
        mut gone: impl FnMut(&C, Gone),
    ) {
        if until <= now || idle_max == 0 {
            let why = if until <= now {
                Gone::Expired
            } else {
                Gone::Surplus
            };
            gone(&connection, why);
            return;
        }
        while self.idle.len() >= idle_max {
            if let Some(oldest) = self.idle.pop_front() {
                gone(&oldest.connection, Gone::Surplus);
            }
        }
        self.idle.push_back(Idle {
            connection,
            since: now,
            until,
        });
    }

    /// The most recently used connection that is good and has idled no longer than `age_max`.
    /// Those found dead or expired on the way are dropped.
    pub(super) fn take(
        &mut self,
        now: Instant,
        age_max: Duration,
        is_quiet: impl Fn(&C) -> bool,
        mut gone: impl FnMut(&C, Gone),
    ) -> Option<C> {
        while let Some(last) = self.idle.back() {
            if now.since(last.since) > age_max {
                return None;
            }
            let idle = self.idle.pop_back()?;
            match idle.fate(now, &is_quiet) {
                None => return Some(idle.connection),
                Some(why) => gone(&idle.connection, why),
            }
        }
        None
    }

    /// Drops what is dead or expired.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        is_quiet: impl Fn(&C) -> bool,
        mut gone: impl FnMut(&C, Gone),
    ) {
        self.idle.retain(|idle| match idle.fate(now, &is_quiet) {
            None => true,
            Some(why) => {
                gone(&idle.connection, why);
                false
            }
        });
        if self.idle.is_empty() {
            self.idle.shrink_to_fit();
        }
    }

    /// Since when the one that has idled longest does.
    pub(super) fn oldest_since(&self) -> Option<Instant> {
        self.idle.front().map(|idle| idle.since)
    }

    /// Drops the one that has idled longest.
    pub(super) fn drop_oldest(&mut self) {
        self.idle.pop_front();
    }

    /// How many connections idle here.
    pub(super) fn len(&self) -> usize {
        self.idle.len()
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.idle.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn policy() -> IdlePolicy {
        IdlePolicy {
            idle_max: 2,
            idle_timeout: Duration::from_secs(30),
            lifetime: LONG,
        }
    }

    #[test]
    fn the_last_in_is_the_first_out() {
        let mut list = IdleList::default();
        list.put('a', at(1), at(31), 8, |_, _| ());
        list.put('b', at(2), at(32), 8, |_, _| ());
        assert_eq!(list.take(at(3), LONG, |_| true, |_, _| ()), Some('b'));
        assert_eq!(list.take(at(3), LONG, |_| true, |_, _| ()), Some('a'));
        assert_eq!(list.take(at(3), LONG, |_| true, |_, _| ()), None);
    }

    #[test]
    fn the_dead_and_the_expired_are_passed_over_and_dropped() {
        let mut list = IdleList::default();
        list.put('a', at(1), at(100), 8, |_, _| ());
        list.put('b', at(2), at(3), 8, |_, _| ());
        list.put('c', at(2), at(100), 8, |_, _| ());
        let mut gone = Vec::new();
        let taken = list.take(
            at(4),
            LONG,
            |&name| name != 'c',
            |&name, why| gone.push((name, why)),
        );
        assert_eq!(taken, Some('a'));
        assert_eq!(gone, [('c', Gone::NotQuiet), ('b', Gone::Expired)]);
        assert_eq!(list.len(), 0);
    }

    #[test]
    fn the_surplus_drops_the_oldest() {
        let mut list = IdleList::default();
        for (name, second) in [('a', 1), ('b', 2), ('c', 3)] {
            list.put(name, at(second), at(100), policy().idle_max, |_, _| ());
        }
        assert_eq!(list.len(), 2);
        list.sweep(at(4), |&name| name != 'b', |_, _| ());
        assert_eq!(list.take(at(4), LONG, |_| true, |_, _| ()), Some('c'));
        assert_eq!(list.take(at(4), LONG, |_| true, |_, _| ()), None);
    }

    #[test]
    fn who_cannot_repeat_gets_only_a_connection_that_was_just_used() {
        let mut list = IdleList::default();
        list.put('a', at(1), at(100), 8, |_, _| ());
        assert_eq!(
            list.take(at(5), Duration::from_secs(1), |_| true, |_, _| ()),
            None
        );
        assert_eq!(list.len(), 1);
        list.put('b', at(5), at(100), 8, |_, _| ());
        assert_eq!(
            list.take(at(5), Duration::from_secs(1), |_| true, |_, _| ()),
            Some('b')
        );
    }

    #[test]
    fn the_peers_announcement_shortens_the_idle_time() {
        let policy = policy();
        for (announced, seconds) in [
            (None, 30),
            (Some(5), 4),
            (Some(120), 30),
            (Some(1), 0),
            (Some(0), 0),
        ] {
            let limit = policy.idle_limit(announced.map(Duration::from_secs));
            assert_eq!(limit.as_secs(), seconds, "{announced:?}");
        }
    }

    #[test]
    fn lifetimes_spread_over_a_tenth() {
        let policy = policy();
        assert_eq!(policy.retires_at(at(0), 0), at(3600));
        let shortest = policy.retires_at(at(0), u64::MAX);
        assert!(shortest > at(3239) && shortest < at(3241), "{shortest:?}");
    }

    #[test]
    fn a_connection_that_may_not_idle_is_not_kept() {
        let mut list = IdleList::default();
        list.put('a', at(1), at(1), 8, |_, _| ());
        list.put('b', at(1), at(9), 0, |_, _| ());
        assert_eq!(list.len(), 0);
    }
}
