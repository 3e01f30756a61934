//! An instance as a key and a value in etcd.
//!
//! The key is the prefix, the service and the instance, as a path. The value is JSON:
//! `{"weft":1,"state":"serving","proxy":"host-1","instance":{"id":"a","address":...}}`: what the
//! proxy that it registered with calls itself, and the instance as it registered. Whatever else is
//! there was written by somebody else and is skipped. Pure.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::registry::{Instance, Key, Registration, State, is_name};
use crate::limits;

/// The version of the format.
const VERSION: u64 = 1;

/// Why a value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is too large to be an instance; its bytes.
    Oversized(usize),
    /// It was written by a weft that is not this one's contemporary.
    Version(String),
    /// It is wrong: what about it.
    Malformed(String),
}

/// The keys of all instances: from the first to before the second.
pub(super) fn all(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    // What follows a slash in ASCII.
    let (from, end) = (format!("{prefix}/"), format!("{prefix}0"));
    (from.into_bytes(), end.into_bytes())
}

/// The key of an instance.
pub(super) fn key(prefix: &str, (service, id): &Key) -> Vec<u8> {
    format!("{prefix}/{service}/{id}").into_bytes()
}

/// The instance of a key, if it is the key of one.
pub(super) fn instance_of(prefix: &str, key: &[u8]) -> Option<Key> {
    let rest = str::from_utf8(key).ok()?.strip_prefix(prefix)?;
    let (service, id) = rest.strip_prefix('/')?.split_once('/')?;
    (is_name(service) && is_name(id)).then(|| (service.into(), id.into()))
}

/// The value of an instance that registered with `proxy`.
pub(super) fn value(instance: &Instance, proxy: &str) -> Vec<u8> {
    let document = json!({
        "weft": VERSION,
        "state": instance.state().name(),
        "proxy": proxy,
        "instance": instance.registration.to_json(),
    });
    document.to_string().into_bytes()
}

/// What a value says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::control::discovery) struct Read {
    pub(in crate::control::discovery) registration: Registration,
    pub(in crate::control::discovery) state: State,
    /// What the proxy that it registered with calls itself, if it does.
    pub(in crate::control::discovery) proxy: Option<Arc<str>>,
}

