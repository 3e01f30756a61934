//! What a service outside says: the last part of step 6.
//!
//! In: a request that policies and limits let pass ([`Passed`]), and the service that its route
//! asks, if it asks one. Out: the [`Permit`], at once or by the service's answer ([`Question`]);
//! there is no other way to one. The semantics are those of Envoy's `ext_authz` over HTTP: 200
//! allows, a status from 500 on is no answer, any other denies.
//!
//! Pure: the question is sent by `proxy`. Must stay true: fields that the service may set towards
//! the upstream are taken out of what the client sent, also when the service does not set them.

use std::sync::Arc;
use std::time::Duration;

use super::Permit;
use crate::config::{self, NamePattern};
use crate::http::{EditError, Field, FieldEdits, FieldName, FieldPatterns, Response};
use crate::route::{ClusterId, Location, Numbering, RouteTable};

/// A request that policies and limits let pass, and that a service may still refuse.
#[derive(Debug)]
#[must_use]
pub struct Passed(pub(super) ());

/// The services that the routes of one listener ask.
#[derive(Debug, Default)]
pub struct ListenerServices {
    /// By the place of the route in the listener; empty when no route asks.
    routes: Box<[Option<Service>]>,
}

/// A service that is asked, and what is made of its answers.
#[derive(Debug)]
pub struct Service {
    /// Its cluster.
    pub cluster: ClusterId,
    /// What the path of a question begins with; no slash at its end.
    pub path_prefix: Box<[u8]>,
    /// How long the whole answer may take.
    pub timeout: Duration,
    /// Which fields of the request are part of the question...
    pub asked: FieldPatterns,
    /// ...and what is added to it.
    pub added: FieldEdits,
    /// What is taken out of the request before it is forwarded: what its route takes out anyway,
    /// and all that the service may set.
    pub removals: FieldEdits,
    source: Arc<config::ExternalAuthorization>,
    upstream: FieldPatterns,
    appended: FieldPatterns,
    client: FieldPatterns,
    client_on_success: FieldPatterns,
}

/// A request about which a service has to be asked.
#[derive(Debug)]
#[must_use]
pub struct Question<'a> {
    service: &'a Service,
    passed: Passed,
}

/// What came of a question, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExternalResult {
    /// The service allows it.
    Allowed,
    /// The service denies it.
    Denied,
    /// There was no usable answer; refused.
    Error,
    /// There was no answer in time; refused.
    Timeout,
    /// There was no usable answer; let pass as configured.
    ErrorAllowed,
    /// There was no answer in time; let pass as configured.
    TimeoutAllowed,
}

/// A question decided.
#[derive(Debug)]
pub struct Ruling {
    /// In a word.
    pub result: ExternalResult,
    /// Leave to go on, with what changes; or what the client is told.
    pub verdict: Result<(Permit, Changes), Refusal>,
}

/// What an allowing answer changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// In the request, for the upstream.
    pub upstream: FieldEdits,
    /// In the response, for the client.
    pub client: FieldEdits,
}

/// What the client of a refused request is told.
#[derive(Debug, Default)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Fields of the service's answer.
    pub fields: FieldEdits,
    /// The content of the service's answer; the proxy's own words when there was no answer.
    pub content: Option<Vec<u8>>,
}

/// A request says that it passed because there was no answer: Envoy's name.
const LET_THROUGH: &[u8] = b"x-envoy-auth-failure-mode-allowed";

impl Passed {
    /// The permit, where no service is asked.
    ///
    /// # Errors
    /// The question that has to be asked first.
    pub fn permit(self, service: Option<&Service>) -> Result<Permit, Question<'_>> {
        match service {
            None => Ok(Permit(())),
            Some(service) => Err(Question {
                service,
                passed: self,
            }),
        }
    }
}

