//! The answer: the steps of an exchange, each asked for its decision, in the order of an exchange.
//!
//! Decides nothing itself. Why a policy is not for a request is asked of the policy; which one
//! decides, of the index that serving asks.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Explanation;
use super::question::{Asked, Claimed};
use crate::authenticate::{self, Memory, Obstacle, Principal};
use crate::authorize::{
    self, Attributes, Decided, Facts, LevelOutcome, PolicyAction, PolicyTable, Wanted, rate_limit,
};
use crate::config::{Listener, MethodRule, format_duration};
use crate::http::{Request, RequestHead, Scheme, client_address, h1};
use crate::io::{clock, random_secret};
use crate::limits;
use crate::proxy::course::{self, Course, LocalAnswer};
use crate::proxy::{ListenerPlan, Snapshot, status_of};
use crate::record::{DownstreamFailure, Failure, ProxyFailure};
use crate::route::{Location, Route, WeightedClusters};

/// An explanation in the making.
pub(super) struct Story<'a> {
    snapshot: &'a Snapshot,
    listener: &'a Listener,
    plan: &'a ListenerPlan,
    out: String,
}

/// A request that is refused, and why.
struct Refused {
    failure: Failure,
    why: String,
}

/// What a request comes to.
type Outcome = Result<Option<u16>, Refused>;