/// What a value says of the instance `key`.
///
/// *Errors:* why it says nothing.
pub(super) fn read((service, id): &Key, value: &[u8]) -> Result<Read, Unreadable> {
    if value.len() > limits::ETCD_VALUE_BYTES_MAX {
        return Err(Unreadable::Oversized(value.len()));
    }
    let malformed = |why: String| Unreadable::Malformed(why);
    let document: Value =
        serde_json::from_slice(value).map_err(|error| malformed(format!("not JSON: {error}")))?;
    match document.get("weft") {
        Some(version) if version.as_u64() == Some(VERSION) => {}
        Some(version) => {
            let text = version.to_string();
            return Err(Unreadable::Version(text.chars().take(32).collect()));
        }
        None => return Err(malformed("not of weft: it has no `weft`".into())),
    }
    let state = document.get("state").and_then(Value::as_str);
    let state = state.and_then(State::of);
    let state = state.ok_or_else(|| malformed("`state` is none of an instance".into()))?;
    let instance = document.get("instance").unwrap_or(&Value::Null);
    let read = Registration::read(service, Some(id), instance);
    let registration = read.map_err(|error| {
        let (field, expected) = (error.field, error.expected);
        let value = error.value.unwrap_or_else(|| "missing".into());
        malformed(format!(
            "`instance.{field}` is {value}, expected {expected}"
        ))
    })?;
    let proxy = document.get("proxy").and_then(Value::as_str);
    Ok(Read {
        registration,
        state,
        proxy: proxy.filter(|proxy| is_name(proxy)).map(Arc::from),
    })
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oversized(bytes) => {
                let most = limits::ETCD_VALUE_BYTES_MAX;
                write!(out, "{bytes} bytes, more than {most}")
            }
            Self::Version(version) => write!(out, "of version {version}, not {VERSION}"),
            Self::Malformed(why) => out.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::registry::{Bounds, Registry};
    use super::*;

    const PREFIX: &str = "/weft/services";

    fn key_of(service: &str, id: &str) -> Key {
        (service.into(), id.into())
    }

    #[test]
    fn a_key_is_read_as_it_is_written_and_lies_in_the_range() {
        let (from, end) = all(PREFIX);
        for (service, id) in [("orders", "a"), ("a.b:c", "10.0.0.1:80"), ("0", "~")] {
            let name = key_of(service, id);
            let written = key(PREFIX, &name);
            assert!(from < written && written < end);
            let expected = (id != "~").then_some(name);
            assert_eq!(instance_of(PREFIX, &written), expected);
        }
        for other in [
            "/weft/services/a",
            "/weft/services/a/b/c",
            "/weft/services//a",
            "/weft/services/a/..",
            "/other/a/b",
        ] {
            assert_eq!(instance_of(PREFIX, other.as_bytes()), None, "{other}");
        }
        assert_eq!(instance_of(PREFIX, b"/weft/services/a/\xff"), None);
    }

    #[test]
    fn an_instance_is_read_as_it_is_written_in_every_state() {
        let document = json!({
            "address": "10.0.0.1:80",
            "weight": 3,
            "metadata": {"version": "2", "locality": "a"},
            "check": {"http": "/healthz"},
        });
        let registration = Registration::read("orders", Some("a"), &document).expect("valid");
        let mut registry = Registry::new(Bounds {
            services: 1,
            instances: 1,
            metadata_bytes: 100,
        });
        for name in ["serving", "draining", "pending", "failing"] {
            let state = State::of(name).expect("a state");
            let adopted = registry.adopt(registration.clone(), state, None);
            assert!(adopted.is_ok());
            let instance = registry.instance("orders", "a").expect("there");
            for (proxy, told) in [("host-1", Some("host-1")), ("a proxy\n", None)] {
                let again = read(&key_of("orders", "a"), &value(instance, proxy));
                let expected = Read {
                    registration: registration.clone(),
                    state,
                    proxy: told.map(Arc::from),
                };
                assert_eq!(again, Ok(expected));
            }
        }
    }

    #[test]
    fn what_is_not_an_instance_is_told() {
        let key = key_of("orders", "a");
        let told = |value: &str| match read(&key, value.as_bytes()) {
            Ok(_) => panic!("{value}"),
            Err(why) => why.to_string(),
        };
        let instance = r#""instance":{"address":"10.0.0.1:80"}"#;
        for (value, expected) in [
            ("", "not JSON"),
            ("\u{0}", "not JSON"),
            ("[]", "not of weft"),
            ("{}", "not of weft"),
            (r#"{"weft":2}"#, "of version 2, not 1"),
            (r#"{"weft":"1"}"#, "of version \"1\", not 1"),
            (r#"{"weft":1}"#, "`state`"),
            (
                &format!(r#"{{"weft":1,"state":"x",{instance}}}"#),
                "`state`",
            ),
            (r#"{"weft":1,"state":"serving"}"#, "an object"),
            (
                r#"{"weft":1,"state":"serving","instance":{"address":1}}"#,
                "`instance.address` is 1",
            ),
            (
                r#"{"weft":1,"state":"serving","instance":{"id":"b","address":"10.0.0.1:80"}}"#,
                "`instance.id`",
            ),
        ] {
            let told = told(value);
            assert!(told.contains(expected), "{value}: {told}");
        }
        let large = " ".repeat(limits::ETCD_VALUE_BYTES_MAX + 1);
        assert_eq!(
            read(&key, large.as_bytes()),
            Err(Unreadable::Oversized(large.len()))
        );
        let deep = "[".repeat(10_000);
        assert!(matches!(
            read(&key, deep.as_bytes()),
            Err(Unreadable::Malformed(_))
        ));
    }
}
