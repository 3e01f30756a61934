//! Active health checks, from the file to the model.
//!
//! In: a cluster's `health_check`. Out: a check that fits the cluster: what HTTP alone knows is
//! refused with other protocols, TLS where the cluster has none.

use crate::config::file::{Field, Section};
use crate::config::model::{HealthCheck, HealthProtocol, HttpCheck};
use crate::limits;

const PROTOCOLS: [(&str, HealthProtocol); 3] = [
    ("http", HealthProtocol::Http),
    ("tcp", HealthProtocol::Tcp),
    ("tls", HealthProtocol::Tls),
];
const STATUS: &str = "a status from 100 to 599, or a range such as \"200-299\"";
const TARGET: &str = "a path such as \"/healthz\", with a query if need be, in visible ASCII";
const HOST: &str = "a host such as \"app.internal\" or \"app.internal:8080\"";
const METHODS: [(&str, &str); 3] = [("GET", "GET"), ("HEAD", "HEAD"), ("OPTIONS", "OPTIONS")];
const TEXT: &str = "text that is not empty";
/// Keys that mean nothing without a request.
const HTTP_KEYS: [&str; 5] = ["method", "path", "host", "statuses", "body_contains"];

/// The check of a cluster with or without TLS.
pub(super) fn check(section: &mut Section<'_>, has_tls: bool) -> HealthCheck {
    let protocol = section.choice("protocol", HealthProtocol::Http, &PROTOCOLS);
    if protocol == HealthProtocol::Tls && !has_tls {
        section.refuse("protocol", "needs the `tls` of the cluster");
    }
    let http = http(section);
    let is_http = protocol == HealthProtocol::Http;
    for key in HTTP_KEYS {
        if section.has(key) && !is_http {
            section.refuse(key, "has no effect without protocol \"http\"");
        }
    }
    let default = HealthCheck::default();
    let mut streak = |key, default| section.count(key, default, 1..=limits::HEALTH_STREAK_MAX);
    let unhealthy_after = streak("unhealthy_after", default.unhealthy_after);
    let healthy_after = streak("healthy_after", default.healthy_after);
    HealthCheck {
        protocol,
        http: is_http.then_some(http),
        interval: section.duration("interval", default.interval),
        changing_interval: section.duration("changing_interval", default.changing_interval),
        timeout: section.duration("timeout", default.timeout),
        unhealthy_after,
        healthy_after,
    }
}

fn http(section: &mut Section<'_>) -> HttpCheck {
    let method = section.choice("method", "GET", &METHODS).to_owned();
    let path = section.field("path");
    let path = path.and_then(|field| field.parse(TARGET, target));
    let host = section.field("host");
    let host = host.and_then(|field| field.parse(HOST, self::host));
    let statuses = section.field("statuses").map(|field| {
        let statuses = field.list().into_iter();
        statuses.filter_map(|field| range(&field)).collect()
    });
    let body_contains = section.field("body_contains").and_then(|field| {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        field.parse(TEXT, text)
    });
    if method == "HEAD" && body_contains.is_some() {
        section.refuse("body_contains", "a response to HEAD has no content");
    }
    let default = HttpCheck::default();
    HttpCheck {
        method,
        path: path.unwrap_or(default.path),
        host,
        statuses: statuses.unwrap_or(default.statuses),
        body_contains,
    }
}

fn target(text: &str) -> Option<String> {
    let is_visible = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (text.starts_with('/') && is_visible).then(|| text.to_owned())
}

fn host(text: &str) -> Option<String> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (!text.is_empty() && text.bytes().all(is_host)).then(|| text.to_owned())
}

/// `200`, or `"200-299"`.
fn range(field: &Field<'_>) -> Option<(u16, u16)> {
    let status = |number: u64| {
        u16::try_from(number)
            .ok()
            .filter(|it| (100..=599).contains(it))
    };
    let range = match field.text() {
        Some(text) => text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            Some((status(first)?, status(last)?)).filter(|(first, last)| first <= last)
        }),
        None => field.number().and_then(status).map(|only| (only, only)),
    };
    range.or_else(|| field.expected(STATUS))
}
