//! Responses that the proxy makes itself.
//!
//! [`Answer::to`] is the one place that decides what a client is told about a failure: a status,
//! and a body that names the status and nothing else. Which endpoint, which limit, which detail:
//! that is in the access log and the metrics, under the request id that the response carries, so
//! that what a stranger sees does not depend on the inside. Redirects and direct responses of
//! routes are written here, too.

use std::io::Write as _;

use super::authorization::course::LocalAnswer;
use super::telling::Telling;
use crate::authenticate::Fault;
use crate::authorize::external::Refusal;
use crate::http::h1::encode::{self, ConnectionReply, LocalReply};
use crate::http::{FieldEdits, FieldName, Method, Request, Version};
use crate::limits;
use crate::record::{DownstreamFailure, Failure, ProxyFailure, UpstreamFailure};
use crate::route::{DirectResponse, Redirect};

/// How a failure is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    /// The connection cannot be read further, or should not be.
    closes: bool,
}

impl Answer {
    /// The answer to `failure`; `None` when nobody is there to read one.
    pub(super) const fn to(failure: Failure) -> Option<Self> {
        match failure {
            Failure::Downstream(failure) => Self::to_downstream(failure),
            Failure::Upstream(failure) => Some(Self::to_upstream(failure)),
            Failure::Proxy(failure) => Some(Self::to_proxy(failure)),
        }
    }

    const fn to_downstream(failure: DownstreamFailure) -> Option<Self> {
        Some(match failure {
            DownstreamFailure::BadHead(fault) => Self::closing(fault.status()),
            DownstreamFailure::HeadTimeout | DownstreamFailure::BodyTimeout => Self::closing(408),
            DownstreamFailure::BadBody | DownstreamFailure::BodyTruncated => Self::closing(400),
            DownstreamFailure::BodyTooLarge => Self::closing(413),
            DownstreamFailure::Closed | DownstreamFailure::ReadStalled => return None,
            DownstreamFailure::NoRoute => Self::keeping(404),
            DownstreamFailure::Denied => Self::keeping(403),
            DownstreamFailure::RateLimited => Self::keeping(429),
            DownstreamFailure::MethodRefused => Self::closing(405),
            // RFC 9110 §15.5.20: the client may try again on another connection.
            DownstreamFailure::Misdirected => Self::closing(421),
            // A certificate cannot be sent with another request, so there is nothing to challenge.
            DownstreamFailure::Unauthenticated(Fault::CertificateMissing) => Self::keeping(403),
            DownstreamFailure::Unauthenticated(_) => Self::keeping(401),
        })
    }

    const fn to_upstream(failure: UpstreamFailure) -> Self {
        Self::keeping(match failure {
            UpstreamFailure::NoEndpoint
            | UpstreamFailure::Overflow
            | UpstreamFailure::ConnectRefused
            | UpstreamFailure::ConnectFailed
            | UpstreamFailure::TlsFailed => 503,
            UpstreamFailure::ClosedBeforeResponse
            | UpstreamFailure::ClosedMidResponse
            | UpstreamFailure::BadResponse => 502,
            UpstreamFailure::ConnectTimeout
            | UpstreamFailure::FirstByteTimeout
            | UpstreamFailure::RequestTimeout
            | UpstreamFailure::IdleTimeout => 504,
        })
    }

    const fn to_proxy(failure: ProxyFailure) -> Self {
        match failure {
            ProxyFailure::Draining => Self::closing(503),
            // A connection made anew would cost more than the answer.
            ProxyFailure::Overloaded => Self::keeping(503),
            // Gateway API: a route whose backends are invalid answers 500.
            ProxyFailure::NoCluster => Self::keeping(500),
            ProxyFailure::Internal => Self::closing(500),
            // It may be in order; only nobody here can tell, which is no reason to let it through.
            ProxyFailure::KeysMissing => Self::keeping(503),
            // The configuration says by what status: the refusal has it.
            ProxyFailure::AuthorizationMissing => Self::keeping(503),
        }
    }

    const fn closing(status: u16) -> Self {
        Self {
            status,
            closes: true,
        }
    }

    const fn keeping(status: u16) -> Self {
        Self {
            status,
            closes: false,
        }
    }

    const fn body(self) -> &'static [u8] {
        match self.status {
            400 => b"400 Bad Request\n",
            401 => b"401 Unauthorized\n",
            403 => b"403 Forbidden\n",
            404 => b"404 Not Found\n",
            405 => b"405 Method Not Allowed\n",
            408 => b"408 Request Timeout\n",
            413 => b"413 Content Too Large\n",
            414 => b"414 URI Too Long\n",
            417 => b"417 Expectation Failed\n",
            421 => b"421 Misdirected Request\n",
            429 => b"429 Too Many Requests\n",
            431 => b"431 Request Header Fields Too Large\n",
            501 => b"501 Not Implemented\n",
            502 => b"502 Bad Gateway\n",
            503 => b"503 Service Unavailable\n",
            504 => b"504 Gateway Timeout\n",
            505 => b"505 HTTP Version Not Supported\n",
            500 => b"500 Internal Server Error\n",
            _ => b"",
        }
    }
}

