//! A Workload API that says what a test wants it to, by grpcio.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::domain::Domain;
use crate::harness::{python, running::Running, scratch::Scratch};

/// The agent, and the identities that it has given.
pub(super) struct Agent {
    scratch: Scratch,
    running: Option<Running>,
    count: u32,
}

impl Agent {
    /// One that does not run yet.
    pub(super) fn new() -> Self {
        Self {
            scratch: Scratch::short(),
            running: None,
            count: 0,
        }
    }

    /// One that gives `path` of `domain`.
    pub(super) fn giving(domain: &Domain, path: &str) -> Self {
        let mut agent = Self::new();
        agent.give(domain, path);
        agent.run();
        agent
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.scratch.file("agent.sock")
    }

    /// Starts it, if it does not run.
    pub(super) fn run(&mut self) {
        let words = [self.socket(), self.scratch.file("answer.json")];
        let words = words.map(|path| path.display().to_string());
        let mut running = python::start("workload_api.py", &words.each_ref().map(|it| &**it));
        assert_eq!(running.line(), "ready");
        self.running = Some(running);
    }

    /// The next line that it prints: what it made of a call.
    pub(super) fn line(&mut self) -> String {
        self.running.as_mut().expect("a running agent").line()
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        self.running = None;
    }

    /// From now on this is what it answers, also on the streams that are open.
    pub(super) fn answer(&self, answer: &Value) {
        let fresh = self.scratch.write("answer.next", &answer.to_string());
        fs::rename(fresh, self.scratch.file("answer.json")).expect("renamed");
    }

    /// From now on it gives `path` of `domain`, with a new key.
    pub(super) fn give(&mut self, domain: &Domain, path: &str) {
        let svid = self.issue(domain, path);
        self.answer(&json!({ "svids": [svid] }));
    }

    /// An entry of an answer: `path` of `domain`, with a new key.
    pub(super) fn issue(&mut self, domain: &Domain, path: &str) -> Value {
        self.count += 1;
        let folder = self.scratch.file(&format!("given-{}", self.count));
        let svid = domain.issue(path, &folder).chain;
        json!({
            "id": format!("spiffe://{}{path}", domain.name()),
            "svid": svid,
            "bundle": folder.join("bundle.pem"),
        })
    }
}

/// The certificate that is in an entry of an answer, in PEM.
pub(super) fn given(entry: &Value) -> String {
    let path = Path::new(entry["svid"].as_str().expect("a path"));
    super::sidecar::certificate_in(&fs::read_to_string(path).expect("an identity"))
}
