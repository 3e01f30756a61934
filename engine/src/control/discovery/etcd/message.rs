//! What is said to etcd and what it says, as JSON of its gateway (`/v3/...`, etcd 3.4 and later).
//!
//! The gateway writes 64-bit numbers as texts, bytes in base64, and leaves out what is zero or
//! empty. Pure.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// What stands at the head of each answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Header {
    /// The revision of the whole store.
    #[serde(deserialize_with = "number")]
    pub(super) revision: i64,
}

/// A key with its value.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[serde(deserialize_with = "bytes")]
    pub(super) key: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
    /// The revision of its last change.
    #[serde(deserialize_with = "number")]
    pub(super) mod_revision: i64,
    /// The lease that it lives by; 0 when it lives for ever.
    #[serde(deserialize_with = "number")]
    pub(super) lease: i64,
}

/// Some of the keys of a range, in order.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    pub(super) header: Header,
    pub(super) kvs: Vec<KeyValue>,
    /// There are more behind them.
    pub(super) more: bool,
}

/// A transaction that was done.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    pub(super) header: Header,
}

/// A lease that was made or kept alive.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lease {
    /// Seconds that it has left; none when there is no such lease.
    #[serde(rename = "TTL", deserialize_with = "number")]
    pub(super) ttl: i64,
}

/// One message of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Streamed<T> {
    pub(super) result: Option<T>,
    pub(super) error: Option<Refusal>,
}

/// A message of a watch.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Watched {
    pub(super) header: Header,
    /// The watch has begun.
    pub(super) created: bool,
    /// The watch has ended.
    pub(super) canceled: bool,
    pub(super) cancel_reason: String,
    /// It asked for revisions before this one, which are forgotten.
    #[serde(deserialize_with = "number")]
    pub(super) compact_revision: i64,
    /// The rest of its events is in the next message.
    pub(super) fragment: bool,
    pub(super) events: Vec<Event>,
}

impl Watched {
    /// The revision up to which nothing is missing once this message is taken, if it tells. At its
    /// head stands the revision of the store, which is ahead of the events where many are still to
    /// come, as they are when the watch has begun.
    pub(super) fn reached(&self) -> Option<i64> {
        let last = self.events.iter().map(|event| event.kv.mod_revision).max();
        let is_part = self.created || self.fragment;
        (!is_part).then(|| last.unwrap_or(self.header.revision))
    }
}

/// A change of one key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    #[serde(rename = "type")]
    kind: String,
    pub(super) kv: KeyValue,
}

impl Event {
    /// Whether the key is gone.
    pub(super) fn is_delete(&self) -> bool {
        self.kind == "DELETE"
    }
}

/// A right to ask, for a time.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Token {
    pub(super) token: String,
}

/// Why etcd did not do what it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    /// A code of gRPC.
    #[serde(alias = "grpc_code")]
    pub(super) code: u32,
    pub(super) message: String,
}

/// A name and password for a token.
pub(super) fn authenticate(user: &str, password: &str) -> Value {
    json!({"name": user, "password": password})
}

/// The first `limit` keys from `from` to before `end`, as they were at `revision`, or are now.
pub(super) fn range(from: &[u8], end: &[u8], limit: usize, revision: i64) -> Value {
    json!({
        "key": STANDARD.encode(from),
        "range_end": STANDARD.encode(end),
        "limit": limit.to_string(),
        "revision": revision.to_string(),
    })
}

/// The same without the values.
pub(super) fn keys(from: &[u8], end: &[u8], limit: usize, revision: i64) -> Value {
    let mut question = range(from, end, limit, revision);
    question["keys_only"] = json!(true);
    question
}

/// One key as it was at `revision`.
pub(super) fn key_at(key: &[u8], revision: i64) -> Value {
    json!({"key": STANDARD.encode(key), "revision": revision.to_string(), "keys_only": true})
}

/// A lease of `ttl` seconds under a number of our own.
pub(super) fn grant(lease: i64, ttl: u64) -> Value {
    json!({"ID": lease.to_string(), "TTL": ttl.to_string()})
}

/// A lease begins anew.
pub(super) fn keep_alive(lease: i64) -> Value {
    json!({"ID": lease.to_string()})
}

