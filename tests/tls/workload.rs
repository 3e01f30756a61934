//! Identities from a SPIFFE Workload API: the first, the next, and none.

use std::{net::SocketAddr, process::Command, thread};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    agent::{Agent, given},
    domain::Domain,
    sidecar::{Sidecar, nowhere, shipped, status_for},
};
use crate::harness::{
    Load, Origin, Proxy, Setup,
    certificates::{Authority, Certificate},
    ports, proxy,
    scratch::Scratch,
    wait,
};

const ANSWERS: &str = "weft_identity_answers_total";
const CONNECTED: &str = "weft_identity_source_connected";

/// What a proxy knows of its identity.
fn identity(proxy: &Proxy) -> Value {
    proxy.admin_json("/config_dump")["identity"].clone()
}

/// Waits until this many other identities were given and the last one is in use.
fn expect_accepted(proxy: &Proxy, count: u32) {
    proxy.expect_count(ANSWERS, "accepted", count);
    wait::for_("it to be used", || {
        proxy.metric("weft_identity_in_use", "") > 0.0
    });
}

#[test]
fn two_sidecars_get_their_identities_and_renew_them_under_load() {
    let domain = Domain::new("example.org");
    let mut of_orders = Agent::giving(&domain, "/orders");
    let mut of_checkout = Agent::giving(&domain, "/checkout");
    let orders = Sidecar::asking(&of_orders, nowhere());
    let checkout = Sidecar::asking(&of_checkout, orders.inbound);
    let (status, caller) = checkout.call("orders.mesh");
    assert_eq!(status, 200);
    assert!(
        caller.ends_with("uri=spiffe://example.org/checkout"),
        "{caller}"
    );
    assert_eq!(identity(&orders.proxy)["id"], "spiffe://example.org/orders");
    let expiry = orders
        .proxy
        .metric("weft_identity_expiry_timestamp_seconds", "");
    assert!(expiry > 1.7e9, "{expiry}");
    assert!(!orders.proxy.file("svid.pem").exists());
    let load = Load::start(
        checkout.outbound(),
        "GET /hello HTTP/1.1\r\nHost: orders.mesh\r\n\r\n",
    );
    for turn in 1..=3 {
        load.goes_on(20);
        for (agent, sidecar, path) in [
            (&mut of_orders, &orders, "/orders"),
            (&mut of_checkout, &checkout, "/checkout"),
        ] {
            let entry = agent.issue(&domain, path);
            agent.answer(&json!({ "svids": [entry] }));
            expect_accepted(&sidecar.proxy, turn);
            assert_eq!(sidecar.shown(), given(&entry));
            load.goes_on(20);
        }
    }
    load.end();
    for sidecar in [&orders, &checkout] {
        let rejected = sidecar.proxy.metric(ANSWERS, "rejected");
        assert_eq!(rejected, 0.0, "{}", sidecar.proxy.stderr());
        assert_eq!(
            sidecar.proxy.metric("weft_listener_failures_total", ""),
            0.0
        );
    }
}

#[test]
fn an_agent_that_is_killed_is_missed_by_nobody_and_found_again() {
    let domain = Domain::new("example.org");
    let mut agent = Agent::giving(&domain, "/orders");
    let orders = Sidecar::asking(&agent, nowhere());
    let proxy = &orders.proxy;
    proxy.expect_count(ANSWERS, "unchanged", 1);
    agent.kill();
    wait::for_("the loss to be noticed", || {
        proxy.metric(CONNECTED, "") == 0.0
            && proxy.metric("weft_identity_source_failures_total", "") > 1.0
    });
    let folder = Scratch::new();
    let client = domain.issue("/client", &folder.file("client"));
    assert_eq!(status_for(proxy, Some(&client)), Ok("200".into()));
    let error = identity(proxy)["error"].to_string();
    assert!(error.contains("cannot connect"), "{error}");
    let index = proxy.admin("/").text();
    assert!(
        index.contains("identity spiffe://example.org/orders until"),
        "{index}"
    );
    assert!(proxy.stderr().contains("The Workload API does not answer"));
    // It comes back, and has renewed the identity meanwhile.
    let entry = agent.issue(&domain, "/orders");
    agent.answer(&json!({ "svids": [entry] }));
    agent.run();
    expect_accepted(proxy, 1);
    assert_eq!(orders.shown(), given(&entry));
    assert_eq!(proxy.metric(CONNECTED, ""), 1.0);
    assert_eq!(identity(proxy)["error"], Value::Null);
}

