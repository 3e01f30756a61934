//! What crosses shards: messages, sockets handed over, and the count of connections.
//!
//! The kernel spreads connections over the shards' listening sockets by a hash, which leaves
//! cores idle when there are few, long-lived connections. So each accepted connection is given to
//! the shard that holds the fewest, the accepting one first among equals: no shard ever holds
//! more than one above the mean when connections only come, and new ones fill the gaps when some
//! go. The count is taken under one lock per accept and per close, off the request path.

#![expect(
    clippy::disallowed_types,
    reason = "the one lock that shards share: taken per connection, never per request"
)]

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flume::Sender;

use super::doors::Door;
use crate::accept::{Admitted, Arrival, Overloaded, Places, Refused};
use crate::authenticate::KeySet;
use crate::balance::{ClusterId, ClusterReport, ClusterStrain, EndpointId, Health};
use crate::forward::CircuitReport;
use crate::io::Address;
use crate::proxy::{ClusterPlan, Snapshot};
use crate::record::{ListenerId, ShardRecord};

/// What a shard is asked to do.
#[derive(Debug)]
pub enum ShardCommand {
    /// Serve a connection that another shard accepted.
    Connection {
        /// The connected socket.
        socket: OwnedFd,
        /// Where it was accepted.
        listener: ListenerId,
        /// Its place, counted for this shard.
        admitted: Admitted,
    },
    /// Accept at the doors that were open at the start.
    Accept,
    /// Build what another generation needs and say that it is done. Nothing changes for requests
    /// until the commit.
    Prepare {
        /// The generation.
        snapshot: Arc<Snapshot>,
        /// Sockets of this shard at which it listens newly.
        doors: Vec<Door>,
        /// Where this shard's number goes when it is ready.
        ready: Sender<usize>,
    },
    /// Serve new requests by the generation that was prepared, if it is this one.
    Commit {
        /// Its number.
        generation: u64,
    },
    /// Forget what was prepared.
    Abort,
    /// Replace one cluster of the running generation, if it is this one: another has settings of
    /// its own.
    Replace {
        /// The number of the generation.
        generation: u64,
        /// The cluster: its id says which.
        plan: Arc<ClusterPlan>,
    },
    /// Open the file of the access log anew.
    ReopenLog,
    /// The process runs short of something, or of nothing any more.
    Shortage {
        /// Of what.
        shortage: Option<Overloaded>,
    },
    /// An endpoint is now held to be this.
    Health {
        /// Its cluster.
        cluster: ClusterId,
        /// Where it is to be found first.
        endpoint: EndpointId,
        /// Which it is.
        address: Address,
        /// What it is held to be.
        health: Health,
        /// Why, in a word.
        why: &'static str,
    },
    /// Verify tokens by other keys of an issuer.
    Keys {
        /// Where they were fetched.
        address: Arc<str>,
        /// The keys; none when they are too old.
        keys: Option<Arc<KeySet>>,
    },
    /// Stop accepting, finish exchanges, end after at most `deadline`.
    Drain {
        /// How long exchanges in flight may take.
        deadline: Duration,
    },
    /// Send what was recorded since the last report and what is counted now. A report that is
    /// lost is lost for good: keep one channel for the life of the process.
    Scrape {
        /// Where recording goes on: empty, best with the memory of an earlier record.
        spare: Box<ShardRecord>,
        /// Clusters and their endpoints are reported too.
        with_clusters: bool,
        /// Where the report goes.
        report: Sender<ShardReport>,
    },
}

/// What a shard tells about itself.
#[derive(Debug)]
pub struct ShardReport {
    /// Its number, from 0.
    pub shard: usize,
    /// Counters and histograms since the report before.
    pub record: Box<ShardRecord>,
    /// What is wrong with its clusters now.
    pub strains: Vec<ClusterStrain>,
    /// What its clusters count now, if that was asked for.
    pub clusters: Option<ClusterCounts>,
    /// Downstream connections that it serves now.
    pub connections: usize,
}

