//! Options of `loadgen verify`, and the words that teach them.
//!
//! Files are looked for beside the claims: scenarios in `scenarios/`, recorded runs in `runs/`, and
//! the page with the table one folder up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::compare::options::program;
use crate::placement::{CpuList, cpu_list};
use crate::quantity;

/// The long description.
pub(crate) const LONG: &str = "\
Test the performance claims of a project, and write down what became of each.

Runs the scenarios that the claims name, as `loadgen compare` does, and prints for each claim:
verified, when the whole confidence interval lies on the claimed side; refuted, when all of it lies
on the other; inconclusive, when it holds the limit. The run is recorded with its histograms, and the
table of claims between the markers of the page is made anew from the recorded runs.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Examples:
  loadgen verify                                   all of bench/claims.toml
  loadgen verify --only h1-1k-cpu,paced-5000-p99
  loadgen verify --table-only                      writes the table from what is recorded

Exit codes:
  0  pass     no claim was refuted
  1  error    wrong usage, files that cannot be read or written
  2  refuted  at least one claim
  3  invalid  a claim could not be tested: no rounds that count, a proxy that failed or is missing,
              or it was interrupted

SIGINT (Ctrl-C) or SIGTERM ends it: claims that were decided by then are recorded, the others count
as not tested. A second one ends it at once.";

/// Options of `loadgen verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyOptions {
    /// The claims.
    #[arg(default_value = "bench/claims.toml")]
    pub claims: PathBuf,
    /// Test only these claims.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Test nothing; write the table from what is recorded.
    #[arg(long)]
    pub table_only: bool,
    /// Processors of the proxies.
    #[arg(long, value_name = "LIST", value_parser = cpu_list, default_value = "0")]
    pub proxy_cpus: CpuList,
    /// Processors of the origin and of the generator.
    #[arg(long, value_name = "LIST", value_parser = cpu_list, default_value = "1")]
    pub load_cpus: CpuList,
    /// The program of a peer; repeatable.
    #[arg(long = "program", value_name = "PEER=PATH", value_parser = program)]
    pub programs: Vec<(String, PathBuf)>,
    /// Measured time of a round, instead of the scenarios'.
    #[arg(short, long, value_name = "TIME", value_parser = quantity::duration)]
    pub duration: Option<Duration>,
    /// Rounds, instead of the claims'.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Count runs that others disturbed: for a machine that always has something else to do.
    #[arg(long)]
    pub busy_machine: bool,
    /// Where runs are recorded [default: runs/ beside the claims].
    #[arg(long, value_name = "FOLDER")]
    pub runs: Option<PathBuf>,
    /// The page with the table [default: README.md above the claims' folder].
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
    /// A sentence that the record carries: what was tried, and why.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Show no progress (it is shown only on a terminal anyway).
    #[arg(short, long)]
    pub quiet: bool,
}

impl VerifyOptions {
    /// The folder of the claims.
    pub(crate) fn folder(&self) -> &Path {
        self.claims.parent().unwrap_or_else(|| Path::new(""))
    }

    /// Where runs are recorded.
    pub(crate) fn runs(&self) -> PathBuf {
        self.runs
            .clone()
            .unwrap_or_else(|| self.folder().join("runs"))
    }

    /// The page with the table.
    pub(crate) fn page(&self) -> PathBuf {
        let above = || self.folder().join("..").join("README.md");
        // `bench/../README.md` is written as `README.md` where that is the same.
        let short = || match self.folder().parent() {
            Some(parent) if self.folder() != Path::new("..") => parent.join("README.md"),
            Some(_) | None => above(),
        };
        self.page.clone().unwrap_or_else(short)
    }
}