#[test]
fn an_answer_that_cannot_be_used_changes_nothing() {
    let (domain, other) = (Domain::new("example.org"), Domain::new("other.org"));
    let mut agent = Agent::giving(&domain, "/orders");
    let orders = Sidecar::asking(&agent, nowhere());
    let proxy = &orders.proxy;
    let shown = orders.shown();
    let with = |mut entry: Value, key: &str, value: &Value| {
        entry[key] = value.clone();
        json!({ "svids": [entry] })
    };
    let (own, another) = (
        agent.issue(&domain, "/orders"),
        agent.issue(&domain, "/orders"),
    );
    let foreign = agent.issue(&other, "/orders");
    let junk = json!("junk");
    let wrong = [
        (json!({ "svids": [] }), "without an identity"),
        (
            json!({ "status": "PERMISSION_DENIED", "message": "no identity issued" }),
            "PermissionDenied: no identity issued",
        ),
        (
            with(own.clone(), "svid", &junk),
            "its certificate is not DER",
        ),
        (with(own.clone(), "bundle", &junk), "its bundle is not DER"),
        (
            with(own.clone(), "key", &another["svid"]),
            "its key is not that of the certificate",
        ),
        (
            with(own.clone(), "bundle", &foreign["bundle"]),
            "not from an authority of its bundle",
        ),
        (
            with(own.clone(), "id", &json!("spiffe://other.org/orders")),
            "is that of spiffe://example.org/orders",
        ),
        (
            with(own.clone(), "id", &json!("")),
            "an identity without `spiffe_id`",
        ),
        (
            json!({ "svids": [foreign] }),
            "is of another trust domain than example.org",
        ),
    ];
    for (answer, expected) in wrong {
        agent.answer(&answer);
        wait::for_(&format!("{expected} in {}", identity(proxy)), || {
            identity(proxy)["error"].to_string().contains(expected)
        });
        assert!(proxy.stderr().contains(expected));
        assert_eq!(orders.shown(), shown, "{expected}");
    }
    assert!(proxy.metric(ANSWERS, "rejected") >= 8.0);
    assert_eq!(proxy.metric(ANSWERS, "accepted"), 0.0);
    // The next one that can be used is.
    agent.answer(&json!({ "svids": [own] }));
    expect_accepted(proxy, 1);
    assert_eq!(orders.shown(), given(&own));
}

/// The configuration of a proxy that has an identity by these lines, and its addresses.
fn config(lines: &str) -> (String, SocketAddr, SocketAddr, Origin) {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let setup = Setup::to(origin.address())
        .top(&format!("identity = {{ {lines} }}"))
        .listener("tls = {}");
    let (address, admin) = (ports::free(), ports::free());
    (setup.render(address, admin), address, admin, origin)
}

