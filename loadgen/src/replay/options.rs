//! Options of `loadgen replay`, and the words that teach them.
//!
//! They are those of `loadgen run` and a few more; what the log says itself is taken from them.

use std::path::PathBuf;

use clap::{Arg, Args};

use crate::expect::StatusSet;
use crate::quantity;
use crate::run::options::RunOptions;

/// The long description.
pub(crate) const LONG: &str = "\
Send again what an access log recorded, and measure the answers as `run` does.

Each request is due as long after the start as it was logged after the first one, whatever the
target does: this is an open loop whose schedule is the log. Method, path and, where the log tells
how many bytes came, the size of the content are those of the log; content is filler.

Read are weft's JSON and text logs and the combined and common formats of nginx and Apache, line by
line. weft's logs tell when a request began; the others tell the second in which it ended, and
requests of the same second are spread evenly over it.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Examples:
  loadgen replay access.log http://127.0.0.1:8080/                  at the pace of the log
  loadgen replay access.log http://127.0.0.1:8080/ --speed 10x      ten times as fast
  loadgen replay access.log http://127.0.0.1:8080/ --rate 2k        its requests, but evenly
  loadgen replay access.log http://127.0.0.1:8080/ --expect any     whatever is answered is right

Lines that are not understood are counted and the first ones shown; more than --bad-lines of them
are an error. The exit code is 0 (pass), 1 (error), 2 (wrong answers, broken limit) or 3 (the
generator was the bottleneck), as for `run`.";

/// Options of `loadgen run` that say what to send or expect, which here the log does.
const OF_THE_LOG: [&str; 7] = [
    "method",
    "body",
    "body_size",
    "mix",
    "expect_status",
    "expect_length",
    "expect_hash",
];

/// Takes the options from the command line that say what the log says.
pub(crate) fn of_the_log(argument: Arg) -> Arg {
    if OF_THE_LOG.contains(&argument.get_id().as_str()) {
        argument.hide(true).conflicts_with("file")
    } else {
        argument
    }
}

/// Options of `loadgen replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    /// The access log.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// How much faster than recorded, as in `2x` or `0.5x`.
    #[arg(long, value_name = "FACTOR", value_parser = speed, default_value = "1x",
        conflicts_with = "rate", help_heading = "Log")]
    pub speed: f64,
    /// Which statuses are right: `logged`, the one in the log; `any`; or a list such as `2xx,404`.
    #[arg(long, value_name = "WHICH", value_parser = Expect::parse, default_value = "logged",
        help_heading = "Log")]
    pub expect: Expect,
    /// Send the Host that the log recorded, where it did, instead of the URL's.
    #[arg(long, help_heading = "Log")]
    pub keep_host: bool,
    /// The share of lines that may be incomprehensible, as in `5%`.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "1%",
        help_heading = "Log")]
    pub bad_lines: f64,

    /// How to send, measure and report.
    #[command(flatten)]
    pub run: RunOptions,
}

/// Which statuses are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The one in the log.
    Logged,
    /// These.
    Among(StatusSet),
}

impl Expect {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "logged" => Ok(Self::Logged),
            "any" => Ok(Self::Among(StatusSet::any())),
            list => StatusSet::parse(list).map(Self::Among).map_err(|_| {
                format!("`{list}` is not a choice of statuses; write logged, any or 2xx,404")
            }),
        }
    }

    /// What is right where `status` was logged. A status that no server sends (nginx logs 499 when
    /// the client went away, others 0) leaves it open.
    pub(crate) fn statuses(&self, status: u16) -> StatusSet {
        match self {
            Self::Among(statuses) => statuses.clone(),
            Self::Logged if status == 499 => StatusSet::any(),
            Self::Logged => {
                StatusSet::parse(&status.to_string()).unwrap_or_else(|_| StatusSet::any())
            }
        }
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text);
    number
        .parse()
        .ok()
        .filter(|speed| (0.001..=100_000.0).contains(speed))
        .ok_or_else(|| format!("`{text}` is not a speed from 0.001x to 100000x; write 2x"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Command, CommandLine};

    fn replay(arguments: &str) -> Result<Box<ReplayOptions>, String> {
        let line = format!("loadgen replay {arguments}");
        match CommandLine::try_parse_from(line.split(' ')).map(|line| line.command) {
            Ok(Command::Replay(options)) => Ok(options),
            Ok(_) => unreachable!("`replay` was asked for"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_log_says_what_is_sent() {
        let options = replay("a.log http://h/ --speed 2x --expect any -c 4").expect("options");
        assert_eq!((options.speed, options.run.generator.connections), (2.0, 4));
        assert_eq!(options.run.request.url, "http://h/");
        for more in [
            "-X POST",
            "--body a",
            "--body-size 1",
            "--mix m.toml",
            "--expect-status 200",
            "--expect-length 1",
            "--expect-hash cbf43926",
            "--speed 2 --rate 5",
            "--speed 0",
            "--expect some",
            "--arrivals poisson",
        ] {
            assert!(
                replay(&format!("a.log http://h/ {more}")).is_err(),
                "{more}"
            );
        }
    }

    #[test]
    fn expectations_follow_the_log_where_it_has_a_status() {
        let logged = Expect::Logged;
        assert!(logged.statuses(404).contains(404) && !logged.statuses(404).contains(200));
        assert!(logged.statuses(0).contains(200) && logged.statuses(499).contains(502));
        let among = Expect::parse("2xx,404").expect("statuses");
        assert!(among.statuses(500).contains(404) && !among.statuses(500).contains(500));
    }
}
