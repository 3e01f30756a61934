//! A sidecar with one of the shipped configurations, and the application behind it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::Command,
    thread,
};

use super::{HANDSHAKES, agent::Agent, domain::Domain, status};
use crate::harness::{
    Client, Proxy,
    certificates::Certificate,
    curl::{self, ONLY_STATUS},
    ports, proxy,
    scratch::Scratch,
};

/// A sidecar with a shipped configuration, moved to free ports of this machine.
pub(super) struct Sidecar {
    pub(super) proxy: Proxy,
    pub(super) inbound: SocketAddr,
    outbound: SocketAddr,
}

impl Sidecar {
    /// The sidecar of `path` in `domain`, with its identity in files; all services are reached at
    /// `services`.
    pub(super) fn start(domain: &Domain, path: &str, services: SocketAddr) -> Self {
        let scratch = Scratch::short();
        domain.issue(path, &scratch.file("identity"));
        Self::spawn(&shipped("sidecar.toml"), scratch, services)
    }

    /// The sidecar of whoever the agent says that it is.
    pub(super) fn asking(agent: &Agent, services: SocketAddr) -> Self {
        let config = shipped("spiffe.toml").replace(
            "unix:///run/spire/sockets/agent.sock",
            &format!("unix://{}", agent.socket().display()),
        );
        Self::spawn(&config, Scratch::short(), services)
    }

    fn spawn(config: &str, scratch: Scratch, services: SocketAddr) -> Self {
        let socket = scratch.file("application.sock");
        application(&socket);
        let (inbound, outbound, admin) = (ports::free(), ports::free(), ports::free());
        let services = services.to_string();
        let config = config
            .replace("0.0.0.0:8443", &inbound.to_string())
            .replace("127.0.0.1:8081", &outbound.to_string())
            .replace("127.0.0.1:9901", &admin.to_string())
            .replace("/run/application.sock", &socket.display().to_string())
            .replace(
                "\"10.0.0.11:8443\", \"10.0.0.12:8443\"",
                &format!("\"{services}\""),
            )
            .replace(
                "\"[fd00::21]:8443\", \"[fd00::22]:8443\"",
                &format!("\"{services}\""),
            );
        let mut command = proxy::weft();
        command
            .arg("--config")
            .arg(scratch.write("weft.toml", &config));
        let proxy = Proxy::spawn(command, scratch, inbound, admin);
        Self {
            proxy,
            inbound,
            outbound,
        }
    }

    /// Where its application reaches its services.
    pub(super) fn outbound(&self) -> SocketAddr {
        self.outbound
    }

    /// What its application gets when it calls `host`.
    pub(super) fn call(&self, host: &str) -> (u16, String) {
        let mut client = Client::connect(self.outbound);
        let response = client.exchange(format!("GET /hello HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        (response.status(), response.text())
    }

    /// The certificate that its inbound listener shows, in PEM.
    pub(super) fn shown(&self) -> String {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &self.inbound.to_string()]);
        // The listener refuses whoever has no identity, but only after it has shown its own.
        certificate_in(&String::from_utf8_lossy(
            &proxy::output(&mut openssl).stdout,
        ))
    }

    /// Handshakes with its inbound listener that came to `result`.
    pub(super) fn expect_handshakes(&self, result: &str, count: u32) {
        let labels = format!("result=\"{result}\"");
        self.proxy.expect_count(HANDSHAKES, &labels, count);
    }
}

/// The status that `proxy` answers curl with, which shows this and asks for no name of it.
pub(super) fn status_for(proxy: &Proxy, shown: Option<&Certificate>) -> Result<String, i32> {
    let shown: Vec<String> = shown.into_iter().flat_map(Certificate::curl).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let to = format!("::{}:{}", proxy.address().ip(), proxy.address().port());
    let reach = ["--insecure", "--connect-to", &to, "https://a.test/"];
    status(&curl::run(&[&ONLY_STATUS[..], &reach, &shown].concat()))
}

/// The first certificate in a text.
pub(super) fn certificate_in(text: &str) -> String {
    let begin = text.find("-----BEGIN CERTIFICATE-----").expect(text);
    let end = text.find("-----END CERTIFICATE-----").expect(text);
    text[begin..end].to_owned()
}

/// A configuration of the folder `config`.
pub(super) fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    fs::read_to_string(path.join(name)).expect("a configuration")
}

/// An address where nobody is.
pub(super) fn nowhere() -> SocketAddr {
    ports::free()
}

/// An application behind a Unix socket, which answers with who calls it.
fn application(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
}

fn serve(mut stream: UnixStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let callers = text
            .lines()
            .filter_map(|line| line.strip_prefix("x-forwarded-client-cert: "));
        let body = callers.collect::<Vec<_>>().join("|");
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        head.clear();
    }
}
