//! What one configuration changes against another, as a reload would see it: `weft diff OLD NEW`.
//!
//! In: two valid configurations. Out: a line for each listener, route, cluster, endpoint and
//! process-wide key that was added, removed or changed, with the fields that differ; and what would
//! need a restart. Objects are told apart by name (endpoints by address), as in a reload, so that
//! one that only moved in the file has not changed. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::fixed;
use crate::config::Config;

/// Lists whose elements are objects with a name of their own.
const NAMED: [&str; 6] = [
    "listeners",
    "virtual_hosts",
    "routes",
    "clusters",
    "endpoints",
    "certificates",
];

/// Objects and fields by path, as text.
type Leaves = BTreeMap<String, String>;

/// The changes from `old` to `new`, one line each; empty when there is none.
#[must_use]
pub fn describe(old: &Config, new: &Config) -> String {
    let (before, after) = (leaves(old), leaves(new));
    let mut text = String::new();
    let mut line = |sign: char, path: &str, what: &str| {
        // Text cannot fail to be written.
        let _ = writeln!(text, "{sign} {path}{what}");
    };
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    let mut whole = None;
    for path in paths {
        // An object that was added or removed says so once, not for each of its fields.
        let is_within = |outer: &&String| path.starts_with(&format!("{outer}."));
        if whole.as_ref().is_some_and(is_within) {
            continue;
        }
        match (before.get(path), after.get(path)) {
            (None, Some(value)) => {
                whole = value.is_empty().then_some(path);
                line('+', path, &assigned(value));
            }
            (Some(value), None) => {
                whole = value.is_empty().then_some(path);
                line('-', path, &assigned(value));
            }
            (Some(one), Some(other)) if one != other => {
                line('~', path, &format!(": {one} -> {other}"));
            }
            (_, _) => {}
        }
    }
    for problem in fixed::unchanged(old, new).err().unwrap_or_default() {
        line('!', &problem.field, " needs a restart: a reload is refused");
    }
    text
}

fn assigned(value: &str) -> String {
    match value {
        "" => String::new(),
        value => format!(" = {value}"),
    }
}

fn leaves(config: &Config) -> Leaves {
    let mut leaves = Leaves::new();
    // It holds strings and numbers only, which always have a JSON form.
    if let Ok(value) = serde_json::to_value(config) {
        gather("", "", &value, &mut leaves);
    }
    leaves
}

/// Notes `value`, which stands under `key` at `path`. An object with a name is noted as well, with
/// nothing.
fn gather(path: &str, key: &str, value: &Value, leaves: &mut Leaves) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                gather(&join(path, key), key, value, leaves);
            }
        }
        Value::Array(list) if NAMED.contains(&key) => {
            for (place, element) in list.iter().enumerate() {
                let path = format!("{path}[{}]", name(element, place));
                leaves.insert(path.clone(), String::new());
                gather(&path, "", element, leaves);
            }
        }
        value => {
            leaves.insert(path.to_owned(), value.to_string());
        }
    }
}

/// By what an element of a list is known.
fn name(element: &Value, place: usize) -> String {
    let text = |key: &str| element.get(key).and_then(Value::as_str);
    let name = text("name").or_else(|| text("address"));
    let name = name.or_else(|| text("chain"));
    name.map_or_else(|| place.to_string(), ToOwned::to_owned)
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const OLD: &str = r#"
        listeners = [{ name = "web", address = "127.0.0.1:1", virtual_hosts = [
            { name = "all", hosts = ["*"], routes = [
                { name = "one", matches = [{ path = { prefix = "/one" } }], forward = "a" },
                { name = "rest", forward = "b" }] }] }]
        clusters = [
            { name = "a", endpoints = ["127.0.0.1:2", "127.0.0.1:3"] },
            { name = "b", endpoints = ["127.0.0.1:2"] }]
    "#;

    fn read(text: &str) -> Config {
        config::parse(text, "f".as_ref()).expect("a valid configuration")
    }

    #[test]
    fn each_change_is_a_line() {
        let new = r#"
            drain = "5s"
            shards = { count = 1 }
            listeners = [{ name = "web", address = "127.0.0.1:1", virtual_hosts = [
                { name = "all", hosts = ["*"], routes = [
                    { name = "new", matches = [{ path = { prefix = "/new" } }], forward = "b" },
                    { name = "rest", forward = "a" }] }] }]
            clusters = [
                { name = "b", endpoints = ["127.0.0.1:2"], connect_timeout = "3s" },
                { name = "a", endpoints = ["127.0.0.1:3", "127.0.0.1:4"] }]
        "#;
        let text = describe(&read(OLD), &read(new));
        let routes = "listeners[web].virtual_hosts[all].routes";
        for expected in [
            "~ drain: \"30s\" -> \"5s\"".to_owned(),
            format!("+ {routes}[new]"),
            format!("- {routes}[one]"),
            "+ clusters[a].endpoints[127.0.0.1:4]".to_owned(),
            "- clusters[a].endpoints[127.0.0.1:2]".to_owned(),
            "! shards needs a restart: a reload is refused".to_owned(),
        ] {
            assert!(
                text.lines().any(|line| line == expected),
                "{expected}\n{text}"
            );
        }
        assert!(text.contains("~ clusters[b].connect_timeout: "), "{text}");
        assert!(text.contains(&format!("~ {routes}[rest].")), "{text}");
        assert!(!text.contains("clusters[b].endpoints"), "{text}");
    }

    #[test]
    fn what_only_moved_has_not_changed() {
        assert_eq!(describe(&read(OLD), &read(OLD)), "");
    }
}
