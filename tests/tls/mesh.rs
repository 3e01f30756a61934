//! Sidecars that know each other by identity: the shipped configuration, `weft identity`, and what
//! keeps out whoever is somebody else.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

use super::{HANDSHAKES, ONLY_STATUS, curl, status};
use crate::harness::{
    Client, Proxy, certificates::Authority, certificates::Certificate, ports, proxy,
    scratch::Scratch, wait,
};

const FAILURES: &str = "weft_listener_failures_total";

/// Runs `weft identity` with these words.
fn identity(words: &[&str]) -> Output {
    proxy::output(proxy::weft().arg("identity").args(words))
}

fn expect(output: &Output) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
}

/// The authority of a trust domain.
struct Domain {
    scratch: Scratch,
    name: &'static str,
}

impl Domain {
    fn new(name: &'static str) -> Self {
        let scratch = Scratch::new();
        let domain = Self { scratch, name };
        let place = domain.place();
        let words = ["init", "--trust-domain", name, "--authority", &place];
        expect(&identity(&words));
        domain
    }

    fn place(&self) -> String {
        self.scratch.file("authority").display().to_string()
    }

    /// Writes an identity into the folder `directory`.
    fn issue(&self, path: &str, directory: &Path) -> Certificate {
        let id = format!("spiffe://{}{path}", self.name);
        let directory = directory.display().to_string();
        let place = self.place();
        let words = [
            "issue",
            &id,
            "--authority",
            &place,
            "--directory",
            &directory,
        ];
        expect(&identity(&words));
        let svid = Path::new(&directory).join("svid.pem");
        Certificate {
            chain: svid.clone(),
            key: svid,
        }
    }
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

fn serve(mut stream: std::os::unix::net::UnixStream) {
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

/// A sidecar with the shipped configuration, moved to free ports of this machine.
struct Sidecar {
    proxy: Proxy,
    inbound: SocketAddr,
    outbound: SocketAddr,
}

impl Sidecar {
    /// The sidecar of `path` in `domain`; all services are reached at `services`.
    fn start(domain: &Domain, path: &str, services: SocketAddr) -> Self {
        let scratch = Scratch::short();
        domain.issue(path, &scratch.file("identity"));
        let socket = scratch.file("application.sock");
        application(&socket);
        let (inbound, outbound, admin) = (ports::free(), ports::free(), ports::free());
        let services = services.to_string();
        let config = shipped()
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

    /// What its application gets when it calls `host`.
    fn call(&self, host: &str) -> (u16, String) {
        let mut client = Client::connect(self.outbound);
        let response = client.exchange(format!("GET /hello HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        (response.status(), response.text())
    }
}

fn shipped() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/sidecar.toml");
    fs::read_to_string(path).expect("a configuration")
}

/// An address where nobody is.
fn nowhere() -> SocketAddr {
    ports::free()
}

#[test]
fn two_sidecars_with_the_shipped_configuration_prove_who_they_are_to_each_other() {
    let domain = Domain::new("example.org");
    let orders = Sidecar::start(&domain, "/orders", nowhere());
    let checkout = Sidecar::start(&domain, "/checkout", orders.inbound);
    for _ in 0..3 {
        let (status, caller) = checkout.call("orders.mesh");
        assert_eq!(status, 200);
        assert!(
            caller.ends_with("uri=spiffe://example.org/checkout"),
            "{caller}"
        );
    }
    // One handshake served them all.
    orders.proxy.expect_count(HANDSHAKES, "result=\"full\"", 1);
    // The one there is the service of orders and not that of users.
    assert_eq!(checkout.call("users.mesh").0, 503);
    checkout
        .proxy
        .expect_count(FAILURES, "failure=\"tls_failed\"", 1);
}

/// The certificate that an inbound listener shows, in PEM.
fn shown_at(inbound: SocketAddr) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &inbound.to_string()]);
    // The listener refuses whoever has no identity, but only after it has shown its own.
    certificate_in(&String::from_utf8_lossy(
        &proxy::output(&mut openssl).stdout,
    ))
}

/// The first certificate in a text.
fn certificate_in(text: &str) -> String {
    let begin = text.find("-----BEGIN CERTIFICATE-----").expect(text);
    let end = text.find("-----END CERTIFICATE-----").expect(text);
    text[begin..end].to_owned()
}

#[test]
fn an_identity_is_renewed_while_requests_flow() {
    let domain = Domain::new("example.org");
    let orders = Sidecar::start(&domain, "/orders", nowhere());
    let checkout = Sidecar::start(&domain, "/checkout", orders.inbound);
    let before = shown_at(orders.inbound);
    for (sidecar, path) in [(&orders, "/orders"), (&checkout, "/checkout")] {
        for _ in 0..3 {
            let generation = sidecar.proxy.metric("weft_config_generation", "");
            domain.issue(path, &sidecar.proxy.file("identity"));
            // A certificate is never seen without its key: none of these reloads is rejected.
            wait::for_("the renewed identity to be used", || {
                assert_eq!(checkout.call("orders.mesh").0, 200);
                sidecar.proxy.metric("weft_config_generation", "") > generation
            });
        }
        let rejected = sidecar
            .proxy
            .metric("weft_config_reloads_total", "rejected");
        assert!(rejected == 0.0, "{rejected}: {}", sidecar.proxy.stderr());
    }
    let file = fs::read_to_string(orders.proxy.file("identity/svid.pem")).expect("an identity");
    let after = shown_at(orders.inbound);
    assert_ne!(after, before);
    assert_eq!(after, certificate_in(&file));
    // Whoever was there before has lost nothing by it.
    for failure in [&orders, &checkout] {
        assert!(failure.proxy.metric(FAILURES, "") == 0.0);
    }
}

#[test]
fn nobody_without_an_identity_of_the_trust_domain_gets_in() {
    let (domain, others) = (Domain::new("example.org"), Domain::new("example.org"));
    let orders = Sidecar::start(&domain, "/orders", nowhere());
    // In clear text.
    let mut client = Client::connect(orders.inbound);
    assert_eq!(client.get("/").status(), 400);
    orders
        .proxy
        .expect_count(HANDSHAKES, "result=\"not_tls\"", 1);
    // In TLS, as nobody and as somebody that another authority vouches for.
    let unused = Authority::new();
    let get = |shown: Option<&Certificate>| {
        let shown: Vec<String> = shown.into_iter().flat_map(Certificate::curl).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let arguments = [
            &["--insecure"],
            &ONLY_STATUS[..],
            &shown,
            &["https://a.test/"],
        ]
        .concat();
        status(&curl(&unused, &orders.proxy, &arguments))
    };
    assert!(get(None).is_err());
    orders
        .proxy
        .expect_count(HANDSHAKES, "result=\"certificate_required\"", 1);
    let folder = Scratch::new();
    let stranger = others.issue("/checkout", &folder.file("stranger"));
    assert!(get(Some(&stranger)).is_err());
    let unknown = "result=\"certificate_unknown_issuer\"";
    orders.proxy.expect_count(HANDSHAKES, unknown, 1);
    // As a workload of the domain.
    let workload = domain.issue("/checkout", &folder.file("workload"));
    assert_eq!(get(Some(&workload)), Ok("200".into()));
    // A sidecar of another authority finds out before it has said anything.
    let foreign = Sidecar::start(&others, "/checkout", orders.inbound);
    assert_eq!(foreign.call("orders.mesh").0, 503);
    foreign
        .proxy
        .expect_count(FAILURES, "failure=\"tls_failed\"", 1);
}

#[test]
fn a_listener_may_name_the_identities_that_it_serves() {
    let domain = Domain::new("example.org");
    let scratch = Scratch::new();
    let own = domain.issue("/orders", &scratch.file("orders"));
    let origin = crate::harness::Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let setup = crate::harness::Setup::to(origin.address())
        .top(&format!(
            "identity = {{ directory = \"{}\" }}",
            own.chain.parent().expect("a folder").display()
        ))
        .listener(
            "tls = { client_identities = [\"spiffe://example.org/shop\", \
             \"spiffe://example.org/ns/web/*\"] }",
        );
    let proxy = Proxy::start(&setup);
    let unused = Authority::new();
    let mut refused = 0;
    for (path, expected) in [
        ("/shop", true),
        ("/ns/web/front", true),
        ("/shop/x", false),
        ("/ns/web", false),
        ("/other", false),
    ] {
        let shown = domain.issue(path, &scratch.file(&path.replace('/', "-")));
        let shown = shown.curl();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let arguments = [
            &["--insecure"],
            &ONLY_STATUS[..],
            &shown,
            &["https://a.test/"],
        ]
        .concat();
        let got = status(&curl(&unused, &proxy, &arguments));
        assert_eq!(got.is_ok(), expected, "{path}: {got:?}");
        refused += u32::from(!expected);
    }
    proxy.expect_count(HANDSHAKES, "result=\"certificate_name\"", refused);
}

#[test]
fn a_missing_identity_is_told_once_with_the_command_that_makes_it() {
    let scratch = Scratch::new();
    let path = scratch.write("sidecar.toml", &shipped());
    let check = |path: &PathBuf| {
        let mut command = proxy::weft();
        command.arg("check").arg("--config").arg(path);
        let output = proxy::output(command.current_dir(scratch.file("")));
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, err) = check(&path);
    assert_eq!(code, Some(1));
    for part in [
        "identity.directory = \"identity\": svid.pem cannot be opened",
        "identity.directory = \"identity\": bundle.pem cannot be opened",
        "weft identity issue /NAME --directory identity",
        "2 errors",
    ] {
        assert!(err.contains(part), "{part} is not in:\n{err}");
    }
    Domain::new("example.org").issue("/checkout", &scratch.file("identity"));
    assert_eq!(check(&path), (Some(0), String::new()));
}
