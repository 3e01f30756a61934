//! The registration API: what instances say to their proxy, over the admin interface.
//!
//! *In:* requests whose path begins with `/v1/`, with who sent them. *Out:* JSON, complete in
//! memory. `openapi.json` describes it; a test holds the two against each other.
//!
//! Must stay true: nothing changes without a token or a user that the configuration names; a body
//! is bounded before it is read, and the changes of a second are, so that no client takes the
//! control thread from the others; every refusal says which field, which value, and what would have
//! been right. What is read needs no token, as on the other pages.

mod access;
mod reply;
mod route;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Request, StatusCode};
use serde_json::{Map, Value, json};

pub use access::{Access, AccessError, Peer};
pub use reply::Reply;

use super::registrar::{Refused, Registrar};
use super::registry::{Full, Instance, Missing, Owner, Registered, Registration, Registry};
use crate::config::format_duration;
use crate::io::Instant;
use crate::io::clock;
use crate::limits;
use access::Bucket;
use reply::Problem;
use route::{Action, Route};

/// What the paths of the API begin with.
pub const PREFIX: &str = "/v1/";

/// The description of the API, as it is served.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The API over one registrar.
#[derive(Debug)]
pub struct Api {
    registrar: Rc<Registrar>,
    access: RefCell<Access>,
    rate: RefCell<Bucket>,
    refused: RefCell<Refusals>,
}

/// Requests that were refused since the start, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Without a right to it.
    pub unauthorised: u64,
    /// Too many in a second.
    pub rate: u64,
    /// With something wrong in it.
    pub invalid: u64,
    /// There was no room for it.
    pub full: u64,
}

impl Api {
    /// An API over `registrar`.
    pub fn new(registrar: Rc<Registrar>, access: Access, rate: u32) -> Self {
        Self {
            registrar,
            access: RefCell::new(access),
            rate: RefCell::new(Bucket::new(rate, clock::now())),
            refused: RefCell::default(),
        }
    }

    /// From now on these may change the registry.
    pub fn give_access(&self, access: Access) {
        self.access.replace(access);
    }

    /// The registrar behind it.
    pub fn registrar(&self) -> &Rc<Registrar> {
        &self.registrar
    }

    /// What was refused since the start.
    pub fn refusals(&self) -> Refusals {
        *self.refused.borrow()
    }

    /// Answers a request.
    pub async fn answer<Content>(&self, peer: Peer, request: Request<Content>) -> Reply
    where
        Content: Body,
        Content::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = route::unescape(request.uri().path()).into_owned();
        let answered = match route::find(request.method(), &path) {
            Ok(Route::OpenApi) => Ok(Reply::text(OPENAPI)),
            Ok(Route::Services) => Ok(self.registrar.read(services)),
            Ok(Route::Service(service)) => {
                Ok(self.registrar.read(|registry| list(registry, service)))
            }
            Ok(Route::Instance(service, id)) => {
                self.registrar.read(|registry| one(registry, service, id))
            }
            Ok(Route::Change(action, service, id)) => {
                self.change(action, service, id, peer, request).await
            }
            Err(problem) => Err(problem),
        };
        answered.unwrap_or_else(|problem| {
            self.count(problem.status);
            problem.into_reply()
        })
    }

    async fn change<Content>(
        &self,
        action: Action,
        service: &str,
        id: Option<&str>,
        peer: Peer,
        request: Request<Content>,
    ) -> Result<Reply, Problem>
    where
        Content: Body,
        Content::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.access.borrow().admit(peer, request.headers())?;
        let admitted = self.rate.borrow_mut().take(clock::now());
        admitted.map_err(Problem::too_many)?;
        let named = id;
        let id = id.unwrap_or_default();
        match action {
            Action::Register => {
                let document = body(request).await?;
                let registration = Registration::read(service, named, &document)?;
                self.register(registration).await
            }
            Action::Renew => {
                let left = self.registrar.renew(service, id);
                let left = left.map_err(|refused| self.refusal(refused, service, id))?;
                Ok(Reply::json(
                    StatusCode::OK,
                    &json!({"ttl": format_duration(left)}),
                ))
            }
            Action::Drain => {
                let drained = self.registrar.drain(service, id).await;
                drained.map_err(|refused| self.refusal(refused, service, id))?;
                self.registrar.read(|registry| one(registry, service, id))
            }
            Action::Deregister => {
                let gone = self.registrar.deregister(service, id).await;
                gone.map_err(|refused| self.refusal(refused, service, id))?;
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
        }
    }

    async fn register(&self, registration: Registration) -> Result<Reply, Problem> {
        let (service, id) = (registration.service.clone(), registration.id.clone());
        let registered = self.registrar.register(registration).await;
        let registered = registered.map_err(|refused| self.refusal(refused, &service, &id))?;
        let status = match registered {
            Registered::Created => StatusCode::CREATED,
            Registered::Replaced | Registered::Renewed => StatusCode::OK,
        };
        let location = format!("/v1/services/{service}/instances/{id}");
        let reply = self.registrar.read(|registry| one(registry, &service, &id));
        // Gone only if it was deregistered while its registration was written.
        let mut reply = reply?;
        reply.status = status;
        reply.location = Some(location);
        Ok(reply)
    }

    fn refusal(&self, refused: Refused, service: &str, id: &str) -> Problem {
        match refused {
            Refused::Missing(missing) => self
                .registrar
                .read(|registry| gone(registry, missing, service, id)),
            Refused::Full(full) => Problem::full(match full {
                Full::Services => "services (registry.max_services)",
                Full::Instances => "instances (registry.max_instances)",
                Full::Metadata => "bytes of metadata",
            }),
            Refused::Unwritten(error) => Problem::unwritten(&error),
        }
    }

    fn count(&self, status: StatusCode) {
        let mut refused = self.refused.borrow_mut();
        let count = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => &mut refused.unauthorised,
            StatusCode::TOO_MANY_REQUESTS => &mut refused.rate,
            StatusCode::INSUFFICIENT_STORAGE | StatusCode::SERVICE_UNAVAILABLE => &mut refused.full,
            _ => &mut refused.invalid,
        };
        *count = count.saturating_add(1);
    }
}