/// The status that answers `failure`; `None` when nobody is there to read one.
pub fn status_of(failure: Failure) -> Option<u16> {
    Answer::to(failure).map(|answer| answer.status)
}

/// Answers a failure, if there is somebody to answer. Says whether the connection may go on.
/// `storage` is scratch space.
pub(super) fn failure(telling: &mut Telling<'_>, failure: Failure, storage: &mut Vec<u8>) -> bool {
    let Some(answer) = Answer::to(failure) else {
        return false;
    };
    if let Some(refusal) = telling.take_refusal() {
        return refused(telling, &refusal);
    }
    let challenges = telling.challenges();
    let mut challenge_fields: [(&[u8], &[u8]); limits::REQUIRED_METHODS_MAX] = Default::default();
    for (field, value) in challenge_fields.iter_mut().zip(challenges.as_slice()) {
        *field = (b"WWW-Authenticate", value);
    }
    let limit_fields = limit_fields(telling, storage);
    let fields: &[(&[u8], &[u8])] = match answer.status {
        // RFC 9110 §15.5.2: 401 says what to show.
        401 => challenge_fields
            .get(..challenges.as_slice().len())
            .unwrap_or_default(),
        429 => &limit_fields,
        // RFC 9110 §15.5.6: 405 says what is allowed.
        405 => &[(b"Allow", ALLOWED)],
        503 if is_passing(failure) => &[(b"Retry-After", RETRY_AFTER)],
        _ => &[],
    };
    let reply = LocalReply {
        status: answer.status,
        body: answer.body(),
        fields,
        ..LocalReply::default()
    };
    // Refusals because of the lag are few: a rest would keep good clients waiting for nothing.
    if failure == Failure::Upstream(UpstreamFailure::Overflow) {
        let until = telling.received_at() + limits::REFUSED_REST;
        telling.connection().stream.rest(until);
    }
    send(telling, reply, answer.closes)
}

/// Tells what a service outside said of a request, or what the configuration says where it said
/// nothing.
fn refused(telling: &mut Telling<'_>, refusal: &Refusal) -> bool {
    let own = || Answer::keeping(refusal.status).body();
    let reply = LocalReply {
        status: refusal.status,
        body: refusal.content.as_deref().unwrap_or_else(own),
        edits: &[&refusal.fields],
        ..LocalReply::default()
    };
    send(telling, reply, false)
}

/// What 429 says: when to come again (RFC 6585 §4), by which limit and what is left of it
/// (draft-ietf-httpapi-ratelimit-headers-10). The values are written into `storage`.
fn limit_fields<'s>(
    telling: &Telling<'_>,
    storage: &'s mut Vec<u8>,
) -> [(&'static [u8], &'s [u8]); 3] {
    storage.clear();
    let mut ends = [0; 2];
    if let Some(exceeded) = telling.exceeded() {
        let _ = write!(storage, "{}", exceeded.retry_after_seconds());
        ends[0] = storage.len();
        exceeded.limit.write_policy(storage);
        ends[1] = storage.len();
        exceeded.write_left(storage);
    }
    let (retry_after, rest) = storage.split_at_checked(ends[0]).unwrap_or_default();
    let policy_bytes = ends[1].saturating_sub(ends[0]);
    let (policy, left) = rest.split_at_checked(policy_bytes).unwrap_or_default();
    [
        (b"Retry-After", retry_after),
        (b"RateLimit-Policy", policy),
        (b"RateLimit", left),
    ]
}

/// Whether it may be over in a moment, and the client had better wait until then (RFC 9110
/// §10.2.3).
const fn is_passing(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::Proxy(ProxyFailure::Overloaded) | Failure::Upstream(UpstreamFailure::Overflow)
    )
}

const RETRY_AFTER: &[u8] = limits::OVERLOAD_RETRY_AFTER.as_bytes();

/// Methods that are routed wherever CONNECT is not allowed.
const ALLOWED: &[u8] = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE";

/// Answers a request that is not to be forwarded, with fields that are `added` to those of its
/// route; `text` is scratch space. Says whether the
/// connection may go on.
pub(super) fn answer(
    telling: &mut Telling<'_>,
    answer: LocalAnswer<'_>,
    added: &FieldEdits,
    text: &mut Vec<u8>,
) -> bool {
    match answer {
        LocalAnswer::LastRecipient => last_recipient(telling, text),
        LocalAnswer::Redirect(route, to) => {
            redirect(telling, to, &[&route.response_edits, added], text)
        }
        LocalAnswer::Direct(route, response) => {
            direct(telling, response, &[&route.response_edits, added])
        }
    }
}