impl ListenerServices {
    /// The services of `listener`, whose routes are `routes`.
    #[must_use]
    pub fn compile(listener: &config::Listener, routes: &RouteTable, numbers: &Numbering) -> Self {
        let configured = listener.virtual_hosts.iter().flat_map(|host| &host.routes);
        let services = configured.zip(routes.routes()).map(|(source, route)| {
            let source = source.external_authorization.as_ref()?;
            let removals = route.requirement.removals();
            Some(Service::compile(source, numbers, removals))
        });
        let services: Vec<Option<Service>> = services.collect();
        match services.iter().any(Option::is_some) {
            true => Self {
                routes: services.into(),
            },
            false => Self::default(),
        }
    }

    /// The service that is asked about a request that was routed to `location`.
    #[must_use]
    pub fn at(&self, location: Location<'_>) -> Option<&Service> {
        self.routes.get(location.place?)?.as_ref()
    }
}

impl Service {
    fn compile(
        source: &Arc<config::ExternalAuthorization>,
        numbers: &Numbering,
        route_removals: &FieldEdits,
    ) -> Self {
        let mut removals = route_removals.clone();
        let mut added = FieldEdits::new();
        let upstream = patterns(&source.upstream_fields);
        let mut is_fit = removals.remove_all(&upstream).is_ok();
        is_fit &= removals.remove(LET_THROUGH).is_ok();
        for (name, value) in &source.added_fields {
            is_fit &= added.set(name.as_bytes(), value.as_bytes()).is_ok();
        }
        debug_assert!(is_fit, "an edit the configuration let through: {source:?}");
        Self {
            cluster: numbers.cluster(source.cluster.index),
            path_prefix: source.path_prefix.as_bytes().into(),
            timeout: source.timeout,
            asked: patterns(&source.request_fields),
            added,
            removals,
            appended: patterns(&source.appended_upstream_fields),
            client: patterns(&source.client_fields),
            client_on_success: patterns(&source.client_fields_on_success),
            upstream,
            source: Arc::clone(source),
        }
    }

    /// It as configured.
    #[must_use]
    pub fn source(&self) -> &config::ExternalAuthorization {
        &self.source
    }

    /// What an answer that allows changes.
    fn changes(&self, answer: &Response<'_>) -> Result<Changes, EditError> {
        let mut changes = Changes::default();
        for Field {
            name,
            name_bytes,
            value,
        } in answer.forwarded_fields()
        {
            let has = |patterns: &FieldPatterns| patterns.has(name, name_bytes);
            if has(&self.upstream) {
                changes.upstream.replace(name_bytes, value)?;
            } else if has(&self.appended) {
                changes.upstream.add(name_bytes, value)?;
            }
            if has(&self.client_on_success) {
                changes.client.add(name_bytes, value)?;
            }
        }
        Ok(changes)
    }

    /// What the client gets of an answer that denies.
    fn refusal(
        &self,
        answer: &Response<'_>,
        content: Option<Vec<u8>>,
    ) -> Result<Refusal, EditError> {
        let mut fields = FieldEdits::new();
        let content = content.unwrap_or_default();
        for Field {
            name,
            name_bytes,
            value,
        } in answer.forwarded_fields()
        {
            let is_given = match name {
                FieldName::ContentType | FieldName::ContentEncoding => !content.is_empty(),
                FieldName::Location | FieldName::WwwAuthenticate => true,
                _ => self.client.has(name, name_bytes),
            };
            if is_given {
                fields.replace(name_bytes, value)?;
            }
        }
        Ok(Refusal {
            status: answer.status(),
            fields,
            content: Some(content),
        })
    }
}

