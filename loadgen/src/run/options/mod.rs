//! Options of `loadgen run`, and the words that teach them.
//!
//! Clap checks single values, [`RunOptions::check`] checks them against each other. What other
//! commands ask as well stands in `request.rs` and `generator.rs`.

pub(crate) mod about;
mod connection;
mod generator;
mod protocol;
mod request;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::condition::Condition;
use crate::quantity;
use crate::schedule::{Arrivals, Pace, Schedule};
use crate::target::Url;

pub(crate) use about::AboutOptions;
pub(crate) use connection::ConnectionOptions;
pub(crate) use generator::GeneratorOptions;
pub(crate) use protocol::ProtocolOptions;
pub(crate) use request::RequestOptions;

/// How long to measure when nothing says so.
const DURATION: Duration = Duration::from_secs(10);

/// The long description.
pub(crate) const LONG: &str = "\
Send requests to a URL and measure how long the answers take.

Without --rate the loop is closed: every connection sends its next request when the last one is
answered. That shows what a target can do at most. It does not show what users see: when the
target stalls, a closed loop stops asking.

With --rate the loop is open: requests are due by a clock, whatever the target does. Response time
counts from the moment a request was due, so time spent waiting for a free connection counts, and a
stall shows in every request it delayed. Nothing is dropped: what is due but unanswered at the end
counts at its age.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Examples:
  loadgen run http://127.0.0.1:8080/ --connections 64 --duration 30s --cpus 1
  loadgen run http://127.0.0.1:8080/ --rate 20k --warmup 2s --hlog run.hlog --hgrm run.hgrm
  loadgen run http://127.0.0.1:8080/ --rate 2k..20k --duration 1m --arrivals poisson --seed 7
  loadgen run http://127.0.0.1:8080/ --rate 1k:10s,8k:2s,1k:10s --arrivals burst:50
  loadgen run http://127.0.0.1:9000/ --mix bench/mixes/shop.toml --rate 2k
  loadgen run http://h/upload -X POST --body-size 64KiB --expect-status 201
  loadgen run https://h/ --http 2 --streams 32 --connections 4
  loadgen run grpc://h:50051/pkg.Service/Method --body @request.bin --rate 2k --streams 100
  loadgen run http://h/file --expect-length 4096 --expect-hash 1f2e3d4c
  loadgen run http://h/ --rate 5k --fail-if 'p99>5ms' --fail-if 'errors>0.1%' --fail-if 'rate<4.9k'

Conditions of --fail-if: FIGURE RELATION BOUND, in quotes, for the shell takes > and < for itself.
  p50 p99 p99.9 mean min max    of the response time; after service. or send_lag. of those
  errors                        share of requests without a right answer
  rate                          right answers per second
  > >= < <=

The exit code is 0 (pass), 1 (error), 2 (wrong answers, a condition of --fail-if) or 3 (the
generator was the bottleneck); README.md of loadgen says how each is decided and what exactly is
measured.";

/// Options of `loadgen run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunOptions {
    /// Who asks.
    #[command(flatten)]
    pub generator: GeneratorOptions,
    /// Requests per second, over all threads: an open loop. Without it, a closed loop.
    ///
    /// `5000` stays, `1k..10k` climbs evenly over the whole time, `1k:10s,0:5s,1k..5k:20s` goes
    /// through phases; a warm-up is sent at the first of these rates.
    #[arg(short, long, value_name = "RATE", value_parser = Pace::parse, help_heading = "Load")]
    pub rate: Option<Pace>,
    /// How the requests of an open loop are spaced: `constant`; `poisson`, as from many users who
    /// know nothing of each other; or `burst:100`, a hundred at once, as often as makes the rate.
    #[arg(long, value_name = "LAW", value_parser = Arrivals::parse, default_value = "constant",
        requires = "rate", help_heading = "Load")]
    pub arrivals: Arrivals,
    /// Start of the random numbers; the same seed sends the same.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Load")]
    pub seed: u64,
    /// How long to measure [default: as long as the phases of --rate, or 10s].
    #[arg(short, long, value_name = "TIME", value_parser = quantity::duration,
        help_heading = "Load")]
    pub duration: Option<Duration>,
    /// How long to send before measuring.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration,
        default_value = "0s", help_heading = "Load")]
    pub warmup: Duration,

    /// Also measure the CPU time and memory of this process and its children.
    #[arg(long, value_name = "PID", help_heading = "Generator")]
    pub watch_pid: Option<u32>,

    /// What is asked.
    #[command(flatten)]
    pub request: RequestOptions,

    /// Fail the run (exit code 2) if this is so, as in 'p99>5ms', 'service.max>=1s',
    /// 'errors>0.1%', 'rate<4.9k'; repeatable. Unless one speaks of errors, 'errors>0' holds too.
    #[arg(long, value_name = "CONDITION", value_parser = Condition::parse,
        help_heading = "Expectations")]
    pub fail_if: Vec<Condition>,

    /// Write the result as JSON; `-` writes it instead of the text.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
    /// Write the percentile spectrum of the response time, for HdrHistogram plotters.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,
    /// Write all histograms second by second, for HdrHistogram log tools.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hlog: Option<PathBuf>,
    /// What the result says besides.
    #[command(flatten)]
    pub about: AboutOptions,
    /// Show no progress.
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Show progress as lines, a line a second, and not as a screen.
    #[arg(long, conflicts_with = "quiet", help_heading = "Output")]
    pub plain: bool,
}

