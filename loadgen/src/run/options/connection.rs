//! Options of how connections are used: how fast they are opened, how long they live, how many
//! requests are under way on one.
//!
//! Every command that puts load on a target flattens them into its own, with
//! [`super::GeneratorOptions`].

use clap::Args;

use crate::quantity::Rate;
use crate::transport::dial::{Closing, Requests};

/// The most requests under way on one connection.
const PIPELINE_MAX: usize = 1024;

/// How connections are used.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionOptions {
    /// Requests under way at a time on each connection (HTTP/1.1 pipelining): the next is sent
    /// before the last is answered. Answers come in the order of the requests, so one that is slow
    /// holds up those behind it.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        help_heading = "Connections"
    )]
    pub pipeline: usize,
    /// Close a connection after so many requests, `100`, or a number drawn for each, `1..100`, and
    /// open it again for the next.
    #[arg(long, value_name = "COUNT", value_parser = Requests::parse, help_heading = "Connections")]
    pub requests_per_connection: Option<Requests>,
    /// Who closes a connection that has had its requests: the peer, because the last request says
    /// `Connection: close`, or we.
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "announced",
        requires = "requests_per_connection",
        help_heading = "Connections"
    )]
    pub closing: Closing,
    /// Open at most so many connections a second, over all threads, from the first on. A request
    /// of an open loop that has to wait for one is timed from when it was due.
    #[arg(long, value_name = "R", value_parser = Rate::parse, help_heading = "Connections")]
    pub connection_rate: Option<Rate>,
}

impl ConnectionOptions {
    /// Checks values against each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.pipeline == 0 || self.pipeline > PIPELINE_MAX {
            return Err(format!("--pipeline lies between 1 and {PIPELINE_MAX}"));
        }
        Ok(())
    }
}
