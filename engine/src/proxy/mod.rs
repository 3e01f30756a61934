//! The story of a request: the frame that runs the steps in order.
//!
//! [`connection::serve`] takes an admitted connection through its life: wait, read a head, run one
//! exchange, keep alive or close. `exchange::run` takes one request through the steps: route,
//! authorize, balance, forward, record. Both fit a screen, and they are the only callers of the
//! steps.
//!
//! A [`Snapshot`] is one generation of compiled configuration, shared by all shards;
//! `snapshot::generation` joins it with what one shard knows of each cluster; a [`Local`] is what
//! one shard has of its own: the current generation, recorder, storage to reuse. Nothing mutable is
//! shared. `local_reply` is the one place that decides how a failure is answered.

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

pub mod connection;

mod access_log;
mod authentication;
mod authorization;
mod exchange;
mod fold;
mod local;
mod local_reply;
mod passthrough;
mod place;
mod random;
mod request_head;
mod snapshot;
mod telling;

pub use access_log::{AccessLogs, LogLines, Wish};
pub use authentication::{ErrandQueues, Errands, PasswordErrand};
pub use authorization::course;
pub use local::Local;
pub use local_reply::status_of;
pub use snapshot::{ClusterPlan, ListenerPlan, Predecessor, Snapshot, UpstreamPlan};
