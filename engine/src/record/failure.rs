//! Everything that can go wrong with an exchange, by whose fault it is.
//!
//! The steps return their own small errors; `proxy` folds them into a [`Failure`], which answers
//! the three questions everybody asks: whose fault, may the attempt be repeated, how is it called
//! in logs and metrics. Status and body of the reply are decided elsewhere, in the one match of
//! `proxy/local_reply.rs`. All matches here are exhaustive: a new variant makes the compiler list
//! the places where something must be decided.

use super::flag::ResponseFlag;
use crate::authenticate::Fault as Unproved;

/// Why an exchange did not end as it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The client sent what cannot be served, or went away.
    Downstream(DownstreamFailure),
    /// The cluster or its endpoint did not give an answer.
    Upstream(UpstreamFailure),
    /// This process could not serve.
    Proxy(ProxyFailure),
}

/// What a client did, or did not do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DownstreamFailure {
    /// The request head was refused: malformed, ambiguous, too large or not implemented.
    BadHead(HeadFault),
    /// The head did not arrive completely within the header timeout.
    HeadTimeout,
    /// The body's chunked framing was malformed.
    BadBody,
    /// The body is larger than the listener or route allows.
    BodyTooLarge,
    /// The client stopped sending its body for longer than the body-gap timeout.
    BodyTimeout,
    /// The client closed its sending side before the announced end of the body.
    BodyTruncated,
    /// The client closed or reset the connection before it had the whole response.
    Closed,
    /// The client did not take the response for longer than the idle timeout.
    ReadStalled,
    /// No route matches the request.
    NoRoute,
    /// The method is not allowed here (CONNECT where it is not configured).
    MethodRefused,
    /// The request is for a host that the connection's certificate is not for.
    Misdirected,
    /// The caller has not proved who it is.
    Unauthenticated(Unproved),
    /// A policy denies it, or none allows it.
    Denied,
    /// The caller has sent more than a rate limit allows.
    RateLimited,
}

/// What a cluster or its endpoint did, or did not do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamFailure {
    /// The cluster has no endpoint that may be used.
    NoEndpoint,
    /// The bound on attempts in flight was reached.
    Overflow,
    /// The endpoint's host refused the connection: nothing listens there.
    ConnectRefused,
    /// The connection was not made within the connect timeout.
    ConnectTimeout,
    /// The connection failed otherwise: unreachable, no such socket, no local port left.
    ConnectFailed,
    /// The endpoint did not prove who it is, or the TLS handshake failed otherwise.
    TlsFailed,
    /// The connection ended before the first byte of the response: a restart, a crash, or the
    /// keep-alive race on a reused connection.
    ClosedBeforeResponse,
    /// The connection ended, or the body was cut short, after the response had begun.
    ClosedMidResponse,
    /// The response's head or framing was malformed.
    BadResponse,
    /// The first byte of the response did not arrive in time.
    FirstByteTimeout,
    /// The route's bound on the whole exchange passed.
    RequestTimeout,
    /// The response, once begun, stood still for longer than the idle timeout.
    IdleTimeout,
}

/// Why this process did not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyFailure {
    /// The shard is draining and its time is up.
    Draining,
    /// A bound of the process on memory or connections was reached.
    Overloaded,
    /// The route leads to no cluster: none configured, or all weights are zero.
    NoCluster,
    /// A bug was caught: an invariant of this program did not hold.
    Internal,
    /// The keys of a token's issuer could not be fetched yet, or are too old.
    KeysMissing,
    /// The external authorization service gave no answer that could be used.
    AuthorizationMissing,
}

/// Why a request head was refused, by the status that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadFault {
    /// 400: syntax, framing, Host or target.
    Malformed,
    /// 405: a method that this proxy does not carry.
    MethodNotAllowed,
    /// 414: the request line is too long.
    TargetTooLong,
    /// 417: an expectation other than 100-continue.
    ExpectationFailed,
    /// 431: too many or too large fields.
    FieldsTooLarge,
    /// 501: a transfer coding that is not implemented.
    NotImplemented,
    /// 505: a version of HTTP other than 1.x.
    VersionUnsupported,
}

/// Who has to change something for this not to happen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client.
    Downstream,
    /// The service behind.
    Upstream,
    /// This process, or whoever configures it.
    Proxy,
}

