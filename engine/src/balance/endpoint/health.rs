//! What somebody outside says of an endpoint: an active check, or whoever registered it.

use crate::io::Instant;

/// Whether an endpoint is fit to serve, as told by [`crate::balance::Balancer::set_health`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nobody has said anything: it is used.
    #[default]
    Unknown,
    /// It is used.
    Healthy,
    /// Its last check failed, and too few before it for more: it is used, but an ejection does not
    /// end.
    Suspect,
    /// It is used only when too few others are left (`panic_threshold`).
    Unhealthy,
    /// It ends: it gets no new requests, whatever happens.
    Draining,
}

impl Health {
    /// As text, for the admin interface.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
        }
    }

    /// May be picked when all is well.
    pub(in crate::balance) const fn is_usable(self) -> bool {
        match self {
            Self::Unknown | Self::Healthy | Self::Suspect => true,
            Self::Unhealthy | Self::Draining => false,
        }
    }

    /// A probe would most likely fail: its last check did.
    pub(in crate::balance) const fn is_failing(self) -> bool {
        matches!(self, Self::Suspect | Self::Unhealthy)
    }
}

/// A health, why, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::balance) struct Told {
    pub(in crate::balance) health: Health,
    pub(in crate::balance) why: &'static str,
    pub(in crate::balance) since: Instant,
}