/// What the clusters of one shard count now.
#[derive(Debug, Default)]
pub struct ClusterCounts {
    /// What each cluster's balancer counts, in the order of their ids.
    pub balancers: Vec<ClusterReport>,
    /// What each cluster's circuit counts, in the same order.
    pub circuits: Vec<(ClusterId, CircuitReport)>,
}

impl ClusterCounts {
    /// What the balancer of this cluster counts.
    #[must_use]
    pub fn balancer(&self, id: ClusterId) -> Option<&ClusterReport> {
        let place = self.balancers.binary_search_by_key(&id, |it| it.id).ok()?;
        self.balancers.get(place)
    }

    /// What the circuit of this cluster counts.
    #[must_use]
    pub fn circuit(&self, id: ClusterId) -> Option<&CircuitReport> {
        let place = self.circuits.binary_search_by_key(&id, |it| it.0).ok()?;
        self.circuits.get(place).map(|(_, circuit)| circuit)
    }
}

/// How many connections each shard and each listener holds.
#[derive(Debug)]
pub(super) struct Connections {
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    by_shard: Vec<usize>,
    by_listener: Vec<usize>,
    /// How many shards may still accept for a listener.
    doors: Vec<usize>,
    /// Which shards take no connections of others any more.
    closed: Vec<bool>,
}