/// The body of a request as JSON.
async fn body<Content>(request: Request<Content>) -> Result<Value, Problem>
where
    Content: Body,
    Content::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let fields = request.headers();
    let content_type = fields
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or(""));
    let is_json = content_type.is_none_or(|value| {
        let media = value.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("application/json")
    });
    if !is_json {
        return Err(Problem::content_type(content_type.unwrap_or_default()));
    }
    let length = fields.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits::REGISTRATION_BYTES_MAX as u64) {
        return Err(Problem::too_large());
    }
    let limited = Limited::new(request.into_body(), limits::REGISTRATION_BYTES_MAX);
    let collected = limited.collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Problem::too_large()
        } else {
            Problem::malformed(&"the body broke off")
        }
    })?;
    serde_json::from_slice(&collected.to_bytes()).map_err(|error| Problem::malformed(&error))
}

fn gone(registry: &Registry, missing: Missing, service: &str, id: &str) -> Problem {
    match missing {
        Missing::Unknown => Problem::unknown(service, id),
        Missing::Expired => Problem::expired(service, id),
        Missing::Elsewhere => {
            let instance = registry.instance(service, id);
            let proxy = instance.and_then(|it| it.proxy.as_deref());
            Problem::elsewhere(service, id, proxy)
        }
    }
}

fn services(registry: &Registry) -> Reply {
    let mut services: Vec<_> = registry.services().collect();
    services.sort();
    let rows = services.into_iter().map(|(name, instances, version)| {
        json!({"service": &**name, "instances": instances, "version": version})
    });
    let rows: Vec<Value> = rows.collect();
    Reply::json(StatusCode::OK, &json!({"services": rows}))
}

fn list(registry: &Registry, service: &str) -> Reply {
    let now = clock::now();
    let instances = registry.instances(service);
    let rows: Vec<Value> = instances
        .map(|instance| Value::Object(row(instance, now)))
        .collect();
    let version = registry.service_version(service);
    let document = json!({"service": service, "version": version, "instances": rows});
    Reply::json(StatusCode::OK, &document)
}

fn one(registry: &Registry, service: &str, id: &str) -> Result<Reply, Problem> {
    let instance = registry
        .instance(service, id)
        .ok_or_else(|| gone(registry, registry.missing(service, id), service, id))?;
    let document = Value::Object(row(instance, clock::now()));
    Ok(Reply::json(StatusCode::OK, &document))
}

/// An instance as it is shown: as it registered, and what became of it.
fn row(instance: &Instance, now: Instant) -> Map<String, Value> {
    let mut row = instance.registration.to_json();
    row.insert("service".into(), json!(&*instance.registration.service));
    row.insert("state".into(), json!(instance.state().name()));
    row.insert("version".into(), json!(instance.version));
    let (owner, expires) = match instance.owner {
        Owner::Local => ("local", Some(format_duration(instance.deadline.since(now)))),
        Owner::Remote => ("remote", None),
    };
    row.insert("owner".into(), json!(owner));
    if let Some(proxy) = &instance.proxy {
        row.insert("proxy".into(), json!(&**proxy));
    }
    if let Some(expires) = expires {
        row.insert("expires_in".into(), json!(expires));
    }
    row
}
