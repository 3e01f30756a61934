//! The conditions of a match beside its path: method, fields, query parameters.
//!
//! Of a field or parameter that occurs several times the first one counts, as Gateway API suggests
//! for parameters and leaves open for fields. Fields are compared as received, parameters decoded.

use std::borrow::Cow;
use std::cmp::Reverse;

use crate::config::model::{RouteMatch, ValueMatch};
use crate::http::{FieldName, Method, Request};

/// Conditions that must all hold.
#[derive(Debug)]
pub(super) struct Conditions {
    method: Option<(Method, Box<[u8]>)>,
    fields: Box<[FieldCondition]>,
    query: Box<[QueryCondition]>,
}

#[derive(Debug)]
struct FieldCondition {
    name: FieldName,
    name_bytes: Box<[u8]>,
    value: ValueMatch,
}

#[derive(Debug)]
struct QueryCondition {
    name: Box<[u8]>,
    value: ValueMatch,
}

impl Conditions {
    pub(super) fn compile(condition: &RouteMatch) -> Self {
        let method = condition.method.as_ref().map(|method| method.as_bytes());
        let field = |name: &str, value: &ValueMatch| FieldCondition {
            name: FieldName::recognise(name.as_bytes()),
            name_bytes: name.as_bytes().into(),
            value: value.clone(),
        };
        let query = |name: &str, value: &ValueMatch| QueryCondition {
            name: name.as_bytes().into(),
            value: value.clone(),
        };
        Self {
            method: method.map(|method| (Method::from_bytes(method), method.into())),
            fields: condition
                .headers
                .iter()
                .map(|m| field(&m.name, &m.value))
                .collect(),
            query: condition
                .query
                .iter()
                .map(|m| query(&m.name, &m.value))
                .collect(),
        }
    }

    /// Orders matches of one path, the first to be tried least: with a method, then by most field
    /// conditions, then by most query conditions.
    pub(super) fn precedence(&self) -> impl Ord + use<> {
        Reverse((self.method.is_some(), self.fields.len(), self.query.len()))
    }

    #[inline]
    pub(super) fn hold(&self, request: &Request<'_>) -> bool {
        self.method.as_ref().is_none_or(|(method, name)| {
            *method == request.method()
                && (*method != Method::Other || **name == *request.method_bytes())
        }) && self.fields.iter().all(|field| field.holds(request))
            && self.query.iter().all(|condition| condition.holds(request))
    }
}

impl FieldCondition {
    fn holds(&self, request: &Request<'_>) -> bool {
        let value = match self.name {
            FieldName::Other | FieldName::XForwardedOther => {
                request.field_by_name(&self.name_bytes)
            }
            name => request.field(name),
        };
        value.is_some_and(|value| value_holds(&self.value, value))
    }
}

impl QueryCondition {
    fn holds(&self, request: &Request<'_>) -> bool {
        let mut parameters = request
            .query()
            .unwrap_or_default()
            .split(|byte| *byte == b'&');
        let named = parameters.find_map(|parameter| {
            let equals = parameter.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals.and_then(|at| parameter.split_at_checked(at)) {
                Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
                None => (parameter, &[][..]),
            };
            decoded(name).eq(self.name.iter().copied()).then_some(value)
        });
        named.is_some_and(|value| match &self.value {
            ValueMatch::Exact(expected) => decoded(value).eq(expected.bytes()),
            ValueMatch::Regex(pattern) => pattern.is_match(&to_decoded(value)),
        })
    }
}

fn value_holds(condition: &ValueMatch, value: &[u8]) -> bool {
    match condition {
        ValueMatch::Exact(expected) => expected.as_bytes() == value,
        ValueMatch::Regex(pattern) => pattern.is_match(value),
    }
}

fn to_decoded(value: &[u8]) -> Cow<'_, [u8]> {
    match value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        true => Cow::Owned(decoded(value).collect()),
        false => Cow::Borrowed(value),
    }
}

/// The bytes of a form-encoded text; a `%` that encodes nothing stands for itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..)?),
            },
            [b'+', after @ ..] => (b' ', after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        rest = after;
        Some(byte)
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_encoding() {
        for (text, expected) in [
            ("a", "a"),
            ("a+b%20c", "a b c"),
            ("%41%4a%4A", "AJJ"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("100%25", "100%"),
        ] {
            let found: Vec<u8> = decoded(text.as_bytes()).collect();
            assert_eq!(found, expected.as_bytes(), "{text}");
        }
    }
}
