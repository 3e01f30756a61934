//! loadgen: a load generator for HTTP that says how far its figures can be trusted, and the origin
//! to measure against.
//!
//! `run` measures, `search` finds the highest rate that keeps an SLO, `replay` sends again what a
//! log recorded, `origin` answers, `compare` puts proxies side by side, `verify` tests claims,
//! `report` makes pages of results, `hist` reads histograms. Of the engine it uses `io` (ring,
//! buffers, clock) and nothing else: a judge that shares the parser shares the bug.
//! README.md says what is measured, from where to where.

mod calendar;
mod cli;
mod client;
mod compare;
mod condition;
mod descriptors;
mod distribution;
mod environment;
mod expect;
mod grpc;
mod hist;
mod http1;
mod http2;
mod launch;
mod origin;
mod page;
mod placement;
mod plot;
mod quantity;
mod random;
mod replay;
mod report;
mod run;
mod sample;
mod schedule;
mod search;
mod target;
mod traffic;
mod transport;
mod verdict;
mod verify;
mod view;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use cli::{Command, CommandLine};

/// Wrong usage, no connection at all, a file that cannot be written.
const EXIT_ERROR: u8 = 1;

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(answer) => {
            let _ = answer.print();
            // `--help` and `--version` are answers, not errors.
            return ExitCode::from(if answer.use_stderr() { EXIT_ERROR } else { 0 });
        }
    };
    let result = match line.command {
        Command::Run(options) => run::run(&options).map(|outcome| ExitCode::from(outcome as u8)),
        Command::Search(options) => {
            search::run(&options).map(|outcome| ExitCode::from(outcome as u8))
        }
        Command::Replay(options) => {
            replay::run(&options).map(|outcome| ExitCode::from(outcome as u8))
        }
        Command::Origin(options) => origin::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Compare(options) => {
            compare::run(&options).map(|outcome| ExitCode::from(outcome as u8))
        }
        Command::Verify(options) => {
            verify::run(&options).map(|outcome| ExitCode::from(outcome as u8))
        }
        Command::Report(options) => page::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Hist(command) => hist::run(&command).map(|outcome| ExitCode::from(outcome as u8)),
        Command::Launch(options) => launch::launch(&options).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "loadgen: {error}");
        ExitCode::from(EXIT_ERROR)
    })
}