impl Fault {
    /// The name in logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Upstream => "upstream",
            Self::Proxy => "proxy",
        }
    }
}

/// May the request be sent again, to the same or another endpoint?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Yes: no application can have seen the request.
    Safe,
    /// Only if no byte of it had left, or if it is idempotent and can be replayed whole
    /// (RFC 9110 section 9.2.2): the application may have seen it.
    OnlyIfUnsent,
    /// No: the response has begun, the time is up, or another attempt would end the same way.
    Never,
}

impl Failure {
    /// How many different failures are counted: [`Failure::index`] is below it.
    pub const COUNT: usize = Self::ALL.len();

    /// Every failure, in the order in which they are counted.
    pub const ALL: [Self; 49] = {
        use {DownstreamFailure as D, HeadFault as H, ProxyFailure as P, UpstreamFailure as U};
        [
            Self::Downstream(D::BadHead(H::Malformed)),
            Self::Downstream(D::BadHead(H::MethodNotAllowed)),
            Self::Downstream(D::BadHead(H::TargetTooLong)),
            Self::Downstream(D::BadHead(H::ExpectationFailed)),
            Self::Downstream(D::BadHead(H::FieldsTooLarge)),
            Self::Downstream(D::BadHead(H::NotImplemented)),
            Self::Downstream(D::BadHead(H::VersionUnsupported)),
            Self::Downstream(D::HeadTimeout),
            Self::Downstream(D::BadBody),
            Self::Downstream(D::BodyTooLarge),
            Self::Downstream(D::BodyTimeout),
            Self::Downstream(D::BodyTruncated),
            Self::Downstream(D::Closed),
            Self::Downstream(D::ReadStalled),
            Self::Downstream(D::NoRoute),
            Self::Downstream(D::MethodRefused),
            Self::Downstream(D::Misdirected),
            Self::Downstream(D::Denied),
            Self::Downstream(D::RateLimited),
            Self::Downstream(D::Unauthenticated(Unproved::CredentialsMissing)),
            Self::Downstream(D::Unauthenticated(Unproved::CertificateMissing)),
            Self::Downstream(D::Unauthenticated(Unproved::CredentialsMalformed)),
            Self::Downstream(D::Unauthenticated(Unproved::ApiKeyUnknown)),
            Self::Downstream(D::Unauthenticated(Unproved::PasswordWrong)),
            Self::Downstream(D::Unauthenticated(Unproved::TokenAlgorithm)),
            Self::Downstream(D::Unauthenticated(Unproved::TokenKeyUnknown)),
            Self::Downstream(D::Unauthenticated(Unproved::TokenSignature)),
            Self::Downstream(D::Unauthenticated(Unproved::TokenExpired)),
            Self::Downstream(D::Unauthenticated(Unproved::TokenNotYetValid)),
            Self::Downstream(D::Unauthenticated(Unproved::TokenIssuer)),
            Self::Downstream(D::Unauthenticated(Unproved::TokenAudience)),
            Self::Upstream(U::NoEndpoint),
            Self::Upstream(U::Overflow),
            Self::Upstream(U::ConnectRefused),
            Self::Upstream(U::ConnectTimeout),
            Self::Upstream(U::ConnectFailed),
            Self::Upstream(U::TlsFailed),
            Self::Upstream(U::ClosedBeforeResponse),
            Self::Upstream(U::ClosedMidResponse),
            Self::Upstream(U::BadResponse),
            Self::Upstream(U::FirstByteTimeout),
            Self::Upstream(U::RequestTimeout),
            Self::Upstream(U::IdleTimeout),
            Self::Proxy(P::Draining),
            Self::Proxy(P::Overloaded),
            Self::Proxy(P::NoCluster),
            Self::Proxy(P::Internal),
            Self::Proxy(P::KeysMissing),
            Self::Proxy(P::AuthorizationMissing),
        ]
    };

    /// Its place in [`Failure::ALL`].
    pub const fn index(self) -> usize {
        const UPSTREAM: usize = 31;
        const PROXY: usize = 43;
        match self {
            Self::Downstream(failure) => failure.index(),
            Self::Upstream(failure) => UPSTREAM + failure as usize,
            Self::Proxy(failure) => PROXY + failure as usize,
        }
    }