impl RunOptions {
    /// Checks values against each other; gives the URL, taken apart.
    pub(crate) fn check(&self) -> Result<Url, String> {
        if !self.generator.spin.is_zero() && self.rate.is_none() {
            return Err("--spin waits for a due time, so it needs --rate".into());
        }
        if self.rate.is_none()
            && let Some(condition) = self.fail_if.iter().find(|one| one.needs_open_loop())
        {
            return Err(format!(
                "--fail-if '{condition}' needs --rate: a closed loop has no send lag"
            ));
        }
        self.check_scheduled()
    }

    /// The same where a schedule is there without --rate.
    pub(crate) fn check_scheduled(&self) -> Result<Url, String> {
        self.generator.check()?;
        if self.duration().is_zero() {
            return Err("--duration must not be zero".into());
        }
        if let Some(pace) = &self.rate {
            pace.check(self.duration)?;
        }
        self.request.check(&self.generator.connection)
    }

    /// How long to measure.
    pub(crate) fn duration(&self) -> Duration {
        let phases = || self.rate.as_ref().and_then(Pace::length);
        self.duration.or_else(phases).unwrap_or(DURATION)
    }

    /// From the start to the beginning and to the end of the measured time.
    pub(crate) fn window(&self) -> [Duration; 2] {
        [self.warmup, self.warmup + self.duration()]
    }

    /// When requests are due; `None` for a closed loop.
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        let shard_count = self.generator.placement().len() as u64;
        let (pace, window) = (self.rate.as_ref()?, self.window());
        Some(Schedule::paced(
            self.arrivals,
            pace,
            window,
            self.seed,
            shard_count,
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Command, CommandLine};

    fn run(arguments: &str) -> Result<Url, String> {
        let line = format!("loadgen run {arguments}");
        match CommandLine::try_parse_from(line.split(' ')).map(|line| line.command) {
            Ok(Command::Run(options)) => options.check(),
            Ok(_) => unreachable!("`run` was asked for"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn values_are_checked_against_each_other() {
        assert!(run("http://h/").is_ok());
        assert!(run("http://h/ -c 2 --cpus 0-1 --rate 5k --spin 50us").is_ok());
        assert!(
            run("https://h/ --pipeline 4").is_ok()
                && run("http://h/ --http auto --pipeline 4").is_ok()
        );
        for (arguments, complaint) in [
            ("wss://h/", "not spoken"),
            ("http://h/ --insecure", "https://"),
            ("https://h/ --cert a", "--key"),
            ("http://h/ -c 1 -t 2", "less than one"),
            ("http://h/ -t 0", "zero"),
            ("http://h/ -t 2 --cpus 0", "different numbers"),
            ("http://h/ -d 0s", "zero"),
            ("http://h/ --rate 0", "between"),
            ("http://h/ --spin 1us", "--rate"),
            ("http://h/ --arrivals poisson", "--rate"),
            ("http://h/ --rate 5 --arrivals burst:0", "not a law"),
            ("http://h/ --rate 1k:2s,2k:3s -d 10s", "leave one out"),
            ("http://h/ --body a --body-size 1", "cannot be used"),
            ("http://h/ --fail-if p99", "in quotes"),
            ("http://h/ --fail-if send_lag.p99>1ms", "needs --rate"),
            ("http://h/ --streams 8", "--streams needs --http 2"),
            (
                "https://h/ --http auto --streams 8",
                "--streams needs --http 2",
            ),
            ("http://h/ --http 2 --pipeline 4", "HTTP/2 has --streams"),
            ("grpc://h/a.B/C --pipeline 4", "HTTP/2 has --streams"),
            ("https://h/ --http auto --pipeline 4", "needs --http 1.1"),
        ] {
            let error = run(arguments).expect_err(arguments);
            assert!(error.contains(complaint), "{arguments}: {error}");
        }
    }
}
