//! Configurations: the shipped ones run, wrong ones say everything that is wrong.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use crate::harness::{
    Client, Origin, Proxy, origin::echo_targets, ports, proxy, scratch::Scratch, wait,
};

/// Every `config/*.toml`, with its text.
fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("config/") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            files.push((name, fs::read_to_string(&path).expect("a configuration")));
        }
    }
    assert!(files.len() >= 3, "{files:?}");
    files
}

/// Those that serve plain requests without any preparation. `tls/mesh.rs`, `tls/workload.rs`,
/// `tls/passthrough.rs` and `tls/listener.rs` serve the others.
fn shipped_for_anybody() -> Vec<(String, String)> {
    let marks = [
        "\n[identity]\n",
        "\npassthrough = true\n",
        "\n[listeners.tls]\n",
    ];
    let is_special = |text: &str| marks.iter().any(|mark| text.contains(mark));
    let (special, plain): (Vec<_>, Vec<_>) = shipped()
        .into_iter()
        .partition(|(_, text)| is_special(text));
    let mut special: Vec<&str> = special.iter().map(|(name, _)| &**name).collect();
    special.sort_unstable();
    assert_eq!(
        special,
        [
            "passthrough.toml",
            "sidecar.toml",
            "spiffe.toml",
            "tls.toml"
        ],
        "serve the others in tls/"
    );
    plain
}

#[test]
fn every_shipped_configuration_passes_check() {
    for (name, text) in shipped_for_anybody() {
        let scratch = Scratch::new();
        let path = scratch.write(&name, &text);
        let output = proxy::output(proxy::weft().arg("check").arg("--config").arg(path));
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{name}: {out}{err}");
    }
}

/// The text with every address moved to a free one on loopback; old address to new.
fn moved(text: &str) -> (String, BTreeMap<String, SocketAddr>) {
    let mut addresses = BTreeMap::new();
    let mut out = String::new();
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.push('"');
        }
        // Unix sockets become TCP: their folders exist on the operator's machine only.
        let is_address = part.parse::<SocketAddr>().is_ok() || part.starts_with("unix:");
        if index % 2 == 1 && is_address {
            let address = addresses.entry(part.to_owned()).or_insert_with(ports::free);
            out.push_str(&address.to_string());
        } else {
            out.push_str(part);
        }
    }
    (out, addresses)
}

/// Addresses that stand after `address =` at the start of a line: listeners and admin.
fn listening(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("address = \""));
    lines.filter_map(|line| line.strip_suffix('"')).collect()
}

#[test]
fn every_shipped_configuration_starts_and_serves() {
    for (name, text) in shipped_for_anybody() {
        let (moved, addresses) = moved(&text);
        let listening = listening(&text);
        let origins: Vec<Origin> = addresses
            .iter()
            .filter(|(address, _)| !listening.contains(&address.as_str()))
            .map(|(_, &address)| Origin::start_at(address, echo_targets))
            .collect();
        let [admin, listeners @ ..] = &listening[..] else {
            panic!("{name} has no admin")
        };
        assert!(!listeners.is_empty(), "{name} has no listener");
        let (admin, first) = (addresses[*admin], addresses[listeners[0]]);
        let proxy = Proxy::start_with(&moved, first, admin);
        for host in ["a.example", "shop.example.com"] {
            for listener in listeners {
                // The key is the one that authentication.toml comes with.
                let key = "X-Api-Key: a-key-for-trying-this-only";
                let request = format!("GET /hello HTTP/1.1\r\nHost: {host}\r\n{key}\r\n\r\n");
                let status = Client::connect(addresses[*listener])
                    .exchange(request)
                    .status();
                assert!(
                    [200, 301, 302, 404, 421].contains(&status),
                    "{name}, {host}: {status}"
                );
            }
        }
        wait::for_(&format!("2xx answers of {name}"), || {
            proxy.metric("weft_listener_requests_total", "code_class=\"2xx\"") > 0.0
        });
        drop(origins);
    }
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "\
max_connections = 0
drain = \"10\"

[[listeners]]
name = \"web\"
adress = \"127.0.0.1:8080\"

[[listeners.virtual_hosts]]
hosts = [\"*\"]

[[listeners.virtual_hosts.routes]]
forward = \"ap\"

[[clusters]]
name = \"app\"
endpoints = [\"localhost\"]
";
    let scratch = Scratch::new();
    let path = scratch.write("wrong.toml", text);
    for arguments in [&["check", "--config"][..], &["--config"]] {
        let output = proxy::output(proxy::weft().args(arguments).arg(&path));
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {err}");
        for part in [
            "wrong.toml:1: max_connections = 0",
            "drain = \"10\"",
            "adress",
            "`address`",
            "listeners[0].virtual_hosts[0].routes[0].forward",
            "clusters[0].endpoints[0] = \"localhost\"",
        ] {
            assert!(err.contains(part), "{part} is not in:\n{err}");
        }
    }
}

#[test]
fn a_file_that_is_none() {
    let scratch = Scratch::new();
    let missing = scratch.file("missing.toml");
    let broken = scratch.write("broken.toml", "[[listeners\n");
    for path in [missing, broken] {
        let output = proxy::output(proxy::weft().arg("check").arg("--config").arg(&path));
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains(&*path.to_string_lossy()), "{err}");
    }
}

#[test]
fn an_address_in_use_stops_the_start_with_a_sentence() {
    let taken = ports::free();
    let _holder = std::net::TcpListener::bind(taken).expect("bound");
    let admin = ports::free();
    let text = crate::harness::Setup::to(ports::free()).render(taken, admin);
    let scratch = Scratch::new();
    let path = scratch.write("weft.toml", &text);
    let output = proxy::output(proxy::weft().arg("--config").arg(path));
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains(&taken.to_string()), "{err}");
    assert!(err.contains("FIX  Stop what listens there"), "{err}");
}

#[test]
fn an_address_that_cannot_be_had_is_told_with_what_helps() {
    for (address, fix) in [
        // RFC 5737: nobody has it.
        ("192.0.2.1:8080", "Take an address of this machine"),
        ("unix:/missing/folder/weft.sock", "Make that folder"),
    ] {
        let (free, admin) = (ports::free().to_string(), ports::free().to_string());
        for (listener, admin) in [(address, &*admin), (&*free, address)] {
            let text = format!(
                "admin = {{ address = \"{admin}\" }}\n[[listeners]]\nname = \"web\"\n\
                 address = \"{listener}\"\nvirtual_hosts = [{{ hosts = [\"*\"], \
                 routes = [{{ direct_response = {{ status = 204 }} }}] }}]\n"
            );
            let scratch = Scratch::new();
            let path = scratch.write("weft.toml", &text);
            let output = proxy::output(proxy::weft().arg("--config").arg(path));
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{text}: {err}");
            assert!(err.contains(&format!("FIX  {fix}")), "{text}: {err}");
        }
    }
}

#[test]
fn the_command_line_teaches() {
    let help = proxy::output(proxy::weft().arg("--help"));
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(
        help.status.success() && text.contains("check") && text.contains("doctor"),
        "{text}"
    );
    assert!(
        proxy::output(proxy::weft().arg("--version"))
            .status
            .success()
    );
    let wrong = proxy::output(proxy::weft().arg("--confg"));
    assert_eq!(wrong.status.code(), Some(2));
    let doctor = proxy::output(proxy::weft().arg("doctor"));
    let text = String::from_utf8_lossy(&doctor.stdout);
    assert!(
        doctor.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&doctor.stderr)
    );
}