impl<'a> Question<'a> {
    /// Who is asked.
    #[must_use]
    pub fn service(&self) -> &'a Service {
        self.service
    }

    /// Decides by the service's answer. `content` is its content; `None` if that was too long to
    /// be told.
    pub fn answered(self, answer: &Response<'_>, content: Option<Vec<u8>>) -> Ruling {
        match answer.status() {
            200 => match self.service.changes(answer) {
                Ok(changes) => Ruling {
                    result: ExternalResult::Allowed,
                    verdict: Ok((self.leave(), changes)),
                },
                Err(_) => self.unanswered(false),
            },
            500.. => self.unanswered(false),
            _ => match self.service.refusal(answer, content) {
                Ok(refusal) => Ruling {
                    result: ExternalResult::Denied,
                    verdict: Err(refusal),
                },
                Err(_) => self.unanswered(false),
            },
        }
    }

    /// Decides without an answer.
    pub fn unanswered(self, is_late: bool) -> Ruling {
        let source = &self.service.source;
        if !source.failure_mode_allow {
            return Ruling {
                result: match is_late {
                    true => ExternalResult::Timeout,
                    false => ExternalResult::Error,
                },
                verdict: Err(Refusal {
                    status: source.status_on_error,
                    ..Refusal::default()
                }),
            };
        }
        let mut changes = Changes::default();
        let is_told = changes.upstream.set(LET_THROUGH, b"true");
        debug_assert!(is_told.is_ok(), "a name and a value without a mistake");
        Ruling {
            result: match is_late {
                true => ExternalResult::TimeoutAllowed,
                false => ExternalResult::ErrorAllowed,
            },
            verdict: Ok((self.leave(), changes)),
        }
    }

    fn leave(self) -> Permit {
        let Passed(()) = self.passed;
        Permit(())
    }
}

impl ExternalResult {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 6] = [
        Self::Allowed,
        Self::Denied,
        Self::Error,
        Self::Timeout,
        Self::ErrorAllowed,
        Self::TimeoutAllowed,
    ];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::ErrorAllowed => "error_allowed",
            Self::TimeoutAllowed => "timeout_allowed",
        }
    }
}

