//! Rate limits, from the file to the model.
//!
//! A limit without `burst` takes as many requests at once as it does in its time: what is written
//! as "100 a minute" may come in the first second of it.

use std::time::Duration;

use crate::config::file::{Field, Section};
use crate::config::model::{LimitKey, RateLimit};
use crate::config::read::{Names, grammar};
use crate::limits;

const KEY: &str = "\"client\", \"principal\" or \"header:NAME\"";

/// The limits of the listener, virtual host or route in `section`.
pub(in crate::config::read) fn read(section: &mut Section<'_>) -> Vec<RateLimit> {
    let mut names = Names::default();
    let fields = section.list("rate_limits");
    if fields.len() > limits::RATE_LIMITS_MAX {
        let most = limits::RATE_LIMITS_MAX;
        section.refuse("rate_limits", &format!("more than {most} limits"));
        return Vec::new();
    }
    let read = |field: Field<'_>| field.section(|section| limit(section, &mut names));
    fields.into_iter().filter_map(read).flatten().collect()
}

fn limit(section: &mut Section<'_>, names: &mut Names) -> Option<RateLimit> {
    let name = section.required("name", grammar::NAME).and_then(|field| {
        let name = field.parse(grammar::NAME, grammar::name)?;
        names.take(&name, &field);
        Some(name)
    });
    let requests = section.required("requests", "a whole number from 1");
    let requests = requests.and_then(|field| field.count(1..=limits::RATE_LIMIT_REQUESTS_MAX));
    let per = section.duration("per", Duration::from_secs(1));
    let most = limits::RATE_LIMIT_REQUESTS_MAX;
    let burst = section.count("burst", requests.unwrap_or(1), 1..=most);
    let key = key(section);
    let callers = section.count(
        "callers",
        limits::RATE_LIMIT_CALLERS_DEFAULT,
        1..=limits::RATE_LIMIT_CALLERS_MAX,
    );
    for name in ["callers"] {
        if section.has(name) && key.is_empty() {
            section.refuse(name, "has no effect without `key`");
        }
    }
    let per_second = u128::from(requests.unwrap_or(0))
        .saturating_mul(1_000_000_000)
        .div_ceil(per.as_nanos().max(1));
    if per_second > u128::from(limits::RATE_LIMIT_PER_SECOND_MAX) {
        let most = limits::RATE_LIMIT_PER_SECOND_MAX;
        section.refuse("requests", &format!("more than {most} a second"));
    }
    Some(RateLimit {
        name: name?,
        requests: requests?,
        per,
        burst,
        key,
        callers,
        always_tell: section.flag("always_tell", false),
        index: 0,
    })
}

fn key(section: &mut Section<'_>) -> Vec<LimitKey> {
    let mut found = Vec::new();
    for field in section.list("key") {
        let Some(part) = field.parse(KEY, part) else {
            continue;
        };
        if found.contains(&part) {
            field.refuse::<()>("occurs twice");
        }
        found.push(part);
    }
    found
}

fn part(text: &str) -> Option<LimitKey> {
    match text {
        "client" => Some(LimitKey::Client),
        "principal" => Some(LimitKey::Principal),
        _ => {
            let name = text.strip_prefix("header:")?;
            grammar::field_name(name).map(LimitKey::Header)
        }
    }
}
