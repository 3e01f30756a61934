//! Issuers of tokens, from the file to the model.
//!
//! What a token must say is asked for here and not guessed: an issuer without an audience would
//! accept tokens that were meant for somebody else (RFC 8725 §3.9). The files and addresses of
//! keys are not looked at.

use std::sync::Arc;
use std::time::Duration;

use super::authentication::{credential_field, method_name, parameter};
use super::{Names, grammar};
use crate::config::file::{Field, Section};
use crate::config::model::{ClaimPath, Jwt, JwtAlgorithm, JwtKeys};
use crate::limits;

const CLAIM: &str = "the name of a claim, or a list of names that lead to it";
const URL: &str = "an address such as \"https://issuer.example/keys.json\"";
const REFRESH: Duration = Duration::from_secs(600);
const SKEW: Duration = Duration::from_secs(60);

/// An issuer.
pub(super) fn jwt(section: &mut Section<'_>, names: &mut Names) -> Option<Jwt> {
    let name = method_name(section, names);
    let text = |field: Field<'_>| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        field.parse("a text", some)
    };
    let issuer = section.required("issuer", "what `iss` of a token must be");
    let issuer = issuer.and_then(text);
    let audiences = section.some_list("audiences", "what `aud` of a token must be or hold");
    let audiences = audiences.into_iter().filter_map(text).collect();
    let algorithms = algorithms(section);
    let expected = "a table with `file` or `url`";
    let keys = section.required("keys", expected);
    let keys = keys.and_then(|field| field.section(keys_of).flatten());
    let kind = section.field("type").map(text);
    let skew = section
        .duration_limit("skew", Some(SKEW))
        .unwrap_or_default();
    let require_expiry = section.flag("require_expiry", true);
    let header = section
        .field("header")
        .map(|field| credential_field(&field));
    let query = section.field("query").map(|field| parameter(&field));
    let cookie = section.field("cookie").map(|field| parameter(&field));
    let places = [header.is_some(), query.is_some(), cookie.is_some()];
    if places.into_iter().filter(|is_there| *is_there).count() > 1 {
        section.refuse("", "expected at most one of `header`, `query`, `cookie`");
    }
    let forward = section.flag("forward", false);
    let claim_headers = section.field("claim_headers").map(claim_headers);
    Some(Jwt {
        name: name?,
        issuer: issuer?,
        audiences,
        algorithms,
        keys: keys?,
        kind: kind.unwrap_or_default(),
        skew,
        require_expiry,
        header: header.unwrap_or_default(),
        query: query.unwrap_or_default(),
        cookie: cookie.unwrap_or_default(),
        forward,
        claim_headers: claim_headers.unwrap_or_default(),
    })
}

/// All that there are, unless the file says less.
fn algorithms(section: &mut Section<'_>) -> Vec<JwtAlgorithm> {
    if !section.has("algorithms") {
        section.field("algorithms");
        return JwtAlgorithm::ALL.to_vec();
    }
    let expected = format!(
        "one of {}",
        JwtAlgorithm::ALL.map(JwtAlgorithm::label).join(", ")
    );
    let fields = section.some_list("algorithms", &expected).into_iter();
    fields
        .filter_map(|field| field.parse(&expected, JwtAlgorithm::parse))
        .collect()
}

fn keys_of(section: &mut Section<'_>) -> Option<JwtKeys> {
    let file = section.field("file");
    let url = section.field("url");
    let ca = super::file_path(section, "ca");
    let refresh = section.duration("refresh", REFRESH);
    if url.is_none() {
        for key in ["ca", "refresh"] {
            if section.has(key) {
                section.refuse(key, "has no use without `url`");
            }
        }
    }
    match (file, url) {
        (Some(field), None) => super::path_in(&field).map(|file| JwtKeys::File { file }),
        (None, Some(field)) => {
            let url = field.parse(URL, |text| is_url(text).then(|| Arc::from(text)))?;
            Some(JwtKeys::Url { url, ca, refresh })
        }
        _ => {
            section.refuse("", "expected exactly one of `file`, `url`");
            None
        }
    }
}

/// A scheme, a host, perhaps a port, a path: nothing that would need to be escaped.
fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest.filter(|_| text.len() <= limits::KEY_ADDRESS_BYTES_MAX) else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
    grammar::authority(authority).is_some() && rest.bytes().all(plain)
}

fn claim_headers(field: Field<'_>) -> Vec<(String, ClaimPath)> {
    let mut headers: Vec<(String, ClaimPath)> = Vec::new();
    let entries = field.clone().entries();
    if entries.len() > limits::CLAIM_HEADERS_MAX {
        field.expected::<()>(&format!("at most {} headers", limits::CLAIM_HEADERS_MAX));
    }
    for (name, field) in entries {
        let Some(name) = grammar::field_name(name) else {
            field.refuse::<()>("the key is not a header name (RFC 9110 token)");
            continue;
        };
        if super::route::editable(&name, &field).is_none() {
            continue;
        }
        headers.extend(claim_path(&field).map(|path| (name, path)));
    }
    headers
}

/// A claim: `"sub"`, or `["realm_access", "roles"]`.
pub(super) fn claim_path(field: &Field<'_>) -> Option<ClaimPath> {
    if let Some(name) = field.text().filter(|name| !name.is_empty()) {
        return Some(ClaimPath::new([name]));
    }
    if !field.is_list() {
        return field.expected(CLAIM);
    }
    let elements = field.clone().list();
    if elements.is_empty() || elements.len() > limits::CLAIM_DEPTH_MAX as usize {
        return field.expected(CLAIM);
    }
    let names: Option<Vec<&str>> = elements
        .iter()
        .map(|element| element.parse("the name of a claim", Some))
        .collect();
    names.map(ClaimPath::new)
}