fn patterns(configured: &[NamePattern]) -> FieldPatterns {
    let mut patterns = FieldPatterns::default();
    for pattern in configured {
        match pattern {
            NamePattern::Exact(name) => patterns.add_name(name.as_bytes()),
            NamePattern::Prefix(start) => patterns.add_prefix(start.as_bytes()),
        }
    }
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::Permit;
    use crate::http::{HeadLimits, Method, ResponseHead, h1};

    /// The service with these lines, on a route that takes `x-api-key` out.
    fn service(lines: &str) -> Service {
        let text = format!(
            "clusters = [{{ name = 'a', endpoints = [] }}, {{ name = 's', endpoints = [] }}]\n\
             [[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
             virtual_hosts = [{{ hosts = ['*'], routes = [{{ forward = 'a' }}] }}]\n\
             [listeners.external_authorization]\ncluster = 's'\n{lines}"
        );
        let config = config::parse(&text, "f".as_ref());
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let route = &config.listeners[0].virtual_hosts[0].routes[0];
        let source = route.external_authorization.as_ref().expect("configured");
        let mut removals = FieldEdits::new();
        removals.remove(b"x-api-key").expect("a name");
        Service::compile(source, &Numbering::default(), &removals)
    }

    /// What `service` rules by this answer.
    fn ruling(service: &Service, status: &str, fields: &str, content: &str) -> Ruling {
        let text = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n");
        let (bytes, mut head) = (text.as_bytes(), ResponseHead::new());
        let parsed = h1::response::parse(bytes, &HeadLimits::default(), Method::Get, &mut head);
        assert!(parsed.is_ok(), "{text}");
        let question = Passed(()).permit(Some(service)).expect_err("is asked");
        let content = Some(content.as_bytes().to_vec());
        question.answered(&head.view(bytes), content)
    }

    fn added(edits: &FieldEdits) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lines = edits.set.iter().chain(&edits.add);
        lines
            .map(|edit| format!("{}: {}", text(&edit.name_bytes), text(&edit.value)))
            .collect()
    }

    #[test]
    fn a_permit_needs_an_answer_where_a_service_is_asked() {
        let is_permit = |_: Permit| true;
        assert!(Passed(()).permit(None).is_ok_and(is_permit));
        let service = service("");
        assert!(Passed(()).permit(Some(&service)).is_err());
        assert_eq!(service.cluster, ClusterId(1));
    }

    #[test]
    fn an_allowing_answer_sets_what_it_may_and_nothing_else() {
        let service = service(
            "allowed_upstream_headers = ['x-user', 'x-auth-*']\n\
             allowed_upstream_headers_to_append = ['x-scope']\n\
             allowed_client_headers_on_success = ['set-cookie']",
        );
        let fields = "X-User: a\r\nX-Auth-A: 1\r\nX-Auth-A: 2\r\nX-Scope: s\r\nX-Else: e\r\n\
                      Set-Cookie: c\r\nX-Auth-Hop: h\r\nConnection: x-auth-hop\r\n";
        let ruling = ruling(&service, "200 OK", fields, "ignored");
        assert_eq!(ruling.result, ExternalResult::Allowed);
        let (_, changes) = ruling.verdict.expect("allowed");
        let upstream = ["X-User: a", "X-Auth-A: 1", "X-Auth-A: 2", "X-Scope: s"];
        assert_eq!(added(&changes.upstream), upstream);
        assert_eq!(added(&changes.client), ["Set-Cookie: c"]);
        let replaces = |edits: &FieldEdits, name: &[u8]| edits.replaces(FieldName::Other, name);
        assert!(replaces(&changes.upstream, b"x-user") && !replaces(&changes.upstream, b"x-scope"));
        // What a client forges is taken out, whatever the answer has.
        for name in [&b"X-User"[..], b"x-auth-any", b"x-api-key", LET_THROUGH] {
            assert!(replaces(&service.removals, name));
        }
        assert!(!replaces(&service.removals, b"x-scope"));
    }

    #[test]
    fn any_answer_below_500_but_200_denies_with_its_own_words() {
        let service = service("allowed_client_headers = ['x-why', 'x-auth-*']");
        for status in [201, 204, 302, 304, 400, 401, 403, 404, 429, 499] {
            let fields = "Location: /login\r\nWWW-Authenticate: Bearer\r\nX-Why: w\r\n\
                          X-Auth-A: a\r\nX-Else: e\r\nContent-Type: text/html\r\n";
            let ruling = ruling(&service, &format!("{status} x"), fields, "no");
            assert_eq!(ruling.result, ExternalResult::Denied, "{status}");
            let refusal = ruling.verdict.expect_err("denied");
            assert_eq!(refusal.status, status);
            assert_eq!(refusal.content.as_deref(), Some(&b"no"[..]));
            assert_eq!(
                added(&refusal.fields),
                [
                    "Location: /login",
                    "WWW-Authenticate: Bearer",
                    "X-Why: w",
                    "X-Auth-A: a",
                    "Content-Type: text/html"
                ]
            );
        }
    }

    #[test]
    fn without_an_answer_the_configuration_decides() {
        let closed = service("status_on_error = 503");
        for status in ["500 x", "503 x", "599 x", "999 x"] {
            let ruling = ruling(&closed, status, "X-User: a\r\n", "");
            assert_eq!(ruling.result, ExternalResult::Error, "{status}");
            let refusal = ruling.verdict.expect_err("refused");
            assert_eq!((refusal.status, refusal.content), (503, None));
            assert!(refusal.fields.is_empty());
        }
        let late = |service| {
            let question = Passed(()).permit(Some(service)).expect_err("is asked");
            question.unanswered(true)
        };
        assert_eq!(late(&closed).result, ExternalResult::Timeout);
        let open = service("failure_mode_allow = true");
        let ruling = ruling(&open, "500 x", "", "");
        assert_eq!(ruling.result, ExternalResult::ErrorAllowed);
        let (_, changes) = ruling.verdict.expect("let through");
        let told = ["x-envoy-auth-failure-mode-allowed: true"];
        assert_eq!(added(&changes.upstream), told);
        assert_eq!(late(&open).result, ExternalResult::TimeoutAllowed);
    }
}
