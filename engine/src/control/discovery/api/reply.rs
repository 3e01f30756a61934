//! What the API answers: a status, JSON, and the fields that go with a status.
//!
//! A refusal has a word for programs, which does not change, and a sentence for people; where a
//! field of a document is wrong, also the field, its value and what was expected.

use std::fmt::Display;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::super::journal::WriteError;
use super::super::registry::FieldError;
use crate::limits;

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Where the instance is found.
    pub(super) location: Option<String>,
    fields: Vec<(hyper::header::HeaderName, HeaderValue)>,
    body: String,
}

/// A refusal: a status, a word for programs, and what is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// A word that does not change.
    code: &'static str,
    /// A sentence for people.
    message: String,
    field: Option<Box<FieldError>>,
    fields: Vec<(hyper::header::HeaderName, HeaderValue)>,
}

impl Reply {
    pub(super) fn json(status: StatusCode, document: &Value) -> Self {
        Self {
            status,
            location: None,
            fields: Vec::new(),
            body: format!("{document}\n"),
        }
    }

    pub(super) fn text(document: &str) -> Self {
        Self {
            status: StatusCode::OK,
            location: None,
            fields: Vec::new(),
            body: document.to_owned(),
        }
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            location: None,
            fields: Vec::new(),
            body: String::new(),
        }
    }

    /// The answer of a proxy without a registry.
    #[must_use]
    pub fn disabled() -> Self {
        let message = "There is no registry: the configuration has no `registry`.";
        Problem::new(StatusCode::NOT_FOUND, "disabled", message.to_owned()).into_reply()
    }

    /// The body, for tests.
    #[cfg(test)]
    pub(super) fn document(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// As a response.
    #[must_use]
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let is_empty = self.body.is_empty();
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let fields = response.headers_mut();
        if !is_empty {
            fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.extend(self.fields);
        // Names are of letters that a field can hold.
        let location = self
            .location
            .map(|location| HeaderValue::from_str(&location));
        if let Some(Ok(location)) = location {
            fields.insert(LOCATION, location);
        }
        response
    }
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status,
            code,
            message,
            field: None,
            fields: Vec::new(),
        }
    }

    fn with(mut self, name: hyper::header::HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    pub(super) fn no_path(path: &str) -> Self {
        let path: String = path
            .chars()
            .take(limits::CONFIG_ERROR_VALUE_CHARS)
            .collect();
        let message = format!("There is no {path}; /v1/openapi.json says what there is.");
        Self::new(StatusCode::NOT_FOUND, "no_such_path", message)
    }

    pub(super) fn method(method: &Method, methods: &'static str) -> Self {
        let message = format!("{method} is not possible here; {methods} are.");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
        .with(ALLOW, HeaderValue::from_static(methods))
    }

    pub(super) fn unauthorised(why: &str) -> Self {
        let message =
            format!("{why}; expected Authorization: Bearer and a token of registry.token_file.");
        Self::new(StatusCode::UNAUTHORIZED, "unauthorised", message).with(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"weft\""),
        )
    }

    pub(super) fn user(uid: Option<u32>) -> Self {
        let who = uid.map_or_else(|| "An unknown user".to_owned(), |uid| format!("User {uid}"));
        let message = format!("{who} may not change the registry; expected one of registry.uids.");
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn too_many(seconds: u64) -> Self {
        let message = "More changes than registry.max_rate in a second.".to_owned();
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message)
            .with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    pub(super) fn content_type(found: &str) -> Self {
        let found: String = found
            .chars()
            .take(limits::CONFIG_ERROR_VALUE_CHARS)
            .collect();
        let message = format!("Content-Type is {found:?}; expected application/json.");
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        )
    }

    pub(super) fn too_large() -> Self {
        let most = limits::REGISTRATION_BYTES_MAX;
        let message = format!("The body is longer than {most} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(super) fn malformed(why: &dyn Display) -> Self {
        let message = format!("The body is not JSON: {why}.");
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    pub(super) fn full(what: &str) -> Self {
        let message = format!("There is no room for more {what}.");
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", message)
    }

    pub(super) fn unwritten(error: &WriteError) -> Self {
        let message = format!(
            "The change is in effect, but could not be written to the journal ({error}): a restart \
             may undo it. Repeat it."
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_durable", message)
            .with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(super) fn unknown(service: &str, id: &str) -> Self {
        let message = format!("Service {service} has no instance {id} here; register it.");
        Self::new(StatusCode::NOT_FOUND, "unknown_instance", message)
    }

    pub(super) fn expired(service: &str, id: &str) -> Self {
        let message = format!("The lease of instance {id} of {service} has run out; register it.");
        Self::new(StatusCode::GONE, "expired", message)
    }

    pub(super) fn elsewhere(service: &str, id: &str, proxy: Option<&str>) -> Self {
        let whom = proxy.map_or_else(String::new, |proxy| format!(", that of {proxy}"));
        let message = format!(
            "Instance {id} of {service} registered with another proxy{whom}, which keeps its lease \
             and would write it again: tell that one."
        );
        Self::new(StatusCode::CONFLICT, "registered_elsewhere", message)
    }

    pub(super) fn into_reply(self) -> Reply {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(field) = self.field {
            error["field"] = json!(field.field);
            error["value"] = json!(field.value);
            error["expected"] = json!(field.expected);
        }
        Reply {
            fields: self.fields,
            ..Reply::json(self.status, &json!({"error": error}))
        }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        let value = error.value.as_deref().unwrap_or("missing");
        let field = if error.field.is_empty() {
            "The body"
        } else {
            &error.field
        };
        let message = format!("{field} is {value}; expected {}.", error.expected);
        Self {
            field: Some(Box::new(error)),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_field", message)
        }
    }
}
