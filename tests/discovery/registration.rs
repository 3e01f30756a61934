//! The registration API over real sockets: life, bad input, restarts, and its description.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use super::{Registry, TOKEN, orders};
use crate::harness::{Client, Origin, Proxy, dice::Dice, ports, proxy, python, wait};

pub(super) fn at(address: SocketAddr) -> String {
    format!("{{\"address\": \"{address}\"}}")
}

/// An origin that answers with `name`.
pub(super) fn named(name: &str) -> Origin {
    let length = name.len();
    Origin::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
    ))
}

#[test]
fn an_instance_gets_requests_from_its_registration_to_its_drain() {
    let (a, b) = (named("a"), named("b"));
    let registry = Registry::start();
    let proxy = &registry.proxy;
    assert_eq!(proxy.get("/").status(), 503, "nobody is there yet");
    assert_eq!(registry.register("a", &at(a.address())).status(), 201);
    wait::for_("the first instance", || proxy.get("/").text() == "a");
    assert_eq!(registry.register("b", &at(b.address())).status(), 201);
    wait::for_("the second instance", || proxy.get("/").text() == "b");
    assert_eq!(
        registry
            .ask("POST", "orders/instances/a/drain", "")
            .status(),
        200
    );
    wait::for_("the drain", || {
        let page = proxy.admin_json("/clusters");
        page[0]["endpoints"].as_array().map(Vec::len) == Some(1)
    });
    for _ in 0..20 {
        assert_eq!(proxy.get("/").text(), "b");
    }
    let page = proxy.admin_json("/clusters");
    assert_eq!(page[0]["discovery"][0]["source"], "registry:orders");
    assert_eq!(page[0]["discovery"][0]["last_error"], Value::Null);
    assert_eq!(
        registry.ask("DELETE", "orders/instances/b", "").status(),
        204
    );
    wait::for_("the farewell", || proxy.get("/").status() == 503);
}

#[test]
fn a_reload_takes_over_what_was_discovered_since_the_last() {
    let a = named("a");
    let registry = Registry::start();
    registry.register("a", &at(a.address()));
    wait::for_("the instance", || registry.proxy.get("/").text() == "a");
    let before = a.connections();
    registry.proxy.signal(Signal::HUP);
    wait::for_("the reload", || {
        let told = registry.proxy.stderr();
        assert!(!told.contains("A new configuration is in effect"), "{told}");
        told.contains("The configuration is what it was.")
    });
    assert_eq!(registry.proxy.get("/").text(), "a");
    assert_eq!(a.connections(), before, "the same connection");
}

#[test]
fn a_request_in_flight_is_finished_by_an_instance_that_drains_and_leaves() {
    let origin = Origin::start(|peer| {
        if peer.request().is_some() {
            // Answers when another connection comes.
            peer.wait_for_connections(2);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        }
    });
    let registry = Registry::start();
    registry.register("a", &at(origin.address()));
    let mut client = registry.proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request", || origin.requests().len() == 1);
    for (method, verb) in [("POST", "/drain"), ("DELETE", "")] {
        let path = format!("orders/instances/a{verb}");
        assert!(registry.ask(method, &path, "").status() < 300);
    }
    wait::for_("nobody to be there", || {
        registry.proxy.get("/").status() == 503
    });
    let _release = Client::connect(origin.address());
    assert_eq!(client.response().text(), "done");
}

#[test]
fn a_lease_that_is_not_renewed_runs_out_and_one_that_is_goes_on() {
    let (a, b) = (named("a"), named("b"));
    let registry = Registry::start();
    let short =
        |origin: &Origin| format!("{{\"address\": \"{}\", \"ttl\": \"1s\"}}", origin.address());
    registry.register("a", &short(&a));
    registry.register("b", &short(&b));
    let is_there = |id: &str| {
        let found = registry.ask("GET", &format!("orders/instances/{id}"), "");
        found.status() == 200
    };
    wait::for_("the lease of b to run out", || {
        registry.ask("POST", "orders/instances/a/renew", "");
        !is_there("b")
    });
    assert!(is_there("a"), "it was renewed all the time");
    assert_eq!(
        registry
            .ask("POST", "orders/instances/b/renew", "")
            .status(),
        410
    );
}

#[test]
fn leases_that_nobody_could_renew_because_the_proxy_was_stopped_go_on() {
    let a = named("a");
    let registry = Registry::start();
    let body = format!("{{\"address\": \"{}\", \"ttl\": \"5s\"}}", a.address());
    assert_eq!(registry.register("a", &body).status(), 201);
    registry.proxy.signal(Signal::STOP);
    wait::pass(Duration::from_secs(7));
    registry.proxy.signal(Signal::CONT);
    wait::for_("the absence to be told", || {
        registry
            .proxy
            .stderr()
            .contains("could not run for a while")
    });
    let renewed = registry.ask("POST", "orders/instances/a/renew", "");
    assert_eq!(renewed.status(), 200, "{}", renewed.text());
    // Nobody renews it any more, though somebody could.
    wait::for_("its end", || {
        registry.ask("GET", "orders/instances/a", "").status() == 410
    });
}