/// What a proxy says that does not start.
fn refusal(lines: &str, socket: Option<&str>) -> String {
    let scratch = Scratch::new();
    let mut command = proxy::weft();
    command
        .arg("--config")
        .arg(scratch.write("weft.toml", &config(lines).0))
        .env_remove("SPIFFE_ENDPOINT_SOCKET");
    command.envs(socket.map(|socket| ("SPIFFE_ENDPOINT_SOCKET", socket)));
    let output = proxy::output(&mut command);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_an_identity_there_is_no_start() {
    let mut agent = Agent::new();
    let asks = format!("workload_api = \"unix://{}\"", agent.socket().display());
    let soon = format!("{asks}, start_timeout = \"1s\"");
    let nobody = refusal(&soon, None);
    assert!(
        nobody.contains("There is no identity to start with"),
        "{nobody}"
    );
    assert!(nobody.contains("cannot connect"), "{nobody}");
    agent.answer(&json!({ "status": "PERMISSION_DENIED", "message": "no identity issued" }));
    agent.run();
    let denied = refusal(&soon, None);
    assert!(
        denied.contains("PermissionDenied: no identity issued"),
        "{denied}"
    );
    // It asked as the standard demands, and more than once.
    assert_eq!([agent.line(), agent.line()], ["asked", "asked"]);
    // Workload Endpoint, appendix A: where asking again is of no use, nobody waits for long.
    agent.answer(&json!({ "status": "UNIMPLEMENTED" }));
    let useless = refusal(&format!("{asks}, start_timeout = \"1h\""), None);
    assert!(useless.contains("Unimplemented"), "{useless}");
    for (socket, expected) in [
        (None, "SPIFFE_ENDPOINT_SOCKET is not set"),
        (
            Some("agent.sock"),
            "SPIFFE_ENDPOINT_SOCKET is \"agent.sock\", which is no socket",
        ),
    ] {
        let unnamed = refusal("workload_api = \"environment\"", socket);
        assert!(unnamed.contains(expected), "{unnamed}");
    }
}

#[test]
fn a_start_waits_for_the_agent_and_finds_it_by_the_environment() {
    let (domain, others) = (Domain::new("example.org"), Domain::new("example.org"));
    let mut agent = Agent::new();
    let (first, mut second) = (agent.issue(&domain, "/a"), agent.issue(&domain, "/b"));
    second["hint"] = json!("internal");
    // A bundle of others that bears the name of our own domain is not our own.
    agent.answer(&json!({
        "svids": [first, second],
        "federated": { "spiffe://example.org": others.bundle(), "spiffe://y.org": others.bundle() },
    }));
    let (config, address, admin, _origin) =
        config("workload_api = \"environment\", hint = \"internal\"");
    let scratch = Scratch::new();
    let mut command = proxy::weft();
    command
        .arg("--config")
        .arg(scratch.write("weft.toml", &config))
        .env(
            "SPIFFE_ENDPOINT_SOCKET",
            format!("unix://{}", agent.socket().display()),
        );
    let (proxy, agent) = thread::scope(|scope| {
        let starting = scope.spawn(|| Proxy::spawn(command, scratch, address, admin));
        // It is there before the agent is, in most runs of this test.
        agent.run();
        (starting.join().expect("a start"), agent)
    });
    assert_eq!(identity(&proxy)["id"], "spiffe://example.org/b");
    assert_eq!(
        identity(&proxy)["federated_unused"],
        json!(["spiffe://y.org"])
    );
    let folder = Scratch::new();
    let (known, stranger) = (
        domain.issue("/x", &folder.file("x")),
        others.issue("/x", &folder.file("stranger")),
    );
    assert_eq!(status_for(&proxy, Some(&known)), Ok("200".into()));
    assert!(status_for(&proxy, Some(&stranger)).is_err());
    // What the agent says is revoked does not get in any more.
    let mut answer = json!({ "svids": [second] });
    answer["revoked"] = json!({ "authority": domain.authority(), "certificates": [known.chain] });
    agent.answer(&answer);
    expect_accepted(&proxy, 1);
    assert!(status_for(&proxy, Some(&known)).is_err());
    let other = domain.issue("/y", &folder.file("y"));
    assert_eq!(status_for(&proxy, Some(&other)), Ok("200".into()));
}

#[test]
fn an_identity_is_taken_also_while_the_configuration_is_broken() {
    let domain = Domain::new("example.org");
    let mut agent = Agent::giving(&domain, "/orders");
    let orders = Sidecar::asking(&agent, nowhere());
    let proxy = &orders.proxy;
    std::fs::write(proxy.file("weft.toml"), "half written").expect("written");
    proxy.expect_count("weft_config_reloads_total", "rejected", 1);
    let entry = agent.issue(&domain, "/orders");
    agent.answer(&json!({ "svids": [entry] }));
    expect_accepted(proxy, 1);
    assert_eq!(orders.shown(), given(&entry));
}

#[test]
fn the_end_of_an_identity_is_told() {
    let authority = Authority::new();
    let short = authority.issue_for_seconds("a", "URI:spiffe://example.org/a", 20);
    let Certificate { chain, key } = &short;
    let mut agent = Agent::new();
    let svid = json!({
        "id": "spiffe://example.org/a",
        "svid": chain,
        "key": key,
        "bundle": authority.ca(),
    });
    agent.answer(&json!({ "svids": [svid] }));
    agent.run();
    let (config, address, admin, _origin) = config(&format!(
        "workload_api = \"unix://{}\"",
        agent.socket().display()
    ));
    let proxy = Proxy::start_with(&config, address, admin);
    agent.kill();
    for expected in ["The identity ends soon", "The identity has ended"] {
        wait::for_(expected, || proxy.stderr().contains(expected));
    }
    assert_eq!(proxy.admin("/readyz").status(), 200);
}

#[test]
fn a_configuration_is_checked_and_explained_without_an_agent() {
    let scratch = Scratch::new();
    let file = scratch.write("spiffe.toml", &shipped("spiffe.toml"));
    let run = |command: &mut Command| {
        let output = proxy::output(command.arg("--config").arg(&file));
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{err}");
    };
    run(proxy::weft().arg("check"));
    let url = [
        "explain",
        "--method",
        "GET",
        "--url",
        "https://a.test:8443/",
    ];
    run(proxy::weft().args(url));
}

#[test]
fn signals_that_do_not_mean_the_end_do_not_end_a_start_that_waits() {
    let domain = Domain::new("example.org");
    let mut agent = Agent::new();
    agent.give(&domain, "/orders");
    let config = format!(
        "{}\n[identity]\nworkload_api = \"unix://{}\"\nstart_timeout = \"10m\"\n",
        "overload = { max_lag = \"off\" }",
        agent.socket().display()
    );
    let (address, admin) = (ports::free(), ports::free());
    let rest = Setup::new().cluster("origin", &[]).render(address, admin);
    let rest = rest.replace("overload = { max_lag = \"off\" }\n", "");
    let at = rest.find("[shards]").expect("the first table");
    let (keys, tables) = rest.split_at(at);
    let config = config.replacen('\n', &format!("\n{keys}"), 1) + tables;
    let mut proxy = Proxy::start_unready(&config, address, admin);
    wait::for_("the start to wait", || {
        proxy.stderr().contains("Waiting for an identity.")
    });
    proxy.signal(Signal::HUP);
    proxy.signal(Signal::USR1);
    agent.run();
    proxy.wait_until_ready();
    wait::for_("the signal to be answered", || {
        proxy.metric("weft_config_reloads_total", "result=\"unchanged\"") == 1.0
    });
}
