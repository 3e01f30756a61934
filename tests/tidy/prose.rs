//! What the sources say besides code: headers, TODOs, citations, paths of one machine.
//!
//! A citation is a promise: each section of an RFC that `engine/src/http` names has a test that
//! names it, so that nobody implements a rule without proof, or keeps the proof without the rule.

use std::collections::BTreeMap;

use super::source::{Breach, Source, Tree, words};

/// Lines of a module header.
const HEADER_LINES_MIN: usize = 3;
const HEADER_LINES_MAX: usize = 40;
/// Lines of a file, tests apart, that a header of one line can introduce.
const SHORT_FILE_LINES: usize = 60;

/// Words that mark unfinished work without saying who will finish it.
const MARKS: &[&str] = &["FIXME", "XXX", "HACK"];

/// Folders that only exist on the machine of whoever wrote the line.
const PLACES: &[&str] = &["/home/", "/root/", "/tmp/"];

/// All rules on prose for one file.
pub(crate) fn check(source: &Source, breaches: &mut Vec<Breach>) {
    places(source, breaches);
    if !source.is_rust() {
        return;
    }
    header(source, breaches);
    marks(source, breaches);
    tests_run_and_do_not_sleep(source, breaches);
}

fn header(source: &Source, breaches: &mut Vec<Breach>) {
    let lines = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    let tests: usize = source
        .test_module_lines()
        .iter()
        .map(|(start, end)| end - start + 1)
        .sum();
    let is_short = source.text.lines().count() - tests <= SHORT_FILE_LINES;
    let least = if source.is_test() || is_short {
        1
    } else {
        HEADER_LINES_MIN
    };
    if !(least..=HEADER_LINES_MAX).contains(&lines) {
        let why = format!(
            "the header has {lines} lines of `//!`, needs {least} to {HEADER_LINES_MAX}: what it \
             owns, what goes in and out, what must stay true, what it does not do, which standard"
        );
        breaches.push(source.breach(1, "header", why));
    }
}

fn marks(source: &Source, breaches: &mut Vec<Breach>) {
    for &mark in MARKS {
        for at in words(&source.comments, mark) {
            let why = format!("`{mark}`: write `TODO(#issue): …`, or do it");
            breaches.push(source.breach(source.line_of(at), "todo", why));
        }
    }
    for at in words(&source.comments, "TODO") {
        let after = &source.comments[at + "TODO".len()..];
        let number = after
            .strip_prefix("(#")
            .and_then(|rest| rest.split_once("): "));
        if number.is_none_or(|(number, _)| number.parse::<u32>().is_err()) {
            let why = "a TODO names its issue: `TODO(#12): …`".into();
            breaches.push(source.breach(source.line_of(at), "todo", why));
        }
    }
}

fn places(source: &Source, breaches: &mut Vec<Breach>) {
    if source.path.starts_with("tests/tidy/") {
        return;
    }
    for &place in PLACES {
        for (at, _) in source.text.match_indices(place) {
            let starts = !source.text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.');
            if starts {
                let why = format!("`{place}…` is a place on one machine: make the path relative");
                breaches.push(source.breach(source.line_of(at), "paths", why));
            }
        }
    }
}

fn tests_run_and_do_not_sleep(source: &Source, breaches: &mut Vec<Breach>) {
    for (at, _) in source.code_and_tests.match_indices("#[ignore]") {
        let why = "an ignored test says why: `#[ignore = \"…\"]`".into();
        breaches.push(source.breach(source.line_of(at), "ignore", why));
    }
    let waits = source.path.starts_with("tests/harness/") || !source.path.starts_with("tests/");
    if !waits {
        for at in words(&source.code_and_tests, "sleep") {
            let why = "tests wait for a condition (tests/harness/wait.rs), not for time".into();
            breaches.push(source.breach(source.line_of(at), "sleep", why));
        }
    }
}

/// Sections cited in `engine/src/http` without a test that names them.
pub(crate) fn citations(tree: &Tree, breaches: &mut Vec<Breach>) {
    let mut tests = String::new();
    for file in tree
        .rust()
        .filter(|file| !file.path.starts_with("tests/tidy/"))
    {
        if file.is_test() {
            tests.push_str(&file.text);
        } else {
            for (start, end) in file.test_module_lines() {
                tests.extend(file.text.lines().skip(start - 1).take(end - start + 1));
            }
        }
    }
    let mut cited = BTreeMap::new();
    let http = |file: &&Source| file.path.starts_with("engine/src/http/") && !file.is_test();
    for file in tree.rust().filter(http) {
        for (at, name) in sections(&file.comments) {
            cited
                .entry(name)
                .or_insert_with(|| (file, file.line_of(at)));
        }
    }
    for (name, (file, line)) in cited {
        if words_starting(&tests, &name) == 0 {
            let why = format!("cited without a test: name one `{name}_…`");
            breaches.push(file.breach(line, "citation", why));
        }
    }
}

