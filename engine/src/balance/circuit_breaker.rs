//! How much of a cluster may be in use at once.
//!
//! The configured bounds are those of the process; shards share nothing, so each gets an equal
//! share of them, rounded up and at least one. With fewer allowed requests than shards the sum is
//! therefore the number of shards. Connections spread evenly over shards, so an even share is the
//! share each needs.
//!
//! A request over the bound is refused at once ([`super::PickError::Overflow`]), never queued: a
//! queue in front of a slow cluster only makes its clients wait longer for the same refusal.

/// The bounds of a cluster for the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Attempts in flight at once. Over HTTP/1 this is also the number of busy connections.
    pub requests_max: u32,
}

impl Thresholds {
    /// No bound.
    pub const NONE: Self = Self {
        requests_max: u32::MAX,
    };

    /// One shard's share of these bounds among `shards`.
    pub const fn share(self, shards: u32) -> Self {
        if self.requests_max == u32::MAX || shards <= 1 {
            return self;
        }
        let share = self.requests_max.div_ceil(shards);
        Self {
            requests_max: if share == 0 { 1 } else { share },
        }
    }

    /// May one more attempt start while `active` are in flight?
    pub(super) const fn admits(self, active: u32) -> bool {
        active < self.requests_max
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::NONE
    }
}