#[test]
fn an_instance_with_a_check_waits_for_it_and_leaves_with_it() {
    let is_well = Arc::new(AtomicBool::new(false));
    let answer = Arc::clone(&is_well);
    let origin = Origin::start(move |peer| {
        while peer.request().is_some() {
            let status = if answer.load(Ordering::SeqCst) {
                200
            } else {
                503
            };
            peer.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let registry = Registry::start();
    let check = "{\"http\": \"/healthz\", \"interval\": \"1s\", \"timeout\": \"1s\"}";
    let body = format!(
        "{{\"address\": \"{}\", \"check\": {check}}}",
        origin.address()
    );
    assert_eq!(registry.register("a", &body).status(), 201);
    let state = || {
        let found = registry.ask("GET", "orders/instances/a", "");
        let document: Value = serde_json::from_slice(&found.body).expect("JSON");
        document["state"].as_str().map(str::to_owned)
    };
    assert_eq!(state().as_deref(), Some("pending"));
    assert_eq!(registry.proxy.get("/").status(), 503);
    is_well.store(true, Ordering::SeqCst);
    wait::for_("the check to pass", || {
        state().as_deref() == Some("serving")
    });
    wait::for_("its requests", || registry.proxy.get("/").status() == 200);
    is_well.store(false, Ordering::SeqCst);
    wait::for_("the check to fail", || {
        state().as_deref() == Some("failing")
    });
}

#[test]
fn the_api_is_as_it_is_described() {
    let (address, admin) = (ports::free(), ports::free());
    let settings = "registry = { path = \"registry\", token_file = \"token\", \
        max_instances = 3, max_rate = 40 }";
    let config = orders().top(settings).render(address, admin);
    let proxy = Proxy::start_with_file(&config, ("token", TOKEN), address, admin);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../engine/src/control/discovery/api/openapi.json");
    let kept = kept.display().to_string();
    let told = python::run(
        "openapi_registration.py",
        &[&admin.to_string(), TOKEN, &kept],
    );
    assert!(told.contains("answers as described"), "{told}");
    drop(proxy);
}

#[test]
fn what_was_answered_survives_a_kill_at_any_moment() {
    let mut dice = Dice::new(5);
    let mut registry = Registry::start();
    let mut known = BTreeSet::new();
    for round in 0..12 {
        // Changes go on while the process is killed; those that were answered must be there.
        let answered = Arc::new(Mutex::new(Vec::new()));
        let admin = registry.proxy.admin_address();
        let noting = Arc::clone(&answered);
        let changing = thread::spawn(move || {
            for turn in 0.. {
                let path = format!("/v1/services/s{}/instances/r{round}-{turn}", turn % 7);
                let body = at(SocketAddr::from(([127, 0, 0, 1], 9)));
                let Ok(mut client) = Client::try_connect(admin) else {
                    return;
                };
                client.send(format!(
                    "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                ));
                match client.try_response_to("PUT") {
                    Ok(response) if response.status() == 201 => {
                        noting.lock().expect("unpoisoned").push(path);
                    }
                    Ok(response) if response.status() == 429 => {}
                    Ok(response) => panic!("{path}: {}", response.text()),
                    Err(_) => return,
                }
            }
        });
        // Each waits for the disk, which others may have busy.
        wait::long("a few changes", || {
            answered.lock().expect("unpoisoned").len() > 3 || changing.is_finished()
        });
        wait::pass(Duration::from_millis(dice.below(60) as u64));
        registry.proxy.signal(Signal::KILL);
        registry.proxy.wait();
        changing.join().expect("no change was refused");
        known.extend(answered.lock().expect("unpoisoned").drain(..));
        registry.restart();
        for path in &known {
            let found = registry.proxy.admin(path);
            assert_eq!(
                found.status(),
                200,
                "{path} after kill {round}: {}",
                found.text()
            );
        }
        assert!(
            !registry.proxy.stderr().contains("damaged"),
            "a kill damages nothing"
        );
    }
    assert!(known.len() > 40, "{}", known.len());
}

#[test]
fn leases_go_on_after_a_restart_and_a_damaged_journal_is_set_aside() {
    let origin = named("a");
    let mut registry = Registry::start();
    let body = format!("{{\"address\": \"{}\", \"ttl\": \"1h\"}}", origin.address());
    registry.register("a", &body);
    registry.register("b", &body.replace("1h", "2h"));
    registry.proxy.terminate();
    assert!(registry.proxy.wait().success());
    registry.restart();
    assert_eq!(
        registry.proxy.get("/").text(),
        "a",
        "from the first request on"
    );
    let found = registry.ask("GET", "orders/instances/a", "").text();
    assert!(found.contains("\"expires_in\":\"59m"), "{found}");
    registry.proxy.terminate();
    registry.proxy.wait();

    let journal = registry.proxy.file("registry/registry.journal");
    let mut bytes = fs::read(&journal).expect("a journal");
    let second = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line");
    bytes[second + 15] ^= 1;
    fs::write(&journal, &bytes).expect("written");
    registry.restart();
    let log = registry.proxy.stderr();
    assert!(
        log.contains("journal was damaged. It was set aside"),
        "{log}"
    );
    assert!(log.contains("damaged_lines=1"), "{log}");
    let folder = fs::read_dir(registry.proxy.file("registry")).expect("a folder");
    let aside = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(aside.filter(|name| name.contains("damaged")).count(), 1);
    assert_eq!(registry.ask("GET", "orders/instances/b", "").status(), 200);
    assert_eq!(registry.ask("GET", "orders/instances/a", "").status(), 404);
}

#[test]
fn a_folder_that_another_proxy_uses_refuses_the_start() {
    let registry = Registry::start();
    let mut second = proxy::weft();
    let mut config = registry.config.clone();
    for taken in [registry.proxy.address(), registry.proxy.admin_address()] {
        config = config.replace(&taken.to_string(), &ports::free().to_string());
    }
    let path = registry.proxy.file("second.toml");
    fs::write(&path, config).expect("written");
    let folder = registry.proxy.file("");
    let command: &mut Command = second.arg("--config").arg(&path).current_dir(folder);
    let output = proxy::output(command);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("another process uses it"), "{told}");
}