/// Answers with another location, which is written into `location`.
fn redirect(
    telling: &mut Telling<'_>,
    redirect: &Redirect,
    edits: &[&FieldEdits],
    location: &mut Vec<u8>,
) -> bool {
    location.clear();
    if let Some(request) = telling.request() {
        let scheme = telling.connection().scheme();
        redirect.location(&request, scheme, location);
    }
    let fields: [(&[u8], &[u8]); 1] = [(b"Location", location)];
    let reply = LocalReply {
        status: redirect.status(),
        fields: &fields,
        edits,
        ..LocalReply::default()
    };
    send(telling, reply, false)
}

/// Answers from the configuration.
fn direct(telling: &mut Telling<'_>, response: &DirectResponse, edits: &[&FieldEdits]) -> bool {
    let reply = LocalReply {
        status: response.status,
        body: &response.body,
        content_type: &response.content_type,
        edits,
        ..LocalReply::default()
    };
    send(telling, reply, false)
}

/// Whether the proxy answers the request itself as its last recipient: RFC 9110 §7.6.2.
pub(super) fn is_last_recipient(request: &Request<'_>) -> bool {
    matches!(request.method(), Method::Trace | Method::Options) && request.max_forwards() == Some(0)
}

/// Answers TRACE or OPTIONS as the last recipient.
fn last_recipient(telling: &mut Telling<'_>, echo: &mut Vec<u8>) -> bool {
    let Some(request) = telling.request() else {
        return false;
    };
    if request.method() == Method::Options {
        let reply = LocalReply {
            status: 200,
            fields: &[(b"Allow", ALLOWED)],
            ..LocalReply::default()
        };
        return send(telling, reply, false);
    }
    write_trace(&request, echo);
    let reply = LocalReply {
        status: 200,
        body: echo,
        content_type: b"message/http",
        ..LocalReply::default()
    };
    send(telling, reply, false)
}

/// RFC 9110 §9.3.8: what was received, without what could be secret. Only the fields that tell of
/// the way here are repeated, since any other may be a credential.
fn write_trace(request: &Request<'_>, out: &mut Vec<u8>) {
    out.clear();
    for part in [
        request.method_bytes(),
        b" ",
        request.path(),
        b" ",
        request.version().label().as_bytes(),
        b"\r\n",
    ] {
        out.extend_from_slice(part);
    }
    for field in request.fields() {
        if matches!(
            field.name,
            FieldName::Host | FieldName::Via | FieldName::MaxForwards
        ) {
            for part in [field.name_bytes, b": ", field.value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Queues a reply with everything the listener adds to it. Says whether the connection may go on.
fn send(telling: &mut Telling<'_>, reply: LocalReply<'_>, closes: bool) -> bool {
    let connection = telling.connection();
    let request = telling.request();
    let persists = !closes && telling.may_persist();
    let version = request.map_or(Version::Http11, |request| request.version());
    let date = connection.local.date.at(telling.received_at());
    let fields = &telling.plan().fields;
    let reply = LocalReply {
        connection: match version {
            _ if !persists => ConnectionReply::Close,
            Version::Http11 => ConnectionReply::Persist,
            Version::Http10 => ConnectionReply::KeepAlive,
        },
        // RFC 9110 §6.6.1: responses of our own always have one.
        date: Some(&date),
        server: fields.local_server(),
        request_id: Some(telling.request_id()).filter(|id| !id.is_empty()),
        head_only: request.is_some_and(|request| request.method() == Method::Head),
        ..reply
    };
    let mut bytes = 0;
    connection.stream.write(|out| {
        let before = out.len();
        encode::local_reply(out, &reply);
        bytes = out.len().saturating_sub(before);
    });
    telling.replied(reply.status, bytes as u64);
    persists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_an_answer_or_nobody_to_read_it() {
        for failure in Failure::ALL {
            let answer = Answer::to(failure);
            let is_gone = matches!(
                failure,
                Failure::Downstream(DownstreamFailure::Closed | DownstreamFailure::ReadStalled)
            );
            assert_eq!(answer.is_none(), is_gone, "{failure:?}");
            let Some(answer) = answer else { continue };
            assert!((400..600).contains(&answer.status), "{failure:?}");
            let body = std::str::from_utf8(answer.body()).expect("text");
            assert!(
                body.starts_with(&answer.status.to_string()),
                "{failure:?}: {body}"
            );
        }
    }

    #[test]
    fn the_fault_decides_the_class() {
        for failure in Failure::ALL {
            let Some(answer) = Answer::to(failure) else {
                continue;
            };
            let is_client_error = answer.status < 500;
            let is_clients_fault = matches!(failure, Failure::Downstream(_));
            // 501 and 505 are told to the client that asked for what nobody here can do.
            if !matches!(answer.status, 501 | 505) {
                assert_eq!(is_client_error, is_clients_fault, "{failure:?}");
            }
        }
    }

    #[test]
    fn rfc9112_6_3_an_unreadable_request_ends_the_connection() {
        for failure in Failure::ALL {
            if let Failure::Downstream(DownstreamFailure::BadHead(_) | DownstreamFailure::BadBody) =
                failure
            {
                assert!(Answer::to(failure).is_some_and(|answer| answer.closes));
            }
        }
    }
}
