//! Response flags: why an exchange was answered as it was, in Envoy's words.
//!
//! Names and short codes are Envoy's (`CoreResponseFlag`), so that a log line reads the same in
//! both. Only flags that this proxy can set are listed; each is counted and printed in the order
//! written here.

use std::fmt;

/// One reason, as Envoy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ResponseFlag {
    /// `UH`: no endpoint of the cluster may be used.
    NoHealthyUpstream,
    /// `UF`: the connection to the endpoint could not be made.
    UpstreamConnectionFailure,
    /// `UO`: the cluster's bound on attempts in flight was reached.
    UpstreamOverflow,
    /// `NR`: no route matches the request.
    NoRouteFound,
    /// `URX`: the last of the allowed attempts failed too.
    UpstreamRetryLimitExceeded,
    /// `NC`: the route names no cluster that exists.
    NoClusterFound,
    /// `DT`: the whole took longer than allowed.
    DurationTimeout,
    /// `DC`: the client closed the connection first.
    DownstreamConnectionTermination,
    /// `UT`: the upstream did not answer in time.
    UpstreamRequestTimeout,
    /// `LR`: this proxy ended the exchange.
    LocalReset,
    /// `UC`: the upstream closed the connection first.
    UpstreamConnectionTermination,
    /// `RL`: refused by a rate limit.
    RateLimited,
    /// `UAEX`: refused by authentication or authorization. Envoy sets it where its external service
    /// refused, and nothing where it did so itself.
    UnauthorizedExternalService,
    /// `SI`: nothing moved for longer than allowed.
    StreamIdleTimeout,
    /// `DPE`: the client broke the protocol or a limit on messages.
    DownstreamProtocolError,
    /// `UPE`: the upstream broke the protocol.
    UpstreamProtocolError,
    /// `OM`: refused because the process is overloaded.
    OverloadManagerTerminated,
}

impl ResponseFlag {
    /// All flags, in the order in which they are counted.
    pub const ALL: [Self; 17] = [
        Self::NoHealthyUpstream,
        Self::UpstreamConnectionFailure,
        Self::UpstreamOverflow,
        Self::NoRouteFound,
        Self::UpstreamRetryLimitExceeded,
        Self::NoClusterFound,
        Self::DurationTimeout,
        Self::DownstreamConnectionTermination,
        Self::UpstreamRequestTimeout,
        Self::LocalReset,
        Self::UpstreamConnectionTermination,
        Self::RateLimited,
        Self::UnauthorizedExternalService,
        Self::StreamIdleTimeout,
        Self::DownstreamProtocolError,
        Self::UpstreamProtocolError,
        Self::OverloadManagerTerminated,
    ];

    /// Envoy's short code, as in access logs: `UH`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoHealthyUpstream => "UH",
            Self::UpstreamConnectionFailure => "UF",
            Self::UpstreamOverflow => "UO",
            Self::NoRouteFound => "NR",
            Self::UpstreamRetryLimitExceeded => "URX",
            Self::NoClusterFound => "NC",
            Self::DurationTimeout => "DT",
            Self::DownstreamConnectionTermination => "DC",
            Self::UpstreamRequestTimeout => "UT",
            Self::LocalReset => "LR",
            Self::UpstreamConnectionTermination => "UC",
            Self::RateLimited => "RL",
            Self::UnauthorizedExternalService => "UAEX",
            Self::StreamIdleTimeout => "SI",
            Self::DownstreamProtocolError => "DPE",
            Self::UpstreamProtocolError => "UPE",
            Self::OverloadManagerTerminated => "OM",
        }
    }

    /// Envoy's long name: `NoHealthyUpstream`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoHealthyUpstream => "NoHealthyUpstream",
            Self::UpstreamConnectionFailure => "UpstreamConnectionFailure",
            Self::UpstreamOverflow => "UpstreamOverflow",
            Self::NoRouteFound => "NoRouteFound",
            Self::UpstreamRetryLimitExceeded => "UpstreamRetryLimitExceeded",
            Self::NoClusterFound => "NoClusterFound",
            Self::DurationTimeout => "DurationTimeout",
            Self::DownstreamConnectionTermination => "DownstreamConnectionTermination",
            Self::UpstreamRequestTimeout => "UpstreamRequestTimeout",
            Self::LocalReset => "LocalReset",
            Self::UpstreamConnectionTermination => "UpstreamConnectionTermination",
            Self::RateLimited => "RateLimited",
            Self::UnauthorizedExternalService => "UnauthorizedExternalService",
            Self::StreamIdleTimeout => "StreamIdleTimeout",
            Self::DownstreamProtocolError => "DownstreamProtocolError",
            Self::UpstreamProtocolError => "UpstreamProtocolError",
            Self::OverloadManagerTerminated => "OverloadManagerTerminated",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// A set of response flags. Prints as Envoy does: codes joined by commas, `-` when empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u32);

impl ResponseFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Adds a flag.
    pub const fn insert(&mut self, flag: ResponseFlag) {
        self.0 |= flag.bit();
    }

    /// This set and one more flag.
    #[must_use]
    pub const fn with(self, flag: ResponseFlag) -> Self {
        Self(self.0 | flag.bit())
    }

    /// Is the flag in the set?
    pub const fn contains(self, flag: ResponseFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Is no flag in the set?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = ResponseFlag> {
        let is_set = move |flag: &ResponseFlag| self.contains(*flag);
        ResponseFlag::ALL.into_iter().filter(is_set)
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("-");
        }
        for (place, flag) in self.iter().enumerate() {
            if place > 0 {
                out.write_str(",")?;
            }
            out.write_str(flag.code())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_numbers() {
        for (place, flag) in ResponseFlag::ALL.into_iter().enumerate() {
            assert_eq!(flag as usize, place);
        }
    }

    #[test]
    fn codes_and_names_are_unique() {
        for (place, flag) in ResponseFlag::ALL.iter().enumerate() {
            for other in &ResponseFlag::ALL[..place] {
                assert_ne!(flag.code(), other.code());
                assert_ne!(flag.name(), other.name());
            }
        }
    }

    #[test]
    fn a_set_prints_its_codes_in_order() {
        let mut flags = ResponseFlags::NONE.with(ResponseFlag::UpstreamRetryLimitExceeded);
        flags.insert(ResponseFlag::UpstreamConnectionFailure);
        assert_eq!(flags.to_string(), "UF,URX");
        assert_eq!(ResponseFlags::NONE.to_string(), "-");
        assert!(!flags.contains(ResponseFlag::NoRouteFound));
    }
}