impl<'a> Story<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        listener: &'a Listener,
        plan: &'a ListenerPlan,
    ) -> Self {
        Self {
            snapshot,
            listener,
            plan,
            out: String::new(),
        }
    }

    pub(super) fn tell(mut self, asked: &Asked) -> Explanation {
        let listener = format!("{}, on {}", self.listener.name, self.listener.address);
        self.line("listener", &listener);
        let (status, is_refused) = match self.steps(asked) {
            Ok(status) => (status, false),
            Err(refused) => {
                let status = status_of(refused.failure);
                let number = status.map_or_else(|| "no answer,".to_owned(), |it| it.to_string());
                let reason = refused.failure.label();
                let result = format!("{number} refused ({reason}): {}", refused.why);
                self.line("result", &result);
                (status, true)
            }
        };
        Explanation {
            text: self.out,
            status,
            is_refused,
        }
    }

    fn line(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.out, "{label:<13} {text}");
    }

    fn steps(&mut self, asked: &Asked) -> Outcome {
        let mut head = RequestHead::new();
        let parsed = h1::request::parse(&asked.head, &self.plan.head_limits, &mut head);
        if let Err(error) = parsed {
            let fault = crate::record::HeadFault::from_status(error.status());
            return refuse(DownstreamFailure::BadHead(fault), error.label());
        }
        let request = head.view(&asked.head);
        self.request(&request);
        if let Some(failure) = course::refusal(self.plan, &request) {
            return refuse(failure, "this listener does not carry that method");
        }
        let host = String::from_utf8_lossy(request.host()).into_owned();
        if let Some(tls) = &self.plan.tls
            && !tls.serves(&asked.host, &host)
        {
            return refuse(
                DownstreamFailure::Misdirected,
                "the certificate for the URL's host is not for the request's",
            );
        }
        let location = self.plan.routes.locate(&request);
        self.location(location);
        let principal = self.authenticate(asked, request, location)?;
        let plan = self.plan;
        let facts = Facts {
            principal: &principal,
            client: client_address(&request, Some(asked.source), plan.fields.trusted_hops),
            scheme: match plan.tls {
                Some(_) => Scheme::Https,
                None => Scheme::Http,
            },
        };
        self.caller(&facts);
        let mut storage = Vec::new();
        let attributes = Attributes::new(request, facts, &mut storage);
        let allowed = self.policies(location, &attributes)?;
        self.limits(location, &attributes, allowed)?;
        let service = self.service(location);
        match course::of(plan, &request, location) {
            Err(failure @ DownstreamFailure::NoRoute) => refuse(failure, "no route matches"),
            Err(failure) => refuse(failure, "the body is larger than limits.body_bytes"),
            Ok(course) => Ok(self.course(course, service.as_deref())),
        }
    }

    fn request(&mut self, request: &Request<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (method, host) = (text(request.method_bytes()), text(request.authority()));
        self.line(
            "request",
            &format!("{method} {} for {host}", text(request.path())),
        );
    }

    fn location(&mut self, location: Location<'_>) {
        let hosts = &self.listener.virtual_hosts;
        let host = location.virtual_host.and_then(|place| hosts.get(place));
        let host = host.map_or_else(|| "none has this host".to_owned(), |it| it.name.to_string());
        self.line("virtual host", &host);
        let route = location.route.map_or("none matches", |route| &route.name);
        self.line("route", route);
    }

    fn authenticate<'p>(
        &mut self,
        asked: &'p Asked,
        request: Request<'p>,
        location: Location<'_>,
    ) -> Result<Principal<'p>, Refused>
    where
        'a: 'p,
    {
        let peer = match &asked.claimed {
            Claimed::Peer(peer) => Some(&**peer),
            Claimed::ByHeaders | Claimed::KeyOwner(_) | Claimed::User(_) => None,
        };
        let taken = match &asked.claimed {
            Claimed::KeyOwner(owner) => Some((Some(owner.as_str()), None)),
            Claimed::User(user) => Some((None, Some(user.as_str()))),
            Claimed::Peer(_) | Claimed::ByHeaders => None,
        };
        if let Some((key_owner, user)) = taken {
            self.line("authenticate", "not asked: the caller is taken at its word");
            return Ok(Principal {
                key_owner,
                user,
                ..Principal::default()
            });
        }
        let Some(route) = location.route.filter(|route| !route.requirement.is_none()) else {
            self.line("authenticate", "nothing is asked for");
            return Ok(Principal::of_peer(peer));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let wanted = self.wanted(location);
        let asked = authenticate::Asked {
            request,
            peer,
            now: now.unwrap_or_default(),
        };
        let found = self.prove(route, &asked);
        let passes = if found.is_ok() {
            "passes"
        } else {
            "does not pass"
        };
        self.line("authenticate", &format!("{wanted}: {passes}"));
        found.or_else(|obstacle| match obstacle {
            Obstacle::Refused(refusal) => refuse(
                DownstreamFailure::Unauthenticated(refusal.fault),
                "the route is for callers that prove who they are",
            ),
            Obstacle::KeysMissing => refuse(
                ProxyFailure::KeysMissing,
                "the issuer's keys are fetched by a running weft, not here",
            ),
            Obstacle::Unverified(_) => refuse(ProxyFailure::Internal, "a password has no end"),
        })
    }

    /// Asks the methods, and verifies the passwords that they ask about.
    fn prove<'p>(
        &self,
        route: &Route,
        asked: &authenticate::Asked<'p>,
    ) -> Result<Principal<'p>, Obstacle>
    where
        'a: 'p,
    {
        let methods = &self.plan.methods;
        let mut memory = Memory::new(&random_secret());
        let mut found = methods.authenticate(&route.requirement, asked, &mut memory);
        for _ in 0..limits::REQUIRED_METHODS_MAX {
            let Err(Obstacle::Unverified(question)) = found else {
                break;
            };
            memory.answer(&question, question.verify(), asked.now);
            found = methods.authenticate(&route.requirement, asked, &mut memory);
        }
        found
    }

    /// What the route asks of its callers, in the words of the configuration.
    fn wanted(&self, location: Location<'_>) -> String {
        let hosts = self.listener.virtual_hosts.iter();
        let mut routes = hosts.flat_map(|host| &host.routes);
        let route = location.place.and_then(|place| routes.nth(place));
        let Some(rule) = route.and_then(|route| route.authenticate.rule.as_ref()) else {
            return "nothing".to_owned();
        };
        let names: Vec<&str> = rule.methods().iter().map(|method| &*method.name).collect();
        let how = match rule {
            MethodRule::AnyOf(_) => "any of",
            MethodRule::AllOf(_) => "all of",
        };
        format!("{how} {}", names.join(", "))
    }

    fn caller(&mut self, facts: &Facts<'_>) {
        let principal = facts.principal.label().unwrap_or("anonymous");
        let client = facts
            .client
            .map_or_else(|| "unknown".to_owned(), |it| it.to_string());
        self.line("caller", &format!("{principal}, from {client}"));
    }

    /// What each level decides, and why not the policies before the one that does.
    fn policies(
        &mut self,
        location: Location<'_>,
        attributes: &Attributes<'_>,
    ) -> Result<authorize::Allowed, Refused> {
        let levels = self.plan.policies.levels(location);
        let verdict = authorize::authorize(levels, attributes);
        if levels.iter().all(Option::is_none) {
            self.line("policies", "there are none");
        }
        for (level, outcome) in levels.into_iter().zip(verdict.levels) {
            if let (Some(level), Some(outcome)) = (level, outcome) {
                self.level(level, outcome, attributes);
            }
        }
        match verdict.result {
            Ok(allowed) => Ok(allowed),
            Err(policy) => {
                let label = self.plan.policies.label(policy).unwrap_or_default();
                refuse(DownstreamFailure::Denied, &format!("policy {label}"))
            }
        }
    }

    fn level(&mut self, level: &PolicyTable, outcome: LevelOutcome, attributes: &Attributes<'_>) {
        for (id, policy) in level.policies() {
            let is_it = |decided: Option<Decided>| decided.is_some_and(|it| it.id == id);
            let says = match policy.failing(attributes) {
                Some(failing) => {
                    let aspect = failing.aspect.key();
                    match failing.wanted {
                        Wanted::Each => format!("is not for it: {aspect}"),
                        Wanted::None => format!("is not for it: not.{aspect}"),
                    }
                }
                None if is_it(outcome.enforced) => action(policy.action()).to_owned(),
                None => format!("would {} (audited)", action(policy.action())),
            };
            let label = self.plan.policies.label(id).unwrap_or_default().to_owned();
            self.line("policy", &format!("{label} {says}"));
            if is_it(outcome.enforced) {
                return;
            }
        }
        let label = self.plan.policies.label(level.default_id());
        let label = label.unwrap_or_default().to_owned();
        let says = match level.is_audited() {
            false => action(level.default_action()).to_owned(),
            true => format!("would {} (audited)", action(level.default_action())),
        };
        self.line("policy", &format!("{label} {says}"));
    }

    fn limits(
        &mut self,
        location: Location<'_>,
        attributes: &Attributes<'_>,
        allowed: authorize::Allowed,
    ) -> Result<(), Refused> {
        let plan = self.plan;
        let now = clock::now();
        for limit in plan.rate_limits.at(location) {
            let (label, source) = (limit.label(), limit.source());
            let left = limit.left(attributes, now);
            let text = format!(
                "{label} lets {} pass in {:?}, {left} at once",
                source.requests, source.per
            );
            self.line("rate limit", &text);
        }
        let limits = plan.rate_limits.at(location);
        match rate_limit::limit(allowed, limits, attributes, now, |_| ()) {
            Ok(_passed) => Ok(()),
            Err(exceeded) => {
                let why = format!("limit {}", exceeded.limit.label());
                refuse(DownstreamFailure::RateLimited, &why)
            }
        }
    }

    /// Who is asked outside; it is not asked here.
    fn service(&mut self, location: Location<'_>) -> Option<String> {
        let service = self.plan.services.at(location)?.source();
        let name = service.cluster.name.to_string();
        let otherwise = match service.failure_mode_allow {
            true => "passes".to_owned(),
            false => format!("gets {}", service.status_on_error),
        };
        let text = format!(
            "cluster {name} will be asked (not here); without its answer within {} the request \
             {otherwise}",
            format_duration(service.timeout)
        );
        self.line("external", &text);
        Some(name)
    }

    fn course(&mut self, course: Course<'_>, service: Option<&str>) -> Option<u16> {
        let condition = service.map_or_else(String::new, |name| format!(", if {name} allows it"));
        let (status, result) = match course {
            Course::Local(LocalAnswer::LastRecipient) => {
                (200, "answered here, as by the last recipient")
            }
            Course::Local(LocalAnswer::Redirect(_, to)) => {
                (to.status(), "answered with another location")
            }
            Course::Local(LocalAnswer::Direct(_, response)) => {
                (response.status, "answered by the route")
            }
            Course::Forward(_, clusters) => {
                self.clusters(clusters, &condition);
                return None;
            }
        };
        self.line("result", &format!("{status} {result}{condition}"));
        Some(status)
    }

    fn clusters(&mut self, clusters: &WeightedClusters, condition: &str) {
        let mut names: Vec<String> = Vec::new();
        for id in clusters.clusters() {
            let Some(plan) = self.snapshot.cluster(id) else {
                continue;
            };
            let name = plan.cluster.name();
            let count = plan.cluster.endpoints().len();
            self.line("cluster", &format!("{name}, with {count} endpoints"));
            names.push(name.to_string());
        }
        let names = names.join(" or ");
        self.line("result", &format!("forwarded to {names}{condition}"));
    }
}

fn action(action: PolicyAction) -> &'static str {
    match action {
        PolicyAction::Allow => "allow",
        PolicyAction::Deny => "deny",
    }
}

fn refuse<T>(failure: impl Into<Failure>, why: &str) -> Result<T, Refused> {
    Err(Refused {
        failure: failure.into(),
        why: why.to_owned(),
    })
}
