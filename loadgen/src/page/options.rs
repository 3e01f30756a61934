//! Options of `loadgen report`, and the words that teach them.

use std::path::PathBuf;

use clap::Args;

/// The long description.
pub(crate) const LONG: &str = "\
Make one HTML page of a result, for people who were not there.

The input is the JSON of a run, a replay or a search, with its interval log if there is one; or the
folder that `loadgen compare --out` or `loadgen verify` wrote. The page holds verdict, tables,
charts, environment, configurations and how to do it again. It is one file without scripts that asks
no network for anything: send it, print it, keep it.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Examples:
  loadgen run http://127.0.0.1:8080/ --rate 5000 --json run.json --hlog run.hlog
  loadgen report run.json run.hlog -o run.html
  loadgen search http://127.0.0.1:8080/ --slo 'p99<5ms' --json search.json
  loadgen report search.json -o search.html
  loadgen report bench/runs/2026-11-25-vm -o claims.html
  loadgen compare h1-1k --out result              writes result/report.html by itself

Exit codes:
  0  the page was written
  1  error: an input that cannot be read, a page that cannot be written";

/// Options of `loadgen report`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReportOptions {
    /// The JSON of a run, replay or search, and its interval log; or the folder of a comparison or
    /// verification.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// The page; `-` prints it.
    #[arg(
        short,
        long,
        value_name = "FILE",
        alias = "out",
        default_value = "report.html"
    )]
    pub output: PathBuf,
}
