//! Balancing by what the request says: consistent hashing, and clients that stick.
//!
//! In: the endpoints of a cluster. Out: a table, made once for all shards, in which the hash of a
//! request's key finds an endpoint. The table depends on the endpoints' addresses and weights
//! only, not on their order, the shard or the process: all proxies of a cluster agree, also over
//! restarts. [`ring`] and [`maglev`] are the two kinds, [`key`] is where keys come from, [`sticky`]
//! the other way: a cookie that names the endpoint.

pub(in crate::balance) mod key;
mod maglev;
mod ring;
pub(in crate::balance) mod sticky;

use super::draw::mixed;
use super::endpoint::Endpoint;
use maglev::Maglev;
use ring::Ring;

/// A number for some bytes that is the same always and everywhere: FNV-1a, with its bits spread.
///
/// It is not secret: a client that chooses its key can choose its endpoint, as with any hash that
/// proxies agree on without sharing a secret.
pub(in crate::balance) fn of(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mixed(fnv)
}

/// Which endpoint a hash belongs to.
#[derive(Debug)]
pub(in crate::balance) enum Table {
    Ring(Ring),
    Maglev(Maglev),
}

impl Table {
    pub(in crate::balance) fn ring(endpoints: &[Endpoint]) -> Self {
        Self::Ring(Ring::new(endpoints))
    }

    pub(in crate::balance) fn maglev(endpoints: &[Endpoint]) -> Self {
        Self::Maglev(Maglev::new(endpoints))
    }

    /// The places in the order in which they are to be asked for `hash`; each can come several
    /// times.
    pub(in crate::balance) fn walk(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let (places, begin): (&[u32], usize) = match self {
            Self::Ring(ring) => (ring.places(), ring.find(hash)),
            Self::Maglev(maglev) => (maglev.places(), maglev.find(hash)),
        };
        let (before, behind) = places.split_at(begin.min(places.len()));
        behind.iter().chain(before).copied()
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(in crate::balance) fn bytes(&self) -> usize {
        match self {
            Self::Ring(ring) => ring.bytes(),
            Self::Maglev(maglev) => size_of_val(maglev.places()),
        }
    }
}

#[cfg(test)]
mod tests;
