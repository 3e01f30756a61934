//! Does the generator measure what happens? Its figures against witnesses that know the truth: the
//! origin's record of what it really did, and a client and a server with nothing of this program
//! in them.
//!
//! The promise is an error of each percentile below 1 % plus 20 us, and a rate within 0.1 %. Other
//! programs on the machine can only add to an error, so each percentile counts with the best of a
//! bounded number of attempts. A fault of the generator is in every attempt and in every
//! percentile: a request stamped 0.1 ms late or early fails them all.

mod harness;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use harness::log::sum_of_series;
use harness::witness::{self, Listener};
use harness::{Origin, Run, pause, run, scratch};
use hdrhistogram::Histogram;
use rustix::process::Signal;

/// How often a timed comparison is tried.
const ATTEMPTS: usize = 15;
/// The percentiles that are compared; none lies where a distribution below jumps.
const PERCENTILES: [f64; 7] = [10.0, 25.0, 50.0, 85.0, 90.0, 97.0, 99.0];

/// How far a percentile is off, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Error {
    percentile: f64,
    truth: f64,
    measured: f64,
}

impl Error {
    /// As a share of what is allowed: 1 % plus 20 us.
    fn share(&self) -> f64 {
        (self.measured - self.truth).abs() / (self.truth * 0.01 + 20_000.0)
    }

