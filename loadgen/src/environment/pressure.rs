//! What else the machine had to do: before the start, and while it was measured.
//!
//! `/proc/pressure` says for how long some task waited for a processor, for input and output, and
//! for memory. During a measurement the programs of the measurement wait as well, so that pressure
//! then is an upper bound of what others did. `/proc/stat` says how busy the processors were, and
//! how much of their time a hypervisor gave to others (*stolen*), which nobody on this side caused.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use engine::io::{Instant, clock};
use serde::{Deserialize, Serialize};

/// The share of stolen time that a reader should know of.
const STOLEN_MENTIONED: f64 = 0.01;

const RESOURCES: [&str; 3] = ["cpu", "io", "memory"];

/// By resource: percentage of the last ten seconds in which some task waited.
pub(super) fn before() -> BTreeMap<String, f64> {
    let percent = |resource: &&str| Some(((*resource).to_owned(), average(&file(resource))?));
    RESOURCES.iter().filter_map(percent).collect()
}

/// What the whole machine did in a measured time, this measurement included.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Meanwhile {
    /// How long it was.
    pub seconds: f64,
    /// By resource: the share of the time in which some task waited.
    pub pressure: BTreeMap<String, f64>,
    /// The share of all processors' time in which they worked; `None` if it is not told.
    pub busy_share: Option<f64>,
    /// The share of all processors' time that a hypervisor gave to others.
    pub stolen_share: Option<f64>,
}

impl Meanwhile {
    /// What a reader should be warned of.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let stolen = self.stolen_share.filter(|&share| share >= STOLEN_MENTIONED);
        let remark = stolen.map(|share| {
            format!(
                "a hypervisor gave {:.1} % of the processors' time to others meanwhile",
                share * 100.0
            )
        });
        remark.into_iter().collect()
    }
}

/// Reads at the beginning and at the end.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    at: Instant,
    waited: BTreeMap<String, Duration>,
    ticks: Option<Ticks>,
}

impl Meter {
    /// The beginning.
    pub(crate) fn begin() -> Self {
        let waited = |resource: &&str| Some(((*resource).to_owned(), total(&file(resource))?));
        Self {
            at: clock::now(),
            waited: RESOURCES.iter().filter_map(waited).collect(),
            ticks: Ticks::of("cpu", &fs::read_to_string("/proc/stat").unwrap_or_default()),
        }
    }

    /// What happened since.
    pub(crate) fn end(&self) -> Meanwhile {
        Self::begin().since(self)
    }

    fn since(&self, begin: &Self) -> Meanwhile {
        let seconds = self.at.since(begin.at).as_secs_f64();
        let share = |(resource, before): (&String, &Duration)| {
            let waited = self.waited.get(resource)?.saturating_sub(*before);
            let share = (waited.as_secs_f64() / seconds).min(1.0);
            share.is_finite().then(|| (resource.clone(), share))
        };
        let ticks = self.ticks.zip(begin.ticks);
        let of_all = |part: fn(&Ticks) -> u64| {
            let (after, before) = ticks?;
            let all = after.all.saturating_sub(before.all);
            (all > 0).then(|| part(&after).saturating_sub(part(&before)) as f64 / all as f64)
        };
        Meanwhile {
            seconds,
            pressure: begin.waited.iter().filter_map(share).collect(),
            busy_share: of_all(|ticks| ticks.busy),
            stolen_share: of_all(|ticks| ticks.stolen),
        }
    }
}

/// Time of one processor or of all since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    all: u64,
    /// In which it worked.
    pub busy: u64,
    /// In which it was given away.
    pub stolen: u64,
}

impl Ticks {
    /// Those of `name` (`cpu0`; `cpu` for all) in `/proc/stat`:
    /// `cpu0 user nice system idle iowait irq softirq steal …`; guests are in user already.
    pub(crate) fn of(name: &str, stat: &str) -> Option<Self> {
        let mut lines = stat.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let ticks: Vec<u64> = numbers.take(8).collect::<Result<_, _>>().ok()?;
        let [_, _, _, idle, waiting, _, _, stolen] = ticks[..] else {
            return None;
        };
        let all = ticks.iter().sum::<u64>();
        Some(Self {
            all,
            busy: all - idle - waiting - stolen,
            stolen,
        })
    }
}

fn file(resource: &str) -> String {
    fs::read_to_string(format!("/proc/pressure/{resource}")).unwrap_or_default()
}

/// The short average of `some avg10=1.23 avg60=… avg300=… total=…`.
fn average(text: &str) -> Option<f64> {
    some(text, "avg10=")?.parse().ok()
}

/// The total of the same line, in microseconds since boot.
fn total(text: &str) -> Option<Duration> {
    some(text, "total=")?
        .parse()
        .ok()
        .map(Duration::from_micros)
}

fn some<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_that_of_some_not_of_all() {
        let text = "some avg10=1.25 avg60=0.10 avg300=0.20 total=1234\nfull avg10=9.0 total=9\n";
        assert_eq!(average(text), Some(1.25));
        assert_eq!(total(text), Some(Duration::from_micros(1_234)));
        assert_eq!((average("full avg10=9.0"), total("")), (None, None));
    }

    #[test]
    fn shares_are_of_the_time_between() {
        let meter = |seconds: u64, waited: u64, stat: &str| Meter {
            at: Instant::from_nanos(seconds * 1_000_000_000),
            waited: [("cpu".to_owned(), Duration::from_secs(waited))].into(),
            ticks: Ticks::of("cpu", stat),
        };
        let begin = meter(10, 3, "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1");
        let end = meter(14, 4, "cpu  10 5 5 60 10 5 3 2 9 9");
        let meanwhile = end.since(&begin);
        assert_eq!(meanwhile.seconds, 4.0);
        assert_eq!(meanwhile.pressure, [("cpu".to_owned(), 0.25)].into());
        assert_eq!(meanwhile.busy_share, Some(0.28));
        assert_eq!(meanwhile.stolen_share, Some(0.02));
        assert!(meanwhile.remarks()[0].contains("2.0 %"));
        assert_eq!(meter(0, 0, "").since(&begin).busy_share, None);
    }

    #[test]
    fn this_machine_works_meanwhile() {
        let meter = Meter::begin();
        let meanwhile = meter.end();
        assert!(meanwhile.seconds >= 0.0 && meanwhile.remarks().len() <= 1);
    }
}
