//! Names that say nothing, in file names and in what the code defines.
//!
//! Each of these words could name anything; a reader learns nothing from it. The vocabulary in
//! `engine/ARCHITECTURE.md` has a word that says more.

use super::source::{Breach, Source, identifier, words};

/// Words that may not be part of a name, with what to look for instead.
const BANNED: &[(&str, &str)] = &[
    ("manager", "say what it decides or owns"),
    ("handler", "say what happens: serve, refuse, relay"),
    ("context", "say which facts it carries"),
    ("helper", "say what it does"),
    ("helpers", "say what it does"),
    ("util", "put it beside its one user, or name the subject"),
    ("utils", "put it beside its one user, or name the subject"),
    ("common", "name the subject"),
    ("misc", "name the subject"),
    ("base", "say what is shared"),
    ("inner", "name it better than its position"),
    ("session", "connection or exchange"),
    ("data", "say which: bytes, content, sample"),
    ("info", "say which facts"),
    ("item", "say what one of them is"),
    ("object", "say what it is"),
    ("backend", "cluster or endpoint"),
    ("server", "endpoint, origin or listener"),
    ("worker", "shard"),
];

/// Verbs that may not start a function's name.
const BANNED_VERBS: &[&str] = &["process", "do", "handle"];

/// Names that others gave, and who.
const GIVEN: &[(&str, &str)] = &[
    ("Item", "std's Iterator"),
    ("ServerPolicy", "the field Server, RFC 9110 section 10.2.4"),
    ("server", "the field Server"),
    ("verify_server_cert", "a trait of rustls"),
    ("local_server", "the field Server of a local reply"),
    (
        "verify_server_cert",
        "the trait ServerCertVerifier of rustls",
    ),
];

/// All name rules for one file.
pub(crate) fn check(source: &Source, breaches: &mut Vec<Breach>) {
    if !source.is_rust() {
        return;
    }
    let path = source.path.trim_end_matches(".rs");
    for (word, instead) in path.split('/').flat_map(parts).filter_map(banned) {
        let why = format!("`{word}` in a file name says nothing: {instead}");
        breaches.push(source.breach(1, "names", why));
    }
    for keyword in ["struct", "enum", "trait", "union", "type", "fn", "mod"] {
        for at in words(&source.code_and_tests, keyword) {
            let name = identifier(&source.code_and_tests[at + keyword.len()..]);
            if let Some(why) = poor(keyword, name) {
                breaches.push(source.breach(source.line_of(at), "names", why));
            }
        }
    }
}

fn poor(keyword: &str, name: &str) -> Option<String> {
    if GIVEN.iter().any(|(given, _)| *given == name) {
        return None;
    }
    if name.ends_with("Impl") {
        return Some(format!(
            "`{name}`: say how this one differs from the others"
        ));
    }
    let mut words = parts(name).into_iter();
    if let Some(first) = words.clone().next()
        && keyword == "fn"
        && BANNED_VERBS.contains(&&*first)
    {
        return Some(format!(
            "`{name}`: `{first}` as a verb says nothing: say what is done"
        ));
    }
    let (word, instead) = words.find_map(banned)?;
    Some(format!(
        "`{word}` in {keyword} `{name}` says nothing: {instead}"
    ))
}

fn banned(word: String) -> Option<(&'static str, &'static str)> {
    BANNED.iter().find(|(name, _)| *name == word).copied()
}

/// The lower-case words of `an_identifier` or `AnIdentifier`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let starts = c == '_' || c == '-' || c == '.' || (c.is_uppercase() && was_lower);
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if starts {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut()
            && c.is_alphanumeric()
        {
            part.extend(c.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::{Source, check, parts};

    fn count(path: &str, text: &str) -> usize {
        let mut breaches = Vec::new();
        check(&Source::new(path, text), &mut breaches);
        breaches.len()
    }

    #[test]
    fn words_of_a_name() {
        assert_eq!(parts("ConnectionPool"), ["connection", "pool"]);
        assert_eq!(parts("max_idle_count"), ["max", "idle", "count"]);
        assert_eq!(parts("Base64Line"), ["base64", "line"]);
    }

    #[test]
    fn empty_words_are_found() {
        assert_eq!(count("engine/src/http/utils.rs", ""), 1);
        assert_eq!(count("engine/src/x.rs", "struct RequestContext;"), 1);
        assert_eq!(count("engine/src/x.rs", "fn process_head() {}"), 1);
        assert_eq!(count("engine/src/x.rs", "fn do_it() {}"), 1);
        assert_eq!(count("engine/src/x.rs", "struct PoolImpl;"), 1);
        assert_eq!(
            count(
                "engine/src/x.rs",
                "#[cfg(test)] mod tests { fn helper() {} }"
            ),
            1
        );
    }

    #[test]
    fn other_peoples_names_and_uses_are_free() {
        assert_eq!(
            count("engine/src/x.rs", "fn poll(c: &mut Context<'_>) { do_(); }"),
            0
        );
        assert_eq!(
            count("engine/src/x.rs", "impl Iterator for A { type Item = u8; }"),
            0
        );
        assert_eq!(
            count(
                "engine/src/x.rs",
                "struct Exchange; fn document() {} // a helper"
            ),
            0
        );
    }
}
