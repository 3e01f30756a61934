//! External authorization, from the file to the model.
//!
//! What a service may set is bounded by what configured header edits may: nothing that belongs to
//! a connection or to framing, and nothing that the proxy writes itself. A family of names is
//! refused when it holds such a name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::file::{Field, Section};
use crate::config::model::{ExternalAuthorization, NamePattern};
use crate::config::read::route::{self, HOP_FIELDS};
use crate::config::read::{grammar, required_cluster};
use crate::limits;

const PATTERN: &str = "a header name such as \"x-user\", or a beginning such as \"x-auth-*\"";

/// Fields that the proxy writes or reads itself, and what some of them begin with.
const OWN_FIELDS: [&str; 10] = [
    "date",
    "expect",
    "forwarded",
    "max-forwards",
    "server",
    "via",
    "x-envoy-auth-failure-mode-allowed",
    "x-forwarded-",
    "x-real-ip",
    "x-request-id",
];

/// What a listener, a virtual host or a route says of external authorization.
#[derive(Clone, Debug, Default)]
pub(in crate::config::read) enum External {
    /// Nothing: what is around it holds.
    #[default]
    Inherited,
    /// Nobody is asked.
    Off,
    /// This service is asked.
    Asked(Arc<ExternalAuthorization>),
}

impl External {
    /// What holds where `self` is said, within `around`.
    pub(in crate::config::read) fn within(self, around: &Self) -> Self {
        match self {
            Self::Inherited => around.clone(),
            Self::Off | Self::Asked(_) => self,
        }
    }

    /// The service that is asked.
    pub(in crate::config::read) fn service(self) -> Option<Arc<ExternalAuthorization>> {
        match self {
            Self::Inherited | Self::Off => None,
            Self::Asked(service) => Some(service),
        }
    }
}

/// What `section` says under `external_authorization`.
pub(in crate::config::read) fn read(
    section: &mut Section<'_>,
    clusters: &HashMap<Arc<str>, usize>,
) -> External {
    let Some(field) = section.field("external_authorization") else {
        return External::Inherited;
    };
    if field.text() == Some("none") {
        return External::Off;
    }
    if !field.is_table() || field.is_list() {
        field.expected::<()>("\"none\" or a table with `cluster`");
        return External::Off;
    }
    let service = field.section(|section| service(section, clusters));
    let service = service.flatten();
    service.map_or(External::Off, |service| External::Asked(Arc::new(service)))
}

fn service(
    section: &mut Section<'_>,
    clusters: &HashMap<Arc<str>, usize>,
) -> Option<ExternalAuthorization> {
    let cluster = required_cluster(section, clusters);
    let prefix = section.field("path_prefix");
    let prefix = prefix.and_then(|field| field.parse(grammar::PATH, grammar::path));
    let path_prefix = prefix.unwrap_or_default().trim_end_matches('/').to_owned();
    let timeout = section.duration("timeout", Duration::from_millis(200));
    let has_fields = section.has("request_headers");
    let mut request_fields = patterns(section, "request_headers", |_, _| Some(()));
    if !has_fields {
        request_fields.push(NamePattern::Exact("authorization".to_owned()));
    }
    let added = section.field("add_headers");
    let added_fields = added.map_or_else(Vec::new, |field| route::lines(field, false));
    let status = section.count("status_on_error", 403, 400..=599);
    Some(ExternalAuthorization {
        path_prefix,
        timeout,
        request_fields,
        added_fields,
        upstream_fields: patterns(section, "allowed_upstream_headers", copied),
        appended_upstream_fields: patterns(section, "allowed_upstream_headers_to_append", copied),
        client_fields: patterns(section, "allowed_client_headers", copied),
        client_fields_on_success: patterns(section, "allowed_client_headers_on_success", copied),
        status_on_error: u16::try_from(status).unwrap_or(403),
        failure_mode_allow: section.flag("failure_mode_allow", false),
        cluster: cluster?,
    })
}

/// The names under `key` that `check` lets in.
fn patterns(
    section: &mut Section<'_>,
    key: &'static str,
    check: impl Fn(&NamePattern, &Field<'_>) -> Option<()>,
) -> Vec<NamePattern> {
    let fields = section.list(key);
    if fields.len() > limits::FIELD_PATTERNS_MAX {
        let most = limits::FIELD_PATTERNS_MAX;
        section.refuse(key, &format!("more than {most} names"));
        return Vec::new();
    }
    let mut found = Vec::new();
    for field in fields {
        let Some(pattern) = field.parse(PATTERN, pattern) else {
            continue;
        };
        if found.contains(&pattern) {
            field.refuse::<()>("occurs twice");
        }
        if check(&pattern, &field).is_some() {
            found.push(pattern);
        }
    }
    found
}

fn pattern(text: &str) -> Option<NamePattern> {
    match text.strip_suffix('*') {
        Some(start) => grammar::field_name(start).map(NamePattern::Prefix),
        None => grammar::field_name(text).map(NamePattern::Exact),
    }
}

/// Whether fields of these names may be copied from an answer.
fn copied(pattern: &NamePattern, field: &Field<'_>) -> Option<()> {
    let own = OWN_FIELDS.iter().copied();
    match pattern {
        NamePattern::Exact(name) => {
            if name == "host" || HOP_FIELDS.contains(&name.as_str()) {
                return field.refuse("belongs to the connection or the framing of a message");
            }
            let mut own = own;
            let is_own = |own: &str| *name == *own || own.ends_with('-') && name.starts_with(own);
            match own.any(is_own) {
                true => field.refuse("is written by weft itself"),
                false => Some(()),
            }
        }
        NamePattern::Prefix(start) => {
            let mut names = own.chain(HOP_FIELDS);
            let holds = |name: &&str| {
                name.starts_with(start.as_str()) || name.ends_with('-') && start.starts_with(*name)
            };
            match names.find(holds) {
                Some(name) => field.refuse(&format!("stands for `{name}` as well")),
                None => Some(()),
            }
        }
    }
}

#[cfg(test)]
#[path = "external_tests.rs"]
mod tests;
