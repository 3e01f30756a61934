//! Step 1, from listening socket to connection: may this connection come in, and which shard
//! serves it?
//!
//! In: the listener at which the kernel accepted a socket. Out: an [`Admitted`] token, held as long
//! as the connection lives and sent with it when another shard is to serve it, or a [`Refused`]
//! with its reason.
//!
//! Invariant: the number of living [`Admitted`] tokens never exceeds the limits, over all shards.
//! The counts are shared between shards and therefore live with them; this module sees them as
//! [`Places`]. It does not accept sockets itself (`io`), nor move them (`shard`).
//!
//! A refused connection is closed at once, without an answer (Envoy's connection limit does the
//! same): answering would mean reading a request first, and a proxy that is full must spend less
//! on those it cannot take, not more.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod overload;

use std::fmt;
use std::sync::Arc;

pub use overload::{Overload, Overloaded};

/// A connection that asks to come in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The shard whose socket accepted it.
    pub shard: usize,
    /// The listener, by its number.
    pub listener: usize,
    /// Connections of the process at once.
    pub process_max: usize,
    /// Connections of this listener at once.
    pub listener_max: usize,
}

/// How many connections the process has, counted over all shards.
pub trait Places: fmt::Debug + Send + Sync {
    /// Count one more connection and name the shard that is to serve it, unless a limit is
    /// reached.
    fn enter(&self, arrival: &Arrival) -> Result<usize, Refused>;

    /// Count one less on `shard`, from `listener`.
    fn leave(&self, shard: usize, listener: usize);
}

/// Why a connection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The listener already has as many connections as the configuration allows it.
    ListenerLimit,
    /// The process already has as many connections as the configuration allows.
    ProcessLimit,
}

/// The door of one shard.
#[derive(Clone, Debug)]
pub struct Admission {
    places: Arc<dyn Places>,
    shard: usize,
}

/// Permission to be connected; gives the place back when dropped.
#[derive(Debug)]
pub struct Admitted {
    places: Arc<dyn Places>,
    shard: usize,
    listener: usize,
}

impl Admission {
    /// The door of `shard`.
    pub fn new(places: Arc<dyn Places>, shard: usize) -> Self {
        Self { places, shard }
    }

    /// Let one connection in, or say why not: the process may have `process_max`, the listener
    /// `listener_max`.
    pub fn admit(
        &self,
        listener: usize,
        process_max: usize,
        listener_max: usize,
    ) -> Result<Admitted, Refused> {
        let arrival = Arrival {
            shard: self.shard,
            listener,
            process_max,
            listener_max,
        };
        let shard = self.places.enter(&arrival)?;
        Ok(Admitted {
            places: Arc::clone(&self.places),
            shard,
            listener,
        })
    }
}

impl Admitted {
    /// The shard that is to serve the connection.
    pub fn shard(&self) -> usize {
        self.shard
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.places.leave(self.shard, self.listener);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Places for Count {
        fn enter(&self, arrival: &Arrival) -> Result<usize, Refused> {
            if self.0.load(Ordering::Relaxed) >= arrival.process_max {
                return Err(Refused::ProcessLimit);
            }
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(arrival.shard)
        }

        fn leave(&self, _: usize, _: usize) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_place_of_a_closed_connection_is_free_again() {
        let count = Arc::new(Count::default());
        let admission = Admission::new(count.clone(), 0);
        let first = admission.admit(0, 2, 9).ok();
        let second = admission.admit(0, 2, 9).ok();
        assert!(first.is_some() && second.is_some());
        assert_eq!(admission.admit(0, 2, 9).err(), Some(Refused::ProcessLimit));
        drop(first);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(admission.admit(0, 2, 9).is_ok());
    }
}
