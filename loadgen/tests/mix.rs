//! `loadgen run --mix`: is what is sent what the file says, and is each entry counted for itself?

mod harness;

use std::collections::BTreeSet;

use harness::recorder::{Asked, Recorder};
use harness::{Measured, Origin, run, scratch};
use serde_json::Value;

/// Writes a mix and runs it.
fn run_mix(name: &str, text: &str, url: &str, options: &[&str]) -> Measured {
    let path = scratch(name);
    std::fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("a path");
    run(url, &[&["--mix", path], options].concat())
}

fn entry<'a>(measured: &'a Measured, name: &str) -> &'a Value {
    let entries = measured.get("entries").as_array().expect("a list");
    let found = entries.iter().find(|entry| entry["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {entries:#?}"))
}

/// Every kind of content.
const KINDS: &str = r#"
    [[request]]
    name = "get"
    weight = 3
    path = "/item/{n}"
    headers = { x-kind = "a" }

    [[request]]
    name = "even"
    weight = 1
    method = "PUT"
    path = "/even"
    body.size = "100..200"

    [[request]]
    name = "skewed"
    weight = 1
    method = "POST"
    path = "/skewed"
    body.size = "lognormal:1KiB/p99=16KiB"

    [[request]]
    name = "text"
    weight = 1
    method = "POST"
    path = "/text"
    body.text = "{\"a\": 1}"
"#;

#[test]
fn what_arrives_is_what_the_file_says() {
    let recorder = Recorder::start();
    let options = ["--rate", "1000", "-d", "1s", "-t", "2", "-H", "X-All: 1"];
    let measured = run_mix("arrives.toml", KINDS, &recorder.url("/"), &options);
    measured.assert_answered();
    let asked = recorder.asked();
    assert_eq!(asked.len(), 1_000);
    let of = |method: &str, start: &str| -> Vec<&Asked> {
        let is = |asked: &&Asked| {
            let (its, target) = asked.target();
            its == method && target.starts_with(start)
        };
        asked.iter().filter(is).collect()
    };
    let parts = [
        ("get", of("GET", "/item/")),
        ("even", of("PUT", "/even")),
        ("skewed", of("POST", "/skewed")),
        ("text", of("POST", "/text")),
    ];
    let mut answered = 0;
    for (name, part) in &parts {
        let entry = entry(&measured, name);
        assert_eq!(entry["answered"], part.len(), "{name}");
        assert_eq!(entry["response_time"]["count"], part.len(), "{name}");
        assert!(
            part.iter()
                .all(|asked| asked.fields.iter().any(|field| field == "X-All: 1"))
        );
        answered += part.len();
    }
    assert_eq!(answered, 1_000);
    let [(_, gets), (_, even), (_, skewed), (_, text)] = parts;
    // Half of all; one standard deviation is 16.
    assert!((420..580).contains(&gets.len()), "{}", gets.len());
    let numbers: BTreeSet<&str> = gets.iter().map(|asked| asked.target().1).collect();
    assert_eq!(numbers.len(), gets.len(), "every number is another");
    assert!(
        gets.iter()
            .all(|asked| asked.fields.contains(&"x-kind: a".into()))
    );
    let lengths = |part: &[&Asked]| -> Vec<usize> {
        let mut lengths: Vec<usize> = part.iter().map(|asked| asked.content.len()).collect();
        lengths.sort_unstable();
        lengths
    };
    let (even, skewed) = (lengths(&even), lengths(&skewed));
    assert!(even[0] >= 100 && even[even.len() - 1] <= 200 && even[0] < even[even.len() - 1]);
    // Some 170 values: the median is known to 12 %.
    let median = skewed[skewed.len() / 2];
    assert!((600..1_700).contains(&median), "{median}");
    assert!(text.iter().all(|asked| asked.content == b"{\"a\": 1}"));
}

#[test]
fn a_mix_is_repeatable_by_its_seed() {
    const MIX: &str = "[[request]]\npath = \"/a/{n}\"\n[[request]]\nmethod = \"PUT\"\n\
                       path = \"/b/{n}\"\nbody.size = \"1..100000\"\n";
    let sent = |seed: &str, threads: &str| {
        let recorder = Recorder::start();
        let options = ["--rate", "300", "-d", "1s", "--seed", seed, "-t", threads];
        run_mix("repeat.toml", MIX, &recorder.url("/"), &options).assert_answered();
        let mut asked: Vec<(String, usize)> = recorder
            .asked()
            .into_iter()
            .map(|asked| (asked.line, asked.content.len()))
            .collect();
        asked.sort();
        asked
    };
    let first = sent("1", "1");
    assert_eq!(sent("1", "2"), first);
    assert_ne!(sent("2", "2"), first);
}

#[test]
fn entries_are_judged_by_their_own_expectations() {
    const MIX: &str = "[[request]]\nname = \"right\"\npath = \"/?status=404\"\n\
                       expect.status = 404\n[[request]]\nname = \"wrong\"\n\
                       path = \"/?size=10\"\nexpect.length = 11\n";
    let origin = Origin::start(&[]);
    let measured = run_mix(
        "judged.toml",
        MIX,
        &origin.url("/"),
        &["--rate", "200", "-d", "1s"],
    );
    assert_eq!(measured.code, 2);
    let (right, wrong) = (entry(&measured, "right"), entry(&measured, "wrong"));
    assert_eq!(
        (&right["failed"], &right["answered"]),
        (&Value::from(0), &right["due"])
    );
    assert_eq!(
        (&wrong["answered"], &wrong["errors"]["length"]),
        (&Value::from(0), &wrong["due"])
    );
    assert_eq!(wrong["response_time"]["count"], 0);
    let due = |entry: &Value| entry["due"].as_u64().expect("a count");
    assert_eq!(due(right) + due(wrong), 200);
}

#[test]
fn the_mix_of_the_repository_runs() {
    let origin = Origin::start(&["--threads", "1"]);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/mixes/shop.toml");
    let options = ["--mix", path, "--rate", "500", "-d", "2s"];
    let measured = run(&origin.url("/"), &options);
    measured.assert_answered();
    assert_eq!(
        entry(&measured, "order")["statuses"]["201"],
        entry(&measured, "order")["due"]
    );
    let closed = run(&origin.url("/"), &["--mix", path, "-d", "300ms", "-c", "4"]);
    closed.assert_answered();
}

#[test]
fn mistakes_are_errors_that_say_where() {
    let origin = Origin::start(&[]);
    let text = "[[request]]\nname = \"a\"\nweight = 0\n[[request]]\nbody.size = \"5XB\"\n";
    let measured = run_mix("mistakes.toml", text, &origin.url("/"), &[]);
    assert_eq!(measured.code, 1);
    for part in [
        "mistakes.toml: request 1 \"a\": weight = 0:",
        "request 2: body.size = \"5XB\":",
    ] {
        assert!(measured.complaint.contains(part), "{}", measured.complaint);
    }
}
