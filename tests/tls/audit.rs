//! What testssl.sh, an auditor's tool, says of the default listener.
//!
//! It waits more than it works: four of it at once take 40 s, of which 8 s of a processor each.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::harness::{
    Origin, Proxy, Setup, certificates::Authority, running::Running, scratch::Scratch, wait,
};

/// What is looked at, by its options: versions and the order of suites; categories of suites;
/// what the listener and its certificate say, forward secrecy; all vulnerabilities that it knows.
const CHECKS: [&[&str]; 4] = [
    &["--protocols", "--server-preference"],
    &["--std"],
    &["--server-defaults", "--fs"],
    &["--vulnerable"],
];

/// What is worth no more than a note.
const HARMLESS: [&str; 3] = ["OK", "INFO", "LOW"];

/// Findings about the place where it runs.
const NOT_OURS: [&str; 3] = [
    // The library that it asks with lacks what Russian suites need.
    "engine_problem",
    // It ends its first connection before the ticket is there; tls/listener.rs resumes sessions.
    "sessionresumption_ticket",
    // No query leaves this machine, so it does not know what its resolver would say.
    "DNS_CAArecord",
];

/// Starts testssl.sh on the listener of `proxy`; it writes what it found into `file`.
fn start(proxy: &Proxy, authority: &Authority, file: &str, options: &[&str]) -> Running {
    let mut command = Command::new("testssl");
    command
        .args(["--quiet", "--color", "0", "--warnings", "batch"])
        .args(["--nodns", "none", "--ip", "127.0.0.1", "--add-ca"])
        .arg(authority.ca())
        .args(["--jsonfile", file])
        .args(options)
        .arg(format!("localhost:{}", proxy.address().port()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Running::start(&mut command)
}

#[test]
fn an_auditor_finds_nothing_above_low_on_the_default_listener() {
    let authority = Authority::new();
    let scratch = Scratch::new();
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let certificate = authority.issue_revocable("localhost", "DNS:localhost");
    let lines = format!("tls.certificates = [{}]", certificate.toml());
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(&lines));
    let started = CHECKS.iter().enumerate().map(|(place, options)| {
        let file = scratch.file(&format!("{place}.json"));
        let name = file.display().to_string();
        (start(&proxy, &authority, &name, options), file)
    });
    let started: Vec<_> = started.collect();
    let mut findings = Vec::new();
    for (mut auditor, file) in started {
        wait::long("testssl.sh to end", || {
            auditor.try_wait().expect("its status").is_some()
        });
        let text = fs::read_to_string(&file).expect("what it found");
        let found: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        findings.extend(found);
    }
    let field = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let grave: Vec<&Value> = findings
        .iter()
        .filter(|finding| !HARMLESS.contains(&&*field(finding, "severity")))
        .filter(|finding| !NOT_OURS.contains(&&*field(finding, "id")))
        .collect();
    assert!(grave.is_empty(), "{grave:#?}");
    // It has really looked: at versions, suites, certificate, secrecy, vulnerabilities.
    for (id, expected) in [
        ("TLS1_3", "offered"),
        ("SSLv3", "not offered"),
        ("cipherlist_NULL", "not offered"),
        ("cert_trust", "Ok"),
        // Called PFS before 3.2.
        ("FS", "offered"),
        ("ROBOT", "not vulnerable"),
        ("heartbleed", "not vulnerable"),
    ] {
        let is_it = |finding: &&Value| {
            let found = field(finding, "id");
            found.strip_prefix('P').unwrap_or(&found) == id || found == id
        };
        let finding = findings.iter().find(is_it);
        let text = finding.map(|finding| field(finding, "finding"));
        let says = text.as_ref().is_some_and(|text| text.contains(expected));
        assert!(says, "{id}: {text:?}, expected {expected}");
    }
}