impl Connections {
    pub(super) fn new(shard_count: usize) -> Self {
        let held = Held {
            by_shard: vec![0; shard_count],
            by_listener: Vec::new(),
            doors: Vec::new(),
            closed: vec![false; shard_count],
        };
        Self {
            held: Mutex::new(held),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `shard` gets only what it accepts itself.
    pub(super) fn close(&self, shard: usize) {
        if let Some(closed) = self.held().closed.get_mut(shard) {
            *closed = true;
        }
    }

    /// A shard accepts for `listener` from now on.
    pub(super) fn door_opened(&self, listener: ListenerId) {
        let held = &mut *self.held();
        let doors = count_of(&mut held.doors, listener.0 as usize);
        *doors = doors.saturating_add(1);
    }

    /// A shard does not accept for `listener` any more.
    pub(super) fn door_closed(&self, listener: ListenerId) {
        let held = &mut *self.held();
        let doors = count_of(&mut held.doors, listener.0 as usize);
        debug_assert_ne!(*doors, 0, "a door closed that was never open");
        *doors = doors.saturating_sub(1);
    }

    /// No shard accepts for `listener`, and it has no connection, not even on its way.
    pub(super) fn is_over(&self, listener: ListenerId) -> bool {
        let held = self.held();
        let none = |counts: &[usize]| counts.get(listener.0 as usize).is_none_or(|it| *it == 0);
        none(&held.doors) && none(&held.by_listener)
    }

    /// Connections of `shard`, those included that are on their way to it.
    pub(super) fn of(&self, shard: usize) -> usize {
        self.held().by_shard.get(shard).copied().unwrap_or(0)
    }
}

impl Places for Connections {
    fn enter(&self, arrival: &Arrival) -> Result<usize, Refused> {
        let held = &mut *self.held();
        if held.by_shard.iter().sum::<usize>() >= arrival.process_max {
            return Err(Refused::ProcessLimit);
        }
        let of_listener = count_of(&mut held.by_listener, arrival.listener);
        if *of_listener >= arrival.listener_max {
            return Err(Refused::ListenerLimit);
        }
        // The accepting shard comes first among equals: it need not send the socket away.
        let distance = |shard: usize| usize::from(shard != arrival.shard);
        let closed = &held.closed;
        let is_open = |shard: usize| {
            shard == arrival.shard || closed.get(shard).is_some_and(|closed| !closed)
        };
        let open = held.by_shard.iter_mut().enumerate();
        let (shard, of_shard) = open
            .filter(|(shard, _)| is_open(*shard))
            .min_by_key(|(shard, count)| (**count, distance(*shard)))
            .ok_or(Refused::ProcessLimit)?;
        *of_shard += 1;
        *of_listener += 1;
        Ok(shard)
    }

    fn leave(&self, shard: usize, listener: usize) {
        let held = &mut *self.held();
        let counts = [
            held.by_shard.get_mut(shard),
            held.by_listener.get_mut(listener),
        ];
        for count in counts.into_iter().flatten() {
            debug_assert_ne!(*count, 0, "a connection left that never came");
            *count = count.saturating_sub(1);
        }
    }
}

/// The count at `place`, which begins with zero.
fn count_of(counts: &mut Vec<usize>, place: usize) -> &mut usize {
    if counts.len() <= place {
        counts.resize(place.saturating_add(1), 0);
    }
    &mut counts[place]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(shard: usize, process_max: usize) -> Arrival {
        Arrival {
            shard,
            listener: 0,
            process_max,
            listener_max: usize::MAX,
        }
    }

    #[test]
    fn sixteen_connections_on_four_shards_are_four_each_wherever_they_arrive() {
        for accepting in [[0; 16], [0, 1, 2, 3, 3, 3, 3, 3, 1, 1, 1, 2, 2, 0, 0, 3]] {
            let connections = Connections::new(4);
            for shard in accepting {
                assert!(connections.enter(&arrival(shard, 100)).is_ok());
            }
            let held: Vec<usize> = (0..4).map(|shard| connections.of(shard)).collect();
            assert_eq!(held, [4; 4]);
        }
    }

    #[test]
    fn a_connection_stays_where_it_was_accepted_among_equals() {
        let connections = Connections::new(3);
        assert_eq!(connections.enter(&arrival(2, 100)), Ok(2));
        assert_eq!(connections.enter(&arrival(2, 100)), Ok(0));
        connections.leave(2, 0);
        assert_eq!(connections.enter(&arrival(1, 100)), Ok(1));
        assert_eq!(connections.enter(&arrival(0, 100)), Ok(2));
    }

    #[test]
    fn the_limit_of_the_process_counts_all_shards() {
        let connections = Connections::new(2);
        assert!(connections.enter(&arrival(0, 2)).is_ok());
        assert!(connections.enter(&arrival(0, 2)).is_ok());
        assert_eq!(
            connections.enter(&arrival(1, 2)),
            Err(Refused::ProcessLimit)
        );
        connections.leave(0, 0);
        assert!(connections.enter(&arrival(1, 2)).is_ok());
    }

    #[test]
    fn the_limit_of_a_listener_leaves_the_others_alone() {
        let connections = Connections::new(2);
        let first = Arrival {
            listener_max: 1,
            ..arrival(0, 100)
        };
        let second = Arrival {
            listener: 1,
            ..first
        };
        assert!(connections.enter(&first).is_ok());
        assert_eq!(connections.enter(&first), Err(Refused::ListenerLimit));
        assert!(connections.enter(&second).is_ok());
    }

    #[test]
    fn a_listener_is_over_when_its_doors_are_closed_and_its_connections_gone() {
        let (connections, listener) = (Connections::new(2), ListenerId(0));
        connections.door_opened(listener);
        connections.door_opened(listener);
        assert!(connections.enter(&arrival(0, 100)).is_ok());
        connections.door_closed(listener);
        connections.leave(0, 0);
        assert!(!connections.is_over(listener), "the other shard accepts");
        assert!(connections.enter(&arrival(1, 100)).is_ok());
        connections.door_closed(listener);
        assert!(!connections.is_over(listener), "a connection is left");
        connections.leave(1, 0);
        assert!(connections.is_over(listener));
    }

    #[test]
    fn a_shard_that_ends_gets_no_connection_but_its_own_and_knows_of_those_on_their_way() {
        let connections = Connections::new(2);
        assert_eq!(connections.enter(&arrival(0, 100)), Ok(0));
        assert_eq!(connections.enter(&arrival(0, 100)), Ok(1));
        connections.close(1);
        assert_eq!(connections.of(1), 1, "sent before it closed");
        for _ in 0..3 {
            assert_eq!(connections.enter(&arrival(0, 100)), Ok(0));
        }
        assert_eq!(connections.enter(&arrival(1, 100)), Ok(1));
        connections.close(0);
        assert_eq!(connections.enter(&arrival(1, 100)), Ok(1));
    }
}
