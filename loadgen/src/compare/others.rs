//! What others took of the processors while an entry was measured.
//!
//! A processor works for the programs of the comparison, for other programs, or, on a virtual
//! machine, it was given away (*stolen*). How long it worked and was gone is in `/proc/stat`; what
//! the programs of the comparison used of it is known from their clocks; the rest is others. The
//! kernel counts by ticks, so that a share has an error of a few percent over a second.
//!
//! Others make the proxy wait, which is most of its largest times then; and they keep its processor
//! awake, which at a fixed rate saves it a tenth or two of its CPU time. So such a run says more
//! about them than about the proxy.

use std::fs;
use std::time::Duration;

use engine::io::{Instant, clock};
use serde::{Deserialize, Serialize};

use crate::environment::Ticks;

/// The share that others may take of the processors on one side: well above the error of a share,
/// well below what one busy program takes.
const SHARE_MAX: f64 = 0.10;
/// Ticks of `/proc/stat` in a second (`USER_HZ`); on the machines of today it is this everywhere.
const TICKS_PER_SECOND: f64 = 100.0;

/// The shares that others took.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Others {
    /// Of the processors of the entries.
    pub proxy_share: f64,
    /// Of the processors of origin and generator.
    pub load_share: f64,
}

impl Others {
    /// Why a run with these shares does not count, if it does not.
    pub(crate) fn complaint(&self, plural: &str) -> Option<String> {
        let [proxy, load] = [self.proxy_share, self.load_share].map(|share| share * 100.0);
        let most = self.proxy_share.max(self.load_share);
        (most > SHARE_MAX).then(|| {
            format!(
                "others took {proxy:.0} % of the processors of the {plural} and {load:.0} % of \
                 those of the load"
            )
        })
    }
}

/// CPU time that the programs of the comparison have used so far, on either side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// The entries.
    pub by_proxy: Duration,
    /// Origin and generator.
    pub by_load: Duration,
}

/// A reading of the clocks.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    at: Instant,
    /// What `/proc/stat` said.
    stat: String,
    used: Used,
}

impl Reading {
    /// Reads; `used` must have been read just now.
    pub(crate) fn now(used: Used) -> Self {
        Self {
            at: clock::now(),
            stat: fs::read_to_string("/proc/stat").unwrap_or_default(),
            used,
        }
    }

    /// What others took since `begin` of the processors of the entries and of the load.
    pub(crate) fn since(&self, begin: &Self, cpus: [&[usize]; 2]) -> Others {
        let seconds = self.at.since(begin.at).as_secs_f64();
        let share = |cpus: &[usize], now: Duration, before: Duration| {
            let gone = |stat: &str| cpus.iter().filter_map(|&cpu| gone_ticks(stat, cpu)).sum();
            let (now_gone, before_gone): (u64, u64) = (gone(&self.stat), gone(&begin.stat));
            let gone = now_gone.saturating_sub(before_gone) as f64 / TICKS_PER_SECOND;
            let own = now.saturating_sub(before).as_secs_f64();
            let share = (gone - own) / (seconds * cpus.len() as f64);
            // Nothing told, and no time, are no share.
            if share.is_finite() {
                share.clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        let (now, before) = (self.used, begin.used);
        Others {
            proxy_share: share(cpus[0], now.by_proxy, before.by_proxy),
            load_share: share(cpus[1], now.by_load, before.by_load),
        }
    }
}

/// Ticks in which a processor was not idle.
fn gone_ticks(stat: &str, cpu: usize) -> Option<u64> {
    let ticks = Ticks::of(&format!("cpu{cpu}"), stat)?;
    Some(ticks.busy + ticks.stolen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "cpu  9 9 9 9 9 9 9 9\ncpu0 1 1 1 50 50 1 1 1 0 0\ncpu1 0 0 0 0 0 0 0 0\n\
                         cpu11 500 0 0 0 0 0 0 0\nintr 1 2 3\n";

    fn reading(seconds: u64, stat: &str, used: [u64; 2]) -> Reading {
        let [by_proxy, by_load] = used.map(Duration::from_millis);
        Reading {
            at: Instant::from_nanos(seconds * 1_000_000_000),
            stat: stat.into(),
            used: Used { by_proxy, by_load },
        }
    }

    #[test]
    fn idle_time_is_nobodys_and_stolen_time_is_others() {
        assert_eq!(gone_ticks(BEGIN, 0), Some(6));
        assert_eq!(gone_ticks(BEGIN, 1), Some(0));
        assert_eq!(gone_ticks(BEGIN, 2), None);
    }

    #[test]
    fn what_nobody_of_ours_used_was_taken_by_others() {
        let end = "cpu0 100 1 1 70 60 1 1 2 0 0\ncpu1 0 60 0 0 0 0 0 20\ncpu11 900 0 0 0 0 0 0 0\n";
        let begin = reading(10, BEGIN, [500, 100]);
        let end = reading(12, end, [1_400, 720]);
        // Processor 0 worked for 1.0 s of 2 s, for the proxy 0.9 of it; processor 1 was gone for
        // 0.8 s, for the load 0.62 of it.
        let others = end.since(&begin, [&[0], &[1]]);
        assert!((others.proxy_share - 0.05).abs() < 1e-9, "{others:?}");
        assert!((others.load_share - 0.09).abs() < 1e-9, "{others:?}");
        assert_eq!(others.complaint("proxies"), None);
        // Of two processors it is half of that.
        let others = end.since(&begin, [&[0, 2], &[1]]);
        assert!((others.proxy_share - 0.025).abs() < 1e-9, "{others:?}");
    }

    #[test]
    fn a_run_that_others_disturbed_says_so() {
        let others = Others {
            proxy_share: 0.02,
            load_share: 0.31,
        };
        let complaint = others.complaint("proxies").expect("a complaint");
        assert!(
            complaint.contains("2 % of the processors of the proxies and 31 %"),
            "{complaint}"
        );
    }

    #[test]
    fn what_is_not_told_is_no_share() {
        let (begin, end) = (reading(10, "", [0, 0]), reading(10, "", [0, 0]));
        assert_eq!(end.since(&begin, [&[0], &[1]]), Others::default());
    }
}
