//! Step 9: what happened.
//!
//! Each shard has one [`Recorder`]: plain counters and histograms, no lock and no atomic. It takes
//! one [`Outcome`] per exchange and small events of connections and pools. When the control thread
//! wants figures, the shard swaps its filled record for an empty one ([`Recorder::take`]) in
//! constant time; the control thread adds it to its [`Ledger`] and gives it back empty. No sample
//! is lost or counted twice, and nothing is copied on a shard.
//!
//! ```text
//!   shard:    Outcome -> Recorder --take--> ShardRecord      (u32 histograms, since last take)
//!   control:  ShardRecord -> Ledger::absorb -> total, interval (u64) -> expose::{prometheus, ..}
//! ```
//!
//! Pure: times are arguments, nothing here reads a clock or writes a file. `names` holds every
//! metric name; `access_log` writes one line per exchange into a caller's buffer.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod access_log;
pub mod expose;
pub mod names;

mod book;
mod counters;
mod failure;
mod flag;
mod histogram;
mod ledger;
mod outcome;
mod recorder;
mod tally;
mod times;

pub use crate::authorize::{LimitId, PolicyId};
pub use crate::route::{ClusterId, RouteId};
pub use book::{Book, ClusterSeries, ListenerSeries, RouteSeries, SeriesCounts};
pub use counters::{
    CloseReason, ConnectionCounters, Counters, Decision, Handshake, PolicyCounters, PoolEvent,
    Refusal,
};
pub use expose::prometheus::EndpointHealth;
pub use failure::{
    DownstreamFailure, Failure, Fault, HeadFault, ProxyFailure, Retry, UpstreamFailure,
};
pub use flag::{ResponseFlag, ResponseFlags};
pub use histogram::{PhaseHistogram, PhaseHistograms, Shape, Values};
pub use ledger::register::{FreedIds, Numbers, PolicyLabel, Register, RouteLabel, SeriesNames};
pub use ledger::{Ledger, ShardAccount};
pub use outcome::{CodeClass, ListenerId, Outcome};
pub use recorder::{Recorder, ShardGauges, ShardRecord};
pub use times::{Peer, Phase, PhaseTimes, Times};

#[cfg(test)]
mod tests;
