//! Options of who asks: connections, patience, threads and their processors.
//!
//! Every command that puts load on a target flattens them into its own. How much is asked, and for
//! how long, is that command's.

use std::time::Duration;

use clap::Args;

use super::connection::ConnectionOptions;
use crate::placement::{self, CpuList, cpu_list};
use crate::quantity;

/// Who asks.
#[derive(Clone, Debug, Args)]
pub(crate) struct GeneratorOptions {
    /// Connections, over all threads; with --rate the pool that requests wait for.
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 64,
        help_heading = "Load"
    )]
    pub connections: usize,
    /// How long, after the end, answers may still come.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration,
        default_value = "1s", help_heading = "Load")]
    pub grace: Duration,
    /// How long one request may take once sent; then its connection is closed (HTTP/2: its stream
    /// is reset).
    #[arg(long, value_name = "TIME", value_parser = quantity::duration,
        default_value = "10s", help_heading = "Load")]
    pub timeout: Duration,

    /// Threads [default: as many as --cpus, or 1].
    #[arg(short, long, value_name = "N", help_heading = "Generator")]
    pub threads: Option<usize>,
    /// Processors to pin the threads to, as in `2,4-5`.
    #[arg(long, value_name = "LIST", value_parser = cpu_list, help_heading = "Generator")]
    pub cpus: Option<CpuList>,
    /// Poll instead of sleeping for the last stretch before a due time, as in `50us`: less send
    /// lag for more CPU time.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, default_value = "0s",
        help_heading = "Generator")]
    pub spin: Duration,

    /// How connections are used.
    #[command(flatten)]
    pub connection: ConnectionOptions,
}

impl GeneratorOptions {
    /// Checks values against each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        let threads = placement::thread_count(self.threads, self.cpus.as_ref())?;
        if self.connections < threads {
            return Err(format!(
                "--connections {} is less than one for each of {threads} threads",
                self.connections
            ));
        }
        if self.connections > 1_000_000 {
            return Err("--connections goes up to a million".into());
        }
        if self.timeout.is_zero() {
            return Err("--timeout must not be zero".into());
        }
        self.connection.check()
    }

    /// One processor to pin to, or none, for each thread.
    pub(crate) fn placement(&self) -> Vec<Option<usize>> {
        placement::of_threads(self.threads, self.cpus.as_ref())
    }
}
