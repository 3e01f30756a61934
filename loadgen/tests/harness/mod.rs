//! Starts the built `loadgen` as origin and as generator, and reads what it says.
//!
//! An origin listens on a free port and says where; a run ends by itself or by a signal. Nothing is
//! left behind: an origin that goes out of scope is killed.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod authority;
pub(crate) mod http2;
pub(crate) mod log;
pub(crate) mod peer;
pub(crate) mod recorder;
pub(crate) mod witness;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn loadgen() -> Command {
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
}

/// A place for this test's files.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

/// Lets `time` pass: for stimuli that are a length of time, never to wait for something.
#[allow(
    clippy::disallowed_methods,
    reason = "the length of the pause is the stimulus"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A running origin.
pub(crate) struct Origin {
    child: Child,
    address: String,
}

impl Origin {
    /// Starts one with these options, on a free port unless they say where.
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = loadgen();
        command.arg("origin");
        if !options.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the origin starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line
            .trim_end()
            .strip_prefix("listening on ")
            .unwrap_or_default();
        assert!(!address.is_empty(), "{line:?}");
        Self {
            address: address.into(),
            child,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.parse().expect("an address")
    }

    /// The URL of `path` on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The URL of `path` on it, through TLS.
    pub(crate) fn secure_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("it runs");
    }

    /// Waits for its end: whether it ended well, and what it told of its work.
    pub(crate) fn wait(mut self) -> (bool, String) {
        let status = self.child.wait().expect("it ends");
        let mut told = String::new();
        let stderr = self.child.stderr.as_mut().expect("its errors are piped");
        stderr.read_to_string(&mut told).expect("text");
        (status.success(), told)
    }

    /// Drains it and waits.
    pub(crate) fn drain(self) -> (bool, String) {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A generator at work.
pub(crate) struct Run {
    child: Child,
}

impl Run {
    /// Starts one; its result will be JSON.
    pub(crate) fn start(url: &str, options: &[&str]) -> Self {
        let child = loadgen()
            .args(["run", url, "--json", "-"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the generator starts");
        Self { child }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("it runs");
    }

    /// Waits for its result.
    pub(crate) fn result(self) -> Measured {
        Measured::from(self.child.wait_with_output().expect("it ends"))
    }
}

/// Runs a generator to its end.
pub(crate) fn run(url: &str, options: &[&str]) -> Measured {
    Run::start(url, options).result()
}

/// Runs a command that reports in JSON to its end.
pub(crate) fn command(command: &[&str], options: &[&str]) -> Measured {
    let output = loadgen()
        .args(command)
        .args(["--json", "-"])
        .args(options)
        .output()
        .expect("the command starts");
    Measured::from(output)
}

/// What a command said, and how it ended.
pub(crate) struct Told {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its output.
    pub(crate) out: String,
    /// Its errors and notes.
    pub(crate) err: String,
}

/// Runs `loadgen hist` to its end.
pub(crate) fn hist(arguments: &[&str]) -> Told {
    let output = loadgen().arg("hist").args(arguments).output();
    let output = output.expect("it starts");
    Told {
        code: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// What a run has said.
pub(crate) struct Measured {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its errors.
    pub(crate) complaint: String,
    document: Value,
}

impl From<Output> for Measured {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            complaint: String::from_utf8(output.stderr).expect("text"),
            document: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        }
    }
}

impl Measured {
    /// All it said.
    pub(crate) fn text(&self) -> String {
        format!("{}{:#}", self.complaint, self.document)
    }

    /// The JSON it wrote.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// The field at `path`, `a/b/c`.
    pub(crate) fn get(&self, path: &str) -> &Value {
        let value = self.document.pointer(&format!("/{path}"));
        value.unwrap_or_else(|| panic!("no {path} in {}{:#}", self.complaint, self.document))
    }

    /// The whole number at `path`.
    pub(crate) fn count(&self, path: &str) -> u64 {
        self.get(path)
            .as_u64()
            .unwrap_or_else(|| panic!("{path} is not a whole number"))
    }

    /// The time at `path`, which is in nanoseconds.
    pub(crate) fn time(&self, path: &str) -> Duration {
        Duration::from_nanos(self.count(path))
    }

    /// The outcome must be that the target did all that was asked. Whether the generator had
    /// enough of a shared machine to be trusted with times is another question.
    pub(crate) fn assert_answered(&self) {
        assert!(
            matches!(self.code, 0 | 3),
            "{}{:#}",
            self.complaint,
            self.document
        );
        assert_eq!(self.count("requests/answered"), self.count("requests/due"));
        assert!(self.count("requests/answered") > 0);
    }
}
