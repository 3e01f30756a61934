//! Options of `loadgen origin`, and the words that teach them.
//!
//! Clap checks single values, [`OriginOptions::check`] checks them against each other; what a
//! distribution is like stands in `distribution.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use engine::io::Address;

use crate::distribution::{Delays, Sizes, Statuses};
use crate::placement::{self, CpuList, cpu_list};
use crate::quantity;
use crate::transport::options::DoorOptions;

use super::fault::{Faults, Pace};

/// The long description.
pub(crate) const LONG: &str = "\
Be the server behind the proxy that is measured.

Every request is answered with the status, body size and delay that are drawn for it; a request can
ask for its own in the query. Bodies are the beginning of one fixed pattern, so two answers of the
same size have the same hash.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Distributions: a value `5ms`, a range `1ms..9ms` (even), an exponential `exp:5ms` (its mean), or a
list of these with probabilities that add up to 1, as in `1ms:0.9,exp:20ms:0.1`.

HTTP/1.1 and HTTP/2 (by its preface, or ALPN) are spoken on the same port. gRPC calls, known by their
content type, are echoed.

A request's own wishes: ?size=1024 ?delay=5ms ?status=503 ?chunked=1 ?close=1 ?echo=1
  ?fault=reset-body ?pace=1B/100ms
  (echo answers with the length and CRC-32 of the request's body, `11 0d4a1185`)
gRPC also: ?grpc-status=NOT_FOUND; all of them as well in the metadata x-wish, `size=1024&delay=5ms`

Faults, by --fault for a share of the answers or by ?fault= for one:
  reset  reset-head  reset-body   the connection is reset before the answer, behind its head, in
                                  the middle of its body
  close  close-body  cut-head     it is closed before the answer, in its body, in its head
  bad-status  bad-chunk           the status, the size of a chunk is not a number
  two-framings                    Content-Length and Transfer-Encoding, and they disagree
  malformed                       one of the last four (with cut-head), drawn evenly
  stall                           no answer, and the connection stays open
  slow-body                       the body comes at --pace
  none                            exempts a request from --fault

Examples:
  loadgen origin --body-size 1KiB
  loadgen origin --listen unix:origin.sock --status 200:0.99,503:0.01 --delay 0ms:0.99,200ms:0.01
  loadgen origin --fault reset:0.01,malformed:0.001,stall:0.001
  loadgen origin --delay exp:5ms --hgrm origin.hgrm        what the delays came to, after Ctrl-C";

/// Options of `loadgen origin`.
#[derive(Debug, Args)]
pub(crate) struct OriginOptions {
    /// Where to listen: `address:port` (port 0 = any free one) or `unix:PATH`.
    #[arg(short, long, value_name = "ADDRESS", value_parser = listen_address,
        default_value = "127.0.0.1:9000")]
    pub listen: Address,
    /// Processors to pin a thread to each, as in `0,2-3` [default: one thread, not pinned].
    #[arg(long, value_name = "LIST", value_parser = cpu_list)]
    pub cpus: Option<CpuList>,
    /// Threads, if not one for each of --cpus.
    #[arg(short, long, value_name = "N")]
    pub threads: Option<usize>,
    /// Distribution of the body's size, as in `1KiB` or `100B..4KiB`.
    #[arg(long, value_name = "SIZES", value_parser = Sizes::parse, default_value = "1KiB")]
    pub body_size: Sizes,
    /// Distribution of the wait before an answer, as in `5ms` or `exp:2ms`.
    #[arg(long, value_name = "TIMES", value_parser = Delays::parse, default_value = "0ms")]
    pub delay: Delays,
    /// Distribution of the status, as in `200:0.99,503:0.01`.
    #[arg(long, value_name = "LIST", value_parser = Statuses::parse, default_value = "200")]
    pub status: Statuses,
    /// Probability that a connection is closed after an answer.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "0")]
    pub close_probability: f64,
    /// Send bodies chunked.
    #[arg(long)]
    pub chunked: bool,
    /// Faults and their probabilities, as in `stall` or `reset:0.01,malformed:0.1%`; see below.
    #[arg(long, value_name = "LIST", value_parser = Faults::parse, default_value = "none",
        help_heading = "Faults")]
    pub fault: Faults,
    /// The pace of the fault `slow-body`.
    #[arg(long, value_name = "SIZE/TIME", value_parser = Pace::parse, default_value = "16B/10ms",
        help_heading = "Faults")]
    pub pace: Pace,
    /// Start of the random numbers; the same seed draws the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How long, after SIGTERM, requests in progress may take.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, default_value = "5s")]
    pub drain: Duration,
    /// At the end, write how long each request was really kept, for HdrHistogram plotters.
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
    /// The same for HdrHistogram log tools.
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,

    #[command(flatten)]
    pub tls: DoorOptions,
}

impl OriginOptions {
    /// Checks values against each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.tls.check()?;
        placement::thread_count(self.threads, self.cpus.as_ref()).map(drop)
    }

    /// One processor to pin to, or none, for each thread.
    pub(crate) fn placement(&self) -> Vec<Option<usize>> {
        placement::of_threads(self.threads, self.cpus.as_ref())
    }
}

fn listen_address(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Address::Unix(PathBuf::from(path)));
    }
    text.parse::<SocketAddr>()
        .map(Address::Tcp)
        .map_err(|_| format!("`{text}` is not an address; write 127.0.0.1:9000 or unix:PATH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_listens_on_tcp_or_unix() {
        assert_eq!(listen_address("unix:a/b"), Ok(Address::Unix("a/b".into())));
        assert!(listen_address("[::1]:0").is_ok());
        assert!(listen_address("localhost").is_err());
    }
}
