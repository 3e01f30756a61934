//! Maglev's table (Eisenbud et al., NSDI 2016, §3.4).
//!
//! Each endpoint has its own order of all entries of a table of prime size; in turns by weight,
//! each takes its first free one. Finding an endpoint is one look at the table, and each has its
//! exact share of it. When an endpoint goes, its keys are spread over all others, and a few more
//! move: about one in a hundred.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::balance::draw::mixed;
use crate::balance::endpoint::Endpoint;
use crate::limits;

/// Which endpoint has each entry.
#[derive(Debug)]
pub(in crate::balance) struct Maglev {
    places: Vec<u32>,
}

/// One endpoint's order of the entries.
struct Order {
    place: u32,
    next: u64,
    skip: u64,
    /// The distance between two of its turns.
    stride: u64,
}

impl Maglev {
    pub(super) fn new(endpoints: &[Endpoint]) -> Self {
        let used = endpoints.iter().filter(|it| it.weight() > 0).count();
        let size = if used <= limits::MAGLEV_ENDPOINTS {
            limits::MAGLEV_ENTRIES
        } else {
            limits::MAGLEV_ENTRIES_LARGE
        };
        let mut orders = orders(endpoints, size);
        let mut places = vec![None; size as usize];
        // Whose turn it is: by rank where two are due at once, which does not depend on places.
        let strides = orders.iter().map(|order| order.stride);
        let mut due: BinaryHeap<_> = strides.zip(0_usize..).map(Reverse).collect();
        let mut left = if orders.is_empty() { 0 } else { size };
        while left > 0 {
            let Some(mut first) = due.peek_mut() else {
                break;
            };
            let Reverse((at, rank)) = *first;
            let Some(order) = orders.get_mut(rank) else {
                break;
            };
            *first = Reverse((at.saturating_add(order.stride), rank));
            order.take(&mut places, size);
            left = left.saturating_sub(1);
        }
        Self {
            places: places.into_iter().flatten().collect(),
        }
    }

    /// The entry of `hash`.
    pub(super) fn find(&self, hash: u64) -> usize {
        let scaled = u128::from(hash).saturating_mul(self.places.len() as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    pub(super) fn places(&self) -> &[u32] {
        &self.places
    }
}

impl Order {
    /// Takes the first entry of its order that is free. There is one: the order visits all.
    fn take(&mut self, places: &mut [Option<u32>], size: u64) {
        for _ in 0..size {
            let entry = places.get_mut(self.next as usize);
            // Both are below the size.
            let next = self.next.saturating_add(self.skip);
            self.next = next.checked_sub(size).unwrap_or(next);
            if let Some(entry @ None) = entry {
                *entry = Some(self.place);
                return;
            }
        }
    }
}

/// The orders of all endpoints that have a weight, sorted by their labels' hashes.
fn orders(endpoints: &[Endpoint], size: u64) -> Vec<Order> {
    let used = (0_u32..).zip(endpoints).filter(|(_, it)| it.weight() > 0);
    let mut seeded: Vec<_> = used
        .map(|(place, it)| {
            (
                super::of(it.label().as_bytes()),
                it.label(),
                it.weight(),
                place,
            )
        })
        .collect();
    seeded.sort_unstable();
    let order = |(seed, _, weight, place): (u64, &str, u32, u32)| Order {
        place,
        next: seed.checked_rem(size).unwrap_or(0),
        skip: mixed(seed)
            .checked_rem(size.saturating_sub(1))
            .map_or(1, |rest| rest.saturating_add(1)),
        stride: (1_u64 << 40).checked_div(u64::from(weight)).unwrap_or(1),
    };
    seeded.into_iter().map(order).collect()
}
