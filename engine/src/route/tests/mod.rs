//! Routes end to end: from a configuration and a request head to the route, as Gateway API says.
//!
//! `matching.rs` is about which route is found, `oracle.rs` compares that with a plain reading of
//! the rules, `actions.rs` is about what a route then does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod actions;
mod matching;
mod oracle;

use std::path::Path;

use super::*;
use crate::config::{self, HostPattern, PathMatch, ValueMatch};
use crate::http::{FieldName, HeadLimits, RequestHead, Scheme, TargetRules, h1};

/// A listener with these virtual hosts and the clusters `a`, `b`, `c`.
fn listener(virtual_hosts: &str) -> model::Listener {
    let text = format!(
        "clusters = [\n{}]\n[[listeners]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n{virtual_hosts}",
        ["a", "b", "c"]
            .map(|name| format!("{{ name = \"{name}\", endpoints = [] }},\n"))
            .concat(),
    );
    let config = config::parse(&text, Path::new("test"));
    let mut config = config.unwrap_or_else(|errors| panic!("{errors}"));
    config.listeners.remove(0)
}

/// A listener whose routes for all hosts are named after what they match.
fn listener_of(matches: &[&str]) -> model::Listener {
    let mut text = "[[listeners.virtual_hosts]]\nhosts = [\"*\"]\n".to_owned();
    for (index, condition) in matches.iter().enumerate() {
        text += &format!(
            "[[listeners.virtual_hosts.routes]]\nname = \"{index}\"\nmatches = [{condition}]\n\
             forward = \"a\"\n"
        );
    }
    listener(&text)
}

/// A listener with one route, for all hosts.
fn listener_with(route: &str) -> model::Listener {
    listener(&format!(
        "[[listeners.virtual_hosts]]\nhosts = [\"*\"]\n[[listeners.virtual_hosts.routes]]\n{route}"
    ))
}

fn with_request<T>(text: &str, then: impl FnOnce(&Request<'_>) -> T) -> T {
    let bytes = text.as_bytes();
    let mut head = RequestHead::new();
    let target = TargetRules {
        merge_slashes: false,
        ..TargetRules::default()
    };
    let limits = HeadLimits {
        target,
        ..HeadLimits::default()
    };
    h1::request::parse(bytes, &limits, &mut head).unwrap_or_else(|e| panic!("{text:?}: {e:?}"));
    then(&head.view(bytes))
}

/// `line` is `METHOD target`, `fields` are whole lines.
fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h.example\r\n{fields}\r\n")
}

fn found<'t>(table: &'t RouteTable, text: &str) -> Option<&'t str> {
    with_request(text, |request| {
        table.find(request).map(|route| &*route.name)
    })
}
