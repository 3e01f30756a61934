//! Which action a method and a path mean.
//!
//! In: a method and a path. Out: the route with its names, which can name a service and an
//! instance, or what is wrong. Pure.

use std::borrow::Cow;

use hyper::Method;

use super::super::registry::{check_name, is_of_name};
use super::reply::Problem;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The description of the API.
    OpenApi,
    /// All services.
    Services,
    /// The instances of one.
    Service(&'a str),
    /// One instance.
    Instance(&'a str, &'a str),
    /// A change of an instance, which a registration need not name.
    Change(Action, &'a str, Option<&'a str>),
}

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Register,
    Renew,
    Drain,
    Deregister,
}

/// A path in which whatever a name can have in it stands for itself: a client may escape any of it,
/// and some do so with colons (RFC 3986 §2.1, §2.4). The rest stays escaped, and is no name.
pub(super) fn unescape(path: &str) -> Cow<'_, str> {
    let mut parts = path.split('%');
    let mut plain = Cow::Borrowed(parts.next().unwrap_or_default());
    for part in parts {
        let escape = part.split_at_checked(2).and_then(|(digits, rest)| {
            let byte = u8::from_str_radix(digits, 16).ok()?;
            is_of_name(byte).then_some((byte, rest))
        });
        let (byte, rest) = escape.unwrap_or((b'%', part));
        plain.to_mut().push(char::from(byte));
        plain.to_mut().push_str(rest);
    }
    plain
}

/// The route of a request.
///
/// *Errors:* no such path, another method, a name that cannot be one.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Route<'a>, Problem> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (found, methods) = match &segments[..] {
        ["v1", "openapi.json"] => (reads(method, Route::OpenApi), "GET, HEAD"),
        ["v1", "services"] => (reads(method, Route::Services), "GET, HEAD"),
        ["v1", "services", service] => (reads(method, Route::Service(service)), "GET, HEAD"),
        ["v1", "services", service, "instances"] => {
            let change = Route::Change(Action::Register, service, None);
            (only(method, &Method::POST, change), "POST")
        }
        ["v1", "services", service, "instances", id] => (instance(method, service, id), INSTANCE),
        [
            "v1",
            "services",
            service,
            "instances",
            id,
            verb @ ("renew" | "drain"),
        ] => {
            let action = if *verb == "renew" {
                Action::Renew
            } else {
                Action::Drain
            };
            let change = Route::Change(action, service, Some(id));
            (only(method, &Method::POST, change), "POST")
        }
        _ => return Err(Problem::no_path(path)),
    };
    let route = found.ok_or_else(|| Problem::method(method, methods))?;
    match route {
        Route::OpenApi | Route::Services => {}
        Route::Service(service) | Route::Change(_, service, None) => {
            check_name("service", service)?;
        }
        Route::Instance(service, id) | Route::Change(_, service, Some(id)) => {
            check_name("service", service)?;
            check_name("id", id)?;
        }
    }
    Ok(route)
}

const INSTANCE: &str = "GET, HEAD, PUT, DELETE";

fn reads<'a>(method: &Method, route: Route<'a>) -> Option<Route<'a>> {
    matches!(*method, Method::GET | Method::HEAD).then_some(route)
}

fn only<'a>(method: &Method, one: &Method, route: Route<'a>) -> Option<Route<'a>> {
    (method == one).then_some(route)
}

fn instance<'a>(method: &Method, service: &'a str, id: &'a str) -> Option<Route<'a>> {
    match *method {
        Method::GET | Method::HEAD => Some(Route::Instance(service, id)),
        Method::PUT => Some(Route::Change(Action::Register, service, Some(id))),
        Method::DELETE => Some(Route::Change(Action::Deregister, service, Some(id))),
        _ => None,
    }
}
