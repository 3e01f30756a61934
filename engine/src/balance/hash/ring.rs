//! A ring of points (Karger et al. 1997; the shape of ketama).
//!
//! Each endpoint has points on a ring of hashes, as many as its weight asks for; a key belongs to
//! the next point. When an endpoint goes, its keys go to its neighbours, and no other key moves.

use crate::balance::draw::mixed;
use crate::balance::endpoint::Endpoint;
use crate::limits;

/// The points of a cluster, in order.
#[derive(Debug)]
pub(in crate::balance) struct Ring {
    hashes: Vec<u64>,
    /// Whose point it is.
    places: Vec<u32>,
}

impl Ring {
    pub(super) fn new(endpoints: &[Endpoint]) -> Self {
        let sum: u64 = endpoints.iter().map(|it| u64::from(it.weight())).sum();
        let used = endpoints.iter().filter(|it| it.weight() > 0).count();
        let points_max = limits::RING_POINTS_MAX.max(used);
        let points = used.saturating_mul(limits::RING_POINTS_EACH);
        let points = points.clamp(limits::RING_POINTS_MIN, points_max) as u128;
        let mut ring = Vec::new();
        for (place, endpoint) in (0_u32..).zip(endpoints) {
            if endpoint.weight() == 0 {
                continue;
            }
            let share = u128::from(endpoint.weight()).saturating_mul(points);
            let count = share.div_ceil(u128::from(sum.max(1)));
            let seed = super::of(endpoint.label().as_bytes());
            let count = u64::try_from(count).unwrap_or(1);
            let hash = |number: u64| mixed(seed ^ mixed(number.wrapping_add(1)));
            ring.extend((0..count).map(|number| (hash(number), endpoint.label(), place)));
        }
        // By label where points fall together: their order must not depend on places.
        ring.sort_unstable();
        Self {
            hashes: ring.iter().map(|(hash, ..)| *hash).collect(),
            places: ring.iter().map(|(.., place)| *place).collect(),
        }
    }

    /// Where the walk of `hash` begins.
    pub(super) fn find(&self, hash: u64) -> usize {
        self.hashes.partition_point(|point| *point < hash)
    }

    pub(super) fn places(&self) -> &[u32] {
        &self.places
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.hashes).saturating_add(size_of_val(&*self.places))
    }
}