    /// Whose fault it is.
    pub const fn fault(self) -> Fault {
        match self {
            Self::Downstream(_) => Fault::Downstream,
            Self::Upstream(_) => Fault::Upstream,
            Self::Proxy(_) => Fault::Proxy,
        }
    }

    /// May the attempt be repeated?
    pub const fn retry(self) -> Retry {
        match self {
            Self::Downstream(_) | Self::Proxy(_) => Retry::Never,
            Self::Upstream(failure) => failure.retry(),
        }
    }

    /// The response flag that says so.
    pub const fn flag(self) -> ResponseFlag {
        match self {
            Self::Downstream(failure) => failure.flag(),
            Self::Upstream(failure) => failure.flag(),
            Self::Proxy(failure) => failure.flag(),
        }
    }

    /// The name in logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Downstream(failure) => failure.label(),
            Self::Upstream(failure) => failure.label(),
            Self::Proxy(failure) => failure.label(),
        }
    }
}

impl DownstreamFailure {
    const fn index(self) -> usize {
        const AFTER_HEAD: usize = 7;
        match self {
            Self::BadHead(fault) => fault as usize,
            Self::HeadTimeout => AFTER_HEAD,
            Self::BadBody => AFTER_HEAD + 1,
            Self::BodyTooLarge => AFTER_HEAD + 2,
            Self::BodyTimeout => AFTER_HEAD + 3,
            Self::BodyTruncated => AFTER_HEAD + 4,
            Self::Closed => AFTER_HEAD + 5,
            Self::ReadStalled => AFTER_HEAD + 6,
            Self::NoRoute => AFTER_HEAD + 7,
            Self::MethodRefused => AFTER_HEAD + 8,
            Self::Misdirected => AFTER_HEAD + 9,
            Self::Denied => AFTER_HEAD + 10,
            Self::RateLimited => AFTER_HEAD + 11,
            Self::Unauthenticated(fault) => AFTER_HEAD + 12 + fault as usize,
        }
    }

    const fn flag(self) -> ResponseFlag {
        match self {
            Self::BadHead(_)
            | Self::BadBody
            | Self::BodyTooLarge
            | Self::BodyTruncated
            | Self::MethodRefused
            | Self::Misdirected => ResponseFlag::DownstreamProtocolError,
            Self::HeadTimeout => ResponseFlag::DurationTimeout,
            Self::BodyTimeout | Self::ReadStalled => ResponseFlag::StreamIdleTimeout,
            Self::Closed => ResponseFlag::DownstreamConnectionTermination,
            Self::NoRoute => ResponseFlag::NoRouteFound,
            Self::RateLimited => ResponseFlag::RateLimited,
            Self::Unauthenticated(_) | Self::Denied => ResponseFlag::UnauthorizedExternalService,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::BadHead(fault) => fault.label(),
            Self::HeadTimeout => "head_timeout",
            Self::BadBody => "bad_body",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyTruncated => "body_truncated",
            Self::Closed => "downstream_closed",
            Self::ReadStalled => "read_stalled",
            Self::NoRoute => "no_route",
            Self::MethodRefused => "method_refused",
            Self::Misdirected => "misdirected",
            Self::Unauthenticated(fault) => fault.label(),
            Self::Denied => "denied",
            Self::RateLimited => "rate_limited",
        }
    }
}

impl HeadFault {
    /// The fault that `status` answers; any other status is [`HeadFault::Malformed`].
    pub const fn from_status(status: u16) -> Self {
        match status {
            405 => Self::MethodNotAllowed,
            414 => Self::TargetTooLong,
            417 => Self::ExpectationFailed,
            431 => Self::FieldsTooLarge,
            501 => Self::NotImplemented,
            505 => Self::VersionUnsupported,
            _ => Self::Malformed,
        }
    }

    /// The status that answers it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::MethodNotAllowed => 405,
            Self::TargetTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::FieldsTooLarge => 431,
            Self::NotImplemented => 501,
            Self::VersionUnsupported => 505,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "bad_head",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TargetTooLong => "target_too_long",
            Self::ExpectationFailed => "expectation_failed",
            Self::FieldsTooLarge => "fields_too_large",
            Self::NotImplemented => "not_implemented",
            Self::VersionUnsupported => "version_unsupported",
        }
    }
}