/// Every `RFC 9112 §6.3` of a text as `rfc9112_6_3`.
fn sections(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("RFC ") {
        let rest = &text[at + 4..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = rest.split_at(digits);
        let Some(section) = rest.trim_start_matches([' ', ',']).strip_prefix('§') else {
            continue;
        };
        let end = section
            .bytes()
            .position(|byte| !byte.is_ascii_digit() && byte != b'.')
            .unwrap_or(section.len());
        let section = section[..end].trim_matches('.').replace('.', "_");
        if digits > 0 && !section.is_empty() {
            found.push((at, format!("rfc{number}_{section}")));
        }
    }
    found
}

/// How often `name` stands in `text`, alone or followed by `_`.
fn words_starting(text: &str, name: &str) -> usize {
    text.match_indices(name)
        .filter(|(at, _)| !text[at + name.len()..].starts_with(|c: char| c.is_alphanumeric()))
        .count()
}

#[cfg(test)]
mod tests {
    use super::{Breach, Source, Tree, check, citations, sections};

    const HEADER: &str = "//! A.\n//!\n//! B.\n";

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let mut breaches = Vec::new();
        check(&Source::new(path, text), &mut breaches);
        breaches.iter().map(|breach| breach.rule).collect()
    }

    fn engine(text: &str) -> Vec<&'static str> {
        rules("engine/src/http/x.rs", &format!("{HEADER}{text}"))
    }

    #[test]
    fn every_module_has_a_header() {
        assert_eq!(rules("engine/src/http/x.rs", "fn f() {}\n"), ["header"]);
        let long = "fn f() {}\n".repeat(61);
        assert_eq!(
            rules("engine/src/http/x.rs", &format!("//! `http`\n{long}")),
            ["header"]
        );
        assert_eq!(rules("engine/src/http/x.rs", "//! `http`\n"), [""; 0]);
        assert_eq!(rules("tests/x.rs", "//! One.\n"), [""; 0]);
        assert_eq!(engine(""), [""; 0]);
    }

    #[test]
    fn unfinished_work_has_an_issue() {
        assert_eq!(engine("// TODO: later\n"), ["todo"]);
        assert_eq!(engine("// TODO(me): later\n"), ["todo"]);
        assert_eq!(engine("// FIXME\n"), ["todo"]);
        assert_eq!(engine("// TODO(#12): later\nlet s = \"FIXME\";\n"), [""; 0]);
    }

    #[test]
    fn paths_of_one_machine() {
        assert_eq!(rules("config/x.toml", "path = \"/home/me/x\"\n"), ["paths"]);
        assert_eq!(rules("config/x.toml", "path = \"/var/log/x\"\n"), [""; 0]);
        assert_eq!(rules("README.md", "https://example.org/home/x"), [""; 0]);
    }

    #[test]
    fn tests_run_and_wait_for_conditions() {
        assert_eq!(
            rules("tests/x.rs", "//! A.\n#[ignore]\nfn f() {}\n"),
            ["ignore"]
        );
        assert_eq!(
            rules("tests/x.rs", "//! A.\nfn f() { thread::sleep(d) }\n"),
            ["sleep"]
        );
        assert_eq!(
            rules("tests/harness/x.rs", "//! A.\nfn f() { sleep(d) }\n"),
            [""; 0]
        );
    }

    #[test]
    fn citations_are_found() {
        let found = sections("// RFC 9112 §6.3 rule 4, RFC 9110, §7.6.1. RFC 9110 says\n");
        let names: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["rfc9112_6_3", "rfc9110_7_6_1"]);
    }

    #[test]
    fn a_citation_needs_a_test() {
        let count = |test: &str| {
            let text =
                format!("{HEADER}// RFC 9112 §6.3 rule 4.\n#[cfg(test)]\nmod tests {{{test}}}");
            let files = vec![Source::new("engine/src/http/x.rs", &text)];
            let mut breaches: Vec<Breach> = Vec::new();
            citations(&Tree { files, top: vec![] }, &mut breaches);
            breaches.len()
        };
        assert_eq!(count(""), 1);
        assert_eq!(count("fn rfc9112_6_30_x() {}"), 1);
        assert_eq!(count("fn rfc9112_6_3_rule_4() {}"), 0);
    }
}