    fn least(self, other: Self) -> Self {
        if self.share() <= other.share() {
            self
        } else {
            other
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (truth, off) = (self.truth / 1e3, (self.measured - self.truth) / 1e3);
        write!(f, "p{} is {off:+.1} us off {truth:.0} us", self.percentile)
    }
}

/// The errors of `measured` if the times of `truth`, each `transit` longer, are right.
fn errors(measured: &Histogram<u64>, truth: &Histogram<u64>, transit: f64) -> [Error; 7] {
    assert_eq!(measured.len(), truth.len(), "every request is in both");
    PERCENTILES.map(|percentile| Error {
        percentile,
        truth: truth.value_at_percentile(percentile) as f64 + transit,
        measured: measured.value_at_percentile(percentile) as f64,
    })
}

/// Tries until each percentile was right once.
fn assert_accurate(name: &str, attempt: impl Fn() -> [Error; 7]) {
    let mut best = attempt();
    for tried in 1.. {
        let holds = best.iter().all(|error| error.share() <= 1.0);
        if holds || tried == ATTEMPTS {
            let told: Vec<String> = best.iter().map(ToString::to_string).collect();
            println!("{name}, {tried} attempts: {}", told.join("; "));
            assert!(holds, "a percentile was right in none of {tried} attempts");
            return;
        }
        let mut next = attempt().into_iter();
        best = best.map(|error| next.next().map_or(error, |other| error.least(other)));
    }
}

/// What the way to the origin and back takes, and waking up on both sides: as a plain client sees
/// it, less what the origin says it did itself. A processor that has slept is slow at first, so the
/// client of an open loop pauses before it asks.
fn transit(name: &str, is_open: bool) -> f64 {
    let path = scratch(&format!("{name}-transit.hlog"));
    let origin = Origin::start(&["--delay", "1ms", "--hlog", path.to_str().expect("a path")]);
    let pause = Duration::from_millis(u64::from(is_open));
    let seen = witness::ask(origin.address(), 200, pause);
    assert!(origin.drain().0);
    let kept = sum_of_series(&path, None);
    seen.value_at_percentile(50.0) as f64 - kept.value_at_percentile(50.0) as f64
}

/// One run against an origin with these delays: the generator's times, and the origin's record.
fn measure(name: &str, delays: &str, load: &[&str]) -> (Histogram<u64>, Histogram<u64>) {
    let (ours, theirs) = (
        scratch(&format!("{name}.hlog")),
        scratch(&format!("{name}-origin.hlog")),
    );
    let theirs_text = theirs.to_str().expect("a path");
    let origin = Origin::start(&["--delay", delays, "--hlog", theirs_text]);
    let log = ["--hlog", ours.to_str().expect("a path"), "-d", "1s"];
    run(&origin.url("/"), &[load, &log[..]].concat()).assert_answered();
    assert!(origin.drain().0);
    // From sending on: that part the origin can know. A closed loop has only that.
    let tag = load.contains(&"--rate").then_some("uncorrected");
    (sum_of_series(&ours, tag), sum_of_series(&theirs, None))
}

/// One after the other: at the same time they would disturb each other.
#[test]
fn percentiles_are_those_of_the_origin() {
    const STEPS: &str = "1ms:0.8,5ms:0.15,20ms:0.05";
    for (name, delays, load) in [
        ("steps", STEPS, &["--rate", "800"][..]),
        ("even", "1ms..9ms", &["--rate", "800"]),
        ("closed", STEPS, &["-c", "4"]),
    ] {
        assert_accurate(name, || {
            let transit = transit(name, load.contains(&"--rate"));
            let (measured, truth) = measure(name, delays, load);
            errors(&measured, &truth, transit)
        });
    }
}

/// The schedule as a server sees it that takes its own time of every arrival.
#[test]
fn the_scheduled_rate_is_met() {
    for rate in [500, 333] {
        let mut rates = Vec::new();
        for _ in 0..ATTEMPTS {
            let listener = Listener::start();
            let (rate_text, count) = (rate.to_string(), 2 * rate);
            let options = ["--rate", &rate_text, "-d", "2s", "-c", "16", "-t", "2"];
            run(&listener.url(), &options).assert_answered();
            let arrivals = listener.arrivals();
            assert_eq!(arrivals.len(), count, "no more and no less than were due");
            rates.push(slope(&arrivals));
            if rates
                .last()
                .is_some_and(|&seen| is_within(seen, rate as f64, 0.001))
            {
                break;
            }
        }
        println!("{rate}/s came at {rates:?}");
        let seen = rates.last().copied().unwrap_or_default();
        assert!(
            is_within(seen, rate as f64, 0.001),
            "{rate}/s came at {rates:?}"
        );
    }
}

/// Arrivals per second: the line of least squares through all of them, which no single late one
/// turns.
fn slope(arrivals: &[Duration]) -> f64 {
    let count = arrivals.len() as f64;
    let seconds = || arrivals.iter().map(Duration::as_secs_f64);
    let (mean_time, mean_number) = (seconds().sum::<f64>() / count, (count - 1.0) / 2.0);
    let points = || seconds().map(|time| time - mean_time).zip(0..);
    let rise: f64 = points()
        .map(|(time, number)| time * (f64::from(number) - mean_number))
        .sum();
    let run: f64 = points().map(|(time, _)| time * time).sum();
    rise / run
}

fn is_within(seen: f64, truth: f64, share: f64) -> bool {
    (seen - truth).abs() <= truth * share
}

/// A server that stands still for 1.4 s answers four requests late, as a closed loop would say; but
/// everything that was due meanwhile waited, and a p99 that does not say so is wrong.
#[test]
fn a_stall_shows_in_the_corrected_p99_and_not_in_the_uncorrected_one() {
    const P99: &str = "percentiles_ns/99";
    let origin = Origin::start(&[]);
    let options = ["--rate", "300", "--connections", "4", "--duration", "5s"];
    let running = Run::start(&origin.url("/"), &options);
    pause(Duration::from_millis(1_500));
    origin.signal(Signal::STOP);
    pause(Duration::from_millis(1_400));
    origin.signal(Signal::CONT);
    let measured = running.result();
    measured.assert_answered();
    assert_eq!(measured.count("requests/due"), 1_500);
    // 420 of the 1,500 were due in the stall; the worst hundredth waited all but 50 ms of it.
    let corrected = measured.time(&format!("response_time/{P99}"));
    assert!(corrected >= Duration::from_millis(1_340), "{corrected:?}");
    let uncorrected = measured.time(&format!("service_time/{P99}"));
    assert!(uncorrected < Duration::from_millis(140), "{uncorrected:?}");
    // The uncorrected series has it too, in the four requests that were on their way.
    assert!(measured.time("service_time/max_ns") >= Duration::from_millis(1_340));
    // More than a second's requests found all four connections waiting; that they left late is
    // not the generator's fault and not in its lag.
    assert!(measured.count("requests/waited_for_connection") > 300);
    assert!(measured.time(&format!("send_lag/{P99}")) < Duration::from_millis(140));
}