impl UpstreamFailure {
    const fn retry(self) -> Retry {
        match self {
            // RFC 8446 §2: content is sent only after the handshake.
            Self::ConnectRefused | Self::ConnectTimeout | Self::ConnectFailed | Self::TlsFailed => {
                Retry::Safe
            }
            Self::ClosedBeforeResponse => Retry::OnlyIfUnsent,
            Self::NoEndpoint
            | Self::Overflow
            | Self::ClosedMidResponse
            | Self::BadResponse
            | Self::FirstByteTimeout
            | Self::RequestTimeout
            | Self::IdleTimeout => Retry::Never,
        }
    }

    const fn flag(self) -> ResponseFlag {
        match self {
            Self::NoEndpoint => ResponseFlag::NoHealthyUpstream,
            Self::Overflow => ResponseFlag::UpstreamOverflow,
            Self::ConnectRefused | Self::ConnectTimeout | Self::ConnectFailed | Self::TlsFailed => {
                ResponseFlag::UpstreamConnectionFailure
            }
            Self::ClosedBeforeResponse | Self::ClosedMidResponse => {
                ResponseFlag::UpstreamConnectionTermination
            }
            Self::BadResponse => ResponseFlag::UpstreamProtocolError,
            Self::FirstByteTimeout | Self::RequestTimeout => ResponseFlag::UpstreamRequestTimeout,
            Self::IdleTimeout => ResponseFlag::StreamIdleTimeout,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Overflow => "overflow",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectFailed => "connect_failed",
            Self::TlsFailed => "tls_failed",
            Self::ClosedBeforeResponse => "closed_before_response",
            Self::ClosedMidResponse => "closed_mid_response",
            Self::BadResponse => "bad_response",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::IdleTimeout => "upstream_idle_timeout",
        }
    }
}

impl ProxyFailure {
    const fn flag(self) -> ResponseFlag {
        match self {
            Self::Draining | Self::Internal => ResponseFlag::LocalReset,
            Self::KeysMissing | Self::AuthorizationMissing => {
                ResponseFlag::UnauthorizedExternalService
            }
            Self::Overloaded => ResponseFlag::OverloadManagerTerminated,
            Self::NoCluster => ResponseFlag::NoClusterFound,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::NoCluster => "no_cluster",
            Self::Internal => "internal",
            Self::KeysMissing => "keys_missing",
            Self::AuthorizationMissing => "authorization_missing",
        }
    }
}

impl From<DownstreamFailure> for Failure {
    fn from(failure: DownstreamFailure) -> Self {
        Self::Downstream(failure)
    }
}

impl From<UpstreamFailure> for Failure {
    fn from(failure: UpstreamFailure) -> Self {
        Self::Upstream(failure)
    }
}

impl From<ProxyFailure> for Failure {
    fn from(failure: ProxyFailure) -> Self {
        Self::Proxy(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_counted_at_its_own_place() {
        for (place, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure.index(), place, "{failure:?}");
        }
    }

    #[test]
    fn labels_are_unique() {
        for (place, failure) in Failure::ALL.iter().enumerate() {
            for other in &Failure::ALL[..place] {
                assert_ne!(failure.label(), other.label());
            }
        }
    }

    #[test]
    fn only_upstream_failures_may_be_retried() {
        for failure in Failure::ALL {
            if failure.fault() != Fault::Upstream {
                assert_eq!(failure.retry(), Retry::Never, "{failure:?}");
            }
        }
        let retry = |failure| Failure::Upstream(failure).retry();
        assert_eq!(retry(UpstreamFailure::ConnectRefused), Retry::Safe);
        assert_eq!(
            retry(UpstreamFailure::ClosedBeforeResponse),
            Retry::OnlyIfUnsent
        );
        assert_eq!(retry(UpstreamFailure::ClosedMidResponse), Retry::Never);
    }

    #[test]
    fn a_head_fault_and_its_status_name_each_other() {
        for failure in Failure::ALL {
            if let Failure::Downstream(DownstreamFailure::BadHead(fault)) = failure {
                assert_eq!(HeadFault::from_status(fault.status()), fault);
            }
        }
        assert_eq!(HeadFault::from_status(499), HeadFault::Malformed);
    }
}
