//! How long to wait before the next attempt at reaching etcd.
//!
//! Each member is tried once before any wait; after that waits double, and all proxies wait
//! differently long, so that they do not come back at one moment. Pure.

use std::time::Duration;

use crate::limits;

/// The wait after this many failed attempts in a row with so many members; `random` is any number.
pub(super) fn after(failures: u32, members: usize, random: u64) -> Duration {
    let members = u32::try_from(members).unwrap_or(u32::MAX).max(1);
    let rounds = failures / members;
    if rounds == 0 || !failures.is_multiple_of(members) {
        return Duration::ZERO;
    }
    let doubled = limits::ETCD_RETRY_MIN.saturating_mul(1 << (rounds - 1).min(16));
    let most = doubled.min(limits::ETCD_RETRY_MAX);
    // Half of it to all of it.
    let thousandths = u32::try_from(500 + random % 501).unwrap_or(1000);
    most.saturating_mul(thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_tried_before_a_wait_and_waits_double() {
        let waits = |members: usize| -> Vec<u128> {
            let waits = (1..=30).map(|failures| after(failures, members, 500).as_millis());
            waits.collect()
        };
        assert_eq!(waits(1)[..8], [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(waits(3)[..9], [0, 0, 100, 0, 0, 200, 0, 0, 400]);
        assert_eq!(waits(1)[29], 5000);
    }

    #[test]
    fn proxies_wait_differently_long() {
        for random in 0..2000 {
            let wait = after(20, 1, random);
            assert!(wait >= limits::ETCD_RETRY_MAX / 2 && wait <= limits::ETCD_RETRY_MAX);
        }
        assert_ne!(after(20, 1, 1), after(20, 1, 400));
    }
}
