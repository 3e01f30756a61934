//! Where credentials are in a request: a field, a cookie, a query parameter.
//!
//! A place holds one credential or none. Of two, this proxy might verify one and the upstream
//! believe the other, so two are refused. What is found is checked by whoever asked for it.

use super::query;
use crate::config::model;
use crate::http::{FieldName, Request};

/// A place for credentials.
#[derive(Debug)]
pub(super) enum Carrier {
    /// The whole value of a field.
    Field(Box<[u8]>),
    /// `Authorization` with this scheme, in lower case.
    Scheme(&'static [u8]),
    /// A cookie.
    Cookie(Box<[u8]>),
    /// A query parameter.
    Query(Box<[u8]>),
}

impl Carrier {
    /// Where an API key is.
    pub(super) fn of_key(configured: &model::ApiKeys) -> Self {
        match (&configured.header, &configured.query) {
            (_, Some(name)) => Self::Query(name.as_bytes().into()),
            (Some(name), None) => Self::Field(name.as_bytes().into()),
            (None, None) => Self::Field((*b"x-api-key").into()),
        }
    }

    /// Where a token is: `Authorization: Bearer` unless it is elsewhere.
    pub(super) fn of_token(configured: &model::Jwt) -> Self {
        match (&configured.header, &configured.query, &configured.cookie) {
            (_, Some(name), _) => Self::Query(name.as_bytes().into()),
            (_, _, Some(name)) => Self::Cookie(name.as_bytes().into()),
            (Some(name), ..) if name != "authorization" => Self::Field(name.as_bytes().into()),
            _ => Self::Scheme(b"bearer"),
        }
    }

    /// What is there, if anything is. A query parameter is decoded into `decoded`.
    ///
    /// *Errors:* why it cannot be read.
    pub(super) fn find<'a>(
        &self,
        request: &Request<'a>,
        decoded: &'a mut [u8],
    ) -> Result<Option<&'a [u8]>, &'static str> {
        match self {
            Self::Field(name) => only(
                request
                    .fields()
                    .filter(|field| field.name_bytes.eq_ignore_ascii_case(name))
                    .map(|field| field.value),
            ),
            Self::Scheme(scheme) => {
                let lines = request
                    .fields()
                    .filter(|field| field.name == FieldName::Authorization);
                let value = only(lines.map(|field| field.value))?;
                Ok(value.and_then(|value| after_scheme(value, scheme)))
            }
            Self::Cookie(name) => only(
                request
                    .fields()
                    .filter(|field| field.name == FieldName::Cookie)
                    .flat_map(|field| field.value.split(|byte| *byte == b';'))
                    .filter_map(|pair| cookie(pair, name)),
            ),
            Self::Query(name) => {
                let parameters = request.query().unwrap_or_default();
                let value = query::find(parameters, name).map_err(|_| "repeated")?;
                match value {
                    None => Ok(None),
                    Some(value) => query::decode(value, decoded).map(Some).ok_or("encoding"),
                }
            }
        }
    }
}

fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, &'static str> {
    match (values.next(), values.next()) {
        (_, Some(_)) => Err("repeated"),
        (value, None) => Ok(value),
    }
}

/// RFC 9110 §11.4: a scheme in any case, spaces, credentials. Those of another scheme are not
/// there.
pub(super) fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (own, rest) = value.split_at_checked(scheme.len())?;
    if !own.eq_ignore_ascii_case(scheme) {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ', ..] => Some(rest.trim_ascii_start()),
        _ => None,
    }
}

/// The value in `name=value` (RFC 6265 §4.2.1), without quotes around it.
fn cookie<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"=")?;
    let quoted = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    Some(quoted.unwrap_or(value))
}
