//! The command line: what can be asked.
//!
//! The options of each command, and the words that teach them, stand in the folder of the command.
//! A command that only this program starts is hidden.

use clap::{Parser, Subcommand};

use crate::compare::options::{self as compare, CompareOptions};
use crate::hist::options::{self as hist, HistCommand};
use crate::launch::LaunchOptions;
use crate::origin::options::{self as origin, OriginOptions};
use crate::page::options::{self as page, ReportOptions};
use crate::replay::options::{self as replay, ReplayOptions};
use crate::run::options::{self as run, RunOptions};
use crate::search::options::{self as search, SearchOptions};
use crate::verify::options::{self as verify, VerifyOptions};

/// Measures HTTP servers and proxies, and says how far the measurement can be trusted.
#[derive(Debug, Parser)]
#[command(version = crate::environment::VERSION, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct CommandLine {
    /// What is asked.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send requests to a URL and measure how long the answers take.
    #[command(long_about = run::LONG, after_help = run::AFTER)]
    Run(Box<RunOptions>),
    /// Find the highest rate at which a target keeps an SLO.
    #[command(long_about = search::LONG, after_help = search::AFTER)]
    Search(Box<SearchOptions>),
    /// Send again what an access log recorded, and measure how long the answers take.
    #[command(long_about = replay::LONG, after_help = replay::AFTER)]
    #[command(mut_args(replay::of_the_log))]
    Replay(Box<ReplayOptions>),
    /// Be the server behind the proxy that is measured: sizes, delays, errors as wanted.
    #[command(long_about = origin::LONG, after_help = origin::AFTER)]
    Origin(Box<OriginOptions>),
    /// Measure proxies side by side, and say which differences are real.
    #[command(long_about = compare::LONG, after_help = compare::AFTER)]
    Compare(Box<CompareOptions>),
    /// Test the performance claims of a project, and write down what became of each.
    #[command(long_about = verify::LONG, after_help = verify::AFTER)]
    Verify(Box<VerifyOptions>),
    /// Make one HTML page of a result, for people who were not there.
    #[command(long_about = page::LONG, after_help = page::AFTER)]
    Report(ReportOptions),
    /// Read, add up, compare, convert and draw histograms.
    #[command(subcommand, long_about = hist::LONG, after_help = hist::AFTER)]
    Hist(Box<HistCommand>),
    /// Become another program, tied to the parent; for `compare` only.
    #[command(hide = true)]
    Launch(LaunchOptions),
}

const EXAMPLES: &str = "\
Examples:
  loadgen origin --listen 127.0.0.1:9000 --body-size 1KiB --delay 2ms
  loadgen run http://127.0.0.1:9000/                        as fast as 64 connections go
  loadgen run http://127.0.0.1:9000/ --rate 5000 -d 30s     what users see at 5000 requests/s
  loadgen search http://127.0.0.1:9000/ --slo 'p99<5ms'     the highest rate that keeps it
  loadgen replay access.log http://127.0.0.1:9000/          what a log recorded, at its own pace
  loadgen compare h1-1k                                     weft, nginx, haproxy, h2o side by side
  loadgen hist diff before.hlog after.hlog                  whether a difference is real
  loadgen verify                                            what the README claims, tested

Exit codes:
  0  pass     the run is valid and everything asked of it held
  1  error    wrong usage, no connection at all, a file that cannot be written
  2  broken   wrong or missing answers, or a condition of --fail-if
  3  invalid  the generator was the bottleneck: the figures describe it, not the target";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