/// Every change from `from` to before `end`, from `revision` on.
pub(super) fn watch(from: &[u8], end: &[u8], revision: i64) -> Value {
    json!({"create_request": {
        "key": STANDARD.encode(from),
        "range_end": STANDARD.encode(end),
        "start_revision": revision.to_string(),
        // So that a quiet watch knows of a late revision, and can go on from there.
        "progress_notify": true,
        "fragment": true,
    }})
}

/// A change of a transaction: the key lives by `lease` and has this value.
pub(super) fn put(key: &[u8], value: &[u8], lease: i64) -> Value {
    json!({"request_put": {
        "key": STANDARD.encode(key),
        "value": STANDARD.encode(value),
        "lease": lease.to_string(),
    }})
}

/// A change of a transaction: the key is gone, if it lives by `lease`.
pub(super) fn delete(key: &[u8], lease: i64) -> Value {
    let key = STANDARD.encode(key);
    json!({"request_txn": {
        "compare": [{"key": key, "target": "LEASE", "lease": lease.to_string()}],
        "success": [{"request_delete_range": {"key": key}}],
    }})
}

/// All of these changes, or none.
pub(super) fn transaction(changes: Vec<Value>) -> Value {
    json!({"success": changes})
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = i64;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a number, maybe as a text")
        }

        fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<i64, E> {
            i64::try_from(number).map_err(E::custom)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i64, E> {
            text.parse().map_err(E::custom)
        }
    }

    from.deserialize_any(Number)
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD.decode(text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_etcd_says_is_read_with_numbers_in_either_form() {
        let page = r#"{"header":{"cluster_id":"32","revision":"6"},"kvs":[{"key":"YQ==",
            "create_revision":"2","mod_revision":6,"version":"1","value":"Yg==",
            "lease":"4242424242424242"}],"more":true,"count":"2"}"#;
        let page: Page = serde_json::from_str(page).expect("a page");
        assert_eq!((page.header.revision, page.more), (6, true));
        let kv = &page.kvs[0];
        assert_eq!((&kv.key[..], &kv.value[..]), (&b"a"[..], &b"b"[..]));
        assert_eq!((kv.mod_revision, kv.lease), (6, 4_242_424_242_424_242));
        let watched = r#"{"result":{"header":{"revision":"5"},"events":[{"type":"DELETE",
            "kv":{"key":"YQ==","mod_revision":"5"}},{"kv":{"key":"YQ==","value":"Yg=="}}]}}"#;
        let watched: Streamed<Watched> = serde_json::from_str(watched).expect("a message");
        let watched = watched.result.expect("a result");
        let deletes: Vec<bool> = watched.events.iter().map(Event::is_delete).collect();
        assert_eq!(deletes, [true, false]);
        let compacted = r#"{"result":{"header":{},"canceled":true,"compact_revision":"4"}}"#;
        let compacted: Streamed<Watched> = serde_json::from_str(compacted).expect("a message");
        assert_eq!(compacted.result.map(|it| it.compact_revision), Some(4));
    }

    #[test]
    fn a_message_reaches_no_further_than_its_events() {
        let reached = |message: &str| {
            let watched: Watched = serde_json::from_str(message).expect("a message");
            watched.reached()
        };
        let head = r#""header":{"revision":"90"}"#;
        let events = r#""events":[{"kv":{"mod_revision":"7"}},{"kv":{"mod_revision":"8"}}]"#;
        assert_eq!(reached(&format!("{{{head},\"created\":true}}")), None);
        assert_eq!(reached(&format!("{{{head},{events}}}")), Some(8));
        assert_eq!(
            reached(&format!("{{{head},\"fragment\":true,{events}}}")),
            None
        );
        assert_eq!(
            reached(&format!("{{{head}}}")),
            Some(90),
            "a sign of progress"
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            r#"{"kvs":[{"key":"?"}]}"#,
            r#"{"kvs":[{"lease":"x"}]}"#,
            r#"{"kvs":[{"lease":18446744073709551615}]}"#,
            r#"{"kvs":{}}"#,
            "[]x",
        ] {
            assert!(serde_json::from_str::<Page>(text).is_err(), "{text}");
        }
    }
}
