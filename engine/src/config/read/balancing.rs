//! How the endpoints of a cluster share its requests, from the file to the model.
//!
//! In: a cluster's section. Out: values within their ranges, and a note of each that is not.

use std::sync::Arc;
use std::time::Duration;

use super::grammar;
use crate::config::file::{Field, Section};
use crate::config::model::{
    Balancing, Hash, HashKey, LbPolicy, OutlierDetection, PeakEwma, Sticky,
};

const LB_POLICIES: [(&str, LbPolicy); 6] = [
    ("peak_ewma", LbPolicy::PeakEwma),
    ("least_request", LbPolicy::LeastRequest),
    ("round_robin", LbPolicy::RoundRobin),
    ("random", LbPolicy::Random),
    ("ring_hash", LbPolicy::RingHash),
    ("maglev", LbPolicy::Maglev),
];
const HASH_KEY: &str = "one of `{ header = \"x-user\" }`, `{ cookie = \"user\" }`, \
    `{ query = \"user\" }` or `{ source = true }`";
const PARAMETER: &str = "the name of a query parameter, as it is sent";
const COOKIE: &str = "the name of a cookie (RFC 6265 token)";
const COOKIE_KEY: &str = "a file with a secret of at least 16 bytes";

/// How a cluster balances; `home` is where the process says it is.
pub(super) fn balancing(
    section: &mut Section<'_>,
    home: Option<&Arc<str>>,
) -> (LbPolicy, Balancing) {
    let policy = section.choice("lb_policy", LbPolicy::PeakEwma, &LB_POLICIES);
    let is_hash = matches!(policy, LbPolicy::RingHash | LbPolicy::Maglev);
    let hash = section.section("hash", hash);
    if is_hash && hash.is_none() {
        let expected =
            "what requests are hashed by, such as `{ keys = [{ header = \"x-user\" }] }`";
        section.missing("hash", expected);
    }
    if !is_hash && section.has("hash") {
        section.refuse("hash", "only for `ring_hash` and `maglev`");
    }
    let balancing = Balancing {
        peak_ewma: section.section_or_empty("peak_ewma", peak_ewma),
        hash: hash.unwrap_or_default(),
        sticky: section.section("sticky", sticky).flatten(),
        outlier_detection: section.section_or_empty("outlier_detection", outlier_detection),
        slow_start: section.duration_limit("slow_start", None),
        panic_threshold: section.count("panic_threshold", 50, 0..=100),
        local_endpoints_min: section.count("local_endpoints_min", 3, 0..=u32::MAX),
        home: home.map(Arc::clone),
    };
    (policy, balancing)
}

fn peak_ewma(section: &mut Section<'_>) -> PeakEwma {
    PeakEwma {
        decay: section.duration("decay", Duration::from_secs(10)),
        default_latency: section.duration("default_latency", Duration::from_millis(30)),
        penalty: section.duration("penalty", Duration::from_secs(5)),
    }
}

fn hash(section: &mut Section<'_>) -> Hash {
    let keys = section.some_list("keys", "at least one key").into_iter();
    let keys = keys.filter_map(hash_key).collect();
    let bounded_load = section.field("bounded_load");
    Hash {
        keys,
        bounded_load: bounded_load.and_then(|field| field.count(101..=1_000)),
    }
}

fn hash_key(field: Field<'_>) -> Option<HashKey> {
    if !field.is_table() {
        return field.expected(HASH_KEY);
    }
    field.section(|section| {
        let header = section.field("header");
        let cookie = section.field("cookie");
        let query = section.field("query");
        let source = section.flag("source", false);
        match (header, cookie, query, source) {
            (Some(field), None, None, false) => {
                let name = field.parse(grammar::FIELD_NAME, grammar::field_name)?;
                Some(HashKey::Header((*name).into()))
            }
            (None, Some(field), None, false) => cookie_name(&field).map(HashKey::Cookie),
            (None, None, Some(field), false) => {
                let is_name = |text: &str| !text.is_empty() && !text.contains(['&', '=', '#']);
                let name = field.parse(PARAMETER, |text| is_name(text).then(|| text.into()));
                name.map(HashKey::Query)
            }
            (None, None, None, true) => Some(HashKey::Source(true)),
            _ => {
                section.refuse("", &format!("expected {HASH_KEY}"));
                None
            }
        }
    })?
}

fn sticky(section: &mut Section<'_>) -> Option<Sticky> {
    let cookie = section.required("cookie", COOKIE);
    let cookie = cookie.and_then(|field| cookie_name(&field));
    let max_age = section.duration_limit("max_age", None);
    let key_file = section.required("key_file", COOKIE_KEY)?;
    let key_file = super::path_in(&key_file)?;
    Some(Sticky {
        cookie: cookie?,
        key_file,
        max_age,
    })
}

fn cookie_name(field: &Field<'_>) -> Option<Box<str>> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    field.parse(COOKIE, |text| {
        let is_name = !text.is_empty() && text.bytes().all(is_token);
        is_name.then(|| text.into())
    })
}

fn outlier_detection(section: &mut Section<'_>) -> OutlierDetection {
    let detection = OutlierDetection {
        consecutive_errors: section.count("consecutive_errors", 5, 0..=u32::MAX),
        interval: section.duration("interval", Duration::from_secs(10)),
        base_ejection_time: section.duration("base_ejection_time", Duration::from_secs(30)),
        max_ejection_time: section.duration("max_ejection_time", Duration::from_secs(300)),
        max_ejection_percent: section.count("max_ejection_percent", 50, 0..=100),
        success_rate_min_endpoints: section.count("success_rate_min_endpoints", 5, 2..=u32::MAX),
        success_rate_min_requests: section.count("success_rate_min_requests", 100, 1..=u32::MAX),
        success_rate_deviation: section.count("success_rate_deviation", 1_900, 0..=100_000),
    };
    if detection.max_ejection_time < detection.base_ejection_time {
        section.refuse(
            "max_ejection_time",
            "must not be shorter than `base_ejection_time`",
        );
    }
    detection
}
