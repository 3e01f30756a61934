//! What the generator itself consumed: CPU time, and time spent waiting for a CPU.
//!
//! `/proc/thread-self/schedstat` has both for the calling thread, in nanoseconds, where the kernel
//! keeps scheduler statistics; the thread's CPU clock stands in where it does not, and then the
//! waiting time is unknown (zero). Read twice per run and thread, never on the hot path.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU consumption since some beginning, or between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time of the thread.
    pub thread: Duration,
    /// Time the thread was ready to run but had no CPU.
    pub waiting: Duration,
    /// CPU time of the whole generator.
    pub process: Duration,
}

impl Usage {
    /// Reads the calling thread and its process.
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let (thread, waiting) = parse_schedstat(&text)
            .unwrap_or_else(|| (cpu_clock(ClockId::ThreadCPUTime), Duration::ZERO));
        Self {
            thread,
            waiting,
            process: cpu_clock(ClockId::ProcessCPUTime),
        }
    }

    /// What was consumed since `earlier`.
    pub(crate) const fn since(&self, earlier: &Self) -> Self {
        Self {
            thread: self.thread.saturating_sub(earlier.thread),
            waiting: self.waiting.saturating_sub(earlier.waiting),
            process: self.process.saturating_sub(earlier.process),
        }
    }
}

/// `CPU-nanoseconds waiting-nanoseconds slices`; zero CPU means the kernel does not count.
pub(super) fn parse_schedstat(text: &str) -> Option<(Duration, Duration)> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (cpu, waiting) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (cpu > 0).then(|| (Duration::from_nanos(cpu), Duration::from_nanos(waiting)))
}

fn cpu_clock(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_lines() {
        let expected = (Duration::from_nanos(1_500), Duration::from_nanos(20));
        assert_eq!(parse_schedstat("1500 20 3\n"), Some(expected));
        assert_eq!(parse_schedstat("0 0 0\n"), None);
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn work_is_seen() {
        let before = Usage::read();
        let mut sum = 0u64;
        while Usage::read().since(&before).thread < Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(
            Usage::read().since(&before).process >= Duration::from_millis(1),
            "{sum}"
        );
    }
}
