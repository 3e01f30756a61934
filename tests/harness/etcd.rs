//! etcd as a process: started, killed, stopped, restarted with its data or without.
//!
//! The one of the machine (Debian's `etcd-server`), on loopback, with its data in a scratch folder.
//! What a test asks of it goes over its JSON gateway.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Client, ports, running::Running, scratch::Scratch, wait};

const PROGRAM: &str = "/usr/bin/etcd";

/// A member that runs, or did.
pub(crate) struct Etcd {
    name: String,
    clients: SocketAddr,
    peers: SocketAddr,
    cluster: String,
    scheme: &'static str,
    more: Vec<String>,
    scratch: Scratch,
    child: Option<Running>,
}

impl Etcd {
    /// Starts an etcd of one member.
    pub(crate) fn start() -> Self {
        Self::start_with("http", &[])
    }

    /// Starts an etcd of one member that serves `scheme`, with more arguments.
    pub(crate) fn start_with(scheme: &'static str, more: &[String]) -> Self {
        let mut one = Self::prepare("one", scheme, more);
        one.cluster = one.peer();
        one.launch();
        one.ready();
        one
    }

    /// Starts an etcd of three members.
    pub(crate) fn three() -> [Self; 3] {
        let mut members = ["one", "two", "three"].map(|name| Self::prepare(name, "http", &[]));
        let peers: Vec<String> = members.iter().map(Self::peer).collect();
        let cluster = peers.join(",");
        for member in &mut members {
            member.cluster.clone_from(&cluster);
            member.launch();
        }
        members.iter().for_each(Self::ready);
        members
    }

    fn prepare(name: &str, scheme: &'static str, more: &[String]) -> Self {
        Self {
            name: name.into(),
            clients: ports::free(),
            peers: ports::free(),
            cluster: String::new(),
            scheme,
            more: more.to_vec(),
            scratch: Scratch::new(),
            child: None,
        }
    }

    fn peer(&self) -> String {
        format!("{}=http://{}", self.name, self.peers)
    }

    /// Starts it, and does not wait for it.
    pub(crate) fn launch(&mut self) {
        let (scheme, peers) = (self.scheme, format!("http://{}", self.peers));
        let clients = format!("{scheme}://{}", self.clients);
        let log = fs::File::create(self.scratch.file("log")).expect("a log file");
        let mut command = Command::new(PROGRAM);
        command
            .arg("--name")
            .arg(&self.name)
            .arg("--data-dir")
            .arg(self.scratch.file("data"))
            .args([
                "--listen-client-urls",
                &clients,
                "--advertise-client-urls",
                &clients,
            ])
            .args([
                "--listen-peer-urls",
                &peers,
                "--initial-advertise-peer-urls",
                &peers,
            ])
            .args(["--initial-cluster", &self.cluster])
            .args(["--logger", "zap", "--log-level", "error"])
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(Running::start(&mut command));
    }

    fn ready(&self) {
        wait::for_("etcd to serve", || {
            if self.scheme == "https" {
                // Who may ask it is what the test is about.
                return TcpStream::connect(self.clients).is_ok();
            }
            Client::try_connect(self.clients).is_ok_and(|mut client| {
                client.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
                let health = client.try_response_to("GET");
                health.is_ok_and(|health| health.text().contains("true"))
            })
        });
    }

    /// Where it serves clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.clients
    }

    /// The same as a URL in quotes.
    pub(crate) fn url(&self) -> String {
        format!("\"{}://{}\"", self.scheme, self.clients)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("sent");
    }

    /// Kills it with -9.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.take().expect("it runs").wait().expect("ended");
    }

    /// Starts it again, with the data that it had.
    pub(crate) fn restart(&mut self) {
        self.launch();
        self.ready();
    }

    /// Forgets its data; it does not run.
    pub(crate) fn wipe(&self) {
        fs::remove_dir_all(self.scratch.file("data")).expect("removed");
    }

    /// Asks its gateway; the answer must be 200.
    pub(crate) fn ask(&self, path: &str, question: &Value) -> Value {
        self.ask_as("", path, question)
    }

    /// The same with a token.
    pub(crate) fn ask_as(&self, token: &str, path: &str, question: &Value) -> Value {
        let body = question.to_string();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !token.is_empty() {
            write!(head, "Authorization: {token}\r\n").expect("text");
        }
        let answer = Client::connect(self.clients).exchange(format!("{head}\r\n{body}"));
        assert_eq!(answer.status(), 200, "{path} {body}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Gives a key a value.
    pub(crate) fn put(&self, key: &str, value: &str) {
        let question = json!({"key": base64(key), "value": base64(value)});
        self.ask("/v3/kv/put", &question);
    }

    /// Deletes a key.
    pub(crate) fn delete(&self, key: &str) {
        self.ask("/v3/kv/deleterange", &json!({"key": base64(key)}));
    }

    /// The lease of a key, if the key is there.
    pub(crate) fn lease(&self, key: &str) -> Option<String> {
        let found = self.ask("/v3/kv/range", &json!({"key": base64(key)}));
        let lease = found["kvs"][0]["lease"].as_str();
        lease.map(str::to_owned)
    }

    /// Forgets what was before now.
    pub(crate) fn compact(&self) {
        let now = self.ask("/v3/kv/range", &json!({"key": base64("x")}));
        let revision = &now["header"]["revision"];
        let question = json!({"revision": revision, "physical": true});
        self.ask("/v3/kv/compaction", &question);
    }

    /// What it wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.file("log")).unwrap_or_default()
    }
}

/// RFC 4648 §4.
pub(crate) fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}
