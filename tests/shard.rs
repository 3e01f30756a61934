//! The frame: shards that sleep when idle, listeners of every kind, limits of the machine.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::harness::{Client, Origin, Proxy, Setup, ports, proxy, scratch::Scratch, wait};

/// How often a shard may wake in a second without any traffic.
const IDLE_WAKES_PER_SECOND: u64 = 20;

#[test]
fn idle_shards_sleep() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).shards(2));
    let mut clients: Vec<Client> = (0..20).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status(), 200);
    }
    let seconds = 3;
    let before = proxy.waits();
    wait::pass(Duration::from_secs(seconds));
    for ((name, before), (_, after)) in before.into_iter().zip(proxy.waits()) {
        let wakes = after.saturating_sub(before);
        let most = IDLE_WAKES_PER_SECOND * seconds;
        assert!(
            wakes <= most,
            "thread {name} woke {wakes} times in {seconds} s with nothing to do"
        );
    }
}

#[test]
fn listeners_on_a_port_of_the_kernels_choice() {
    let origin = Origin::echoing_targets();
    let admin = ports::free();
    let any = "127.0.0.1:0".parse().expect("an address");
    let text = Setup::to(origin.address()).shards(2).render(any, admin);
    let proxy = Proxy::start_with(&text, any, admin);
    let listeners = proxy.admin_json("/listeners");
    let address = listeners[0]["address"].as_str().expect("an address");
    let address = address.parse().expect("an address");
    assert_ne!(address, any, "the page says which port it became");
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/any").text(), "/any");
    }
    wait::for_("four connections on the same port of both shards", || {
        let listeners = proxy.admin_json("/listeners");
        listeners[0]["connections_active_by_shard"] == serde_json::json!([4, 4])
    });
}

/// Sends a GET over a Unix socket and gives back what came until the end.
fn get_over(path: &std::path::Path, host: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("connected");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn listeners_on_unix_sockets() {
    let origin = Origin::echoing_targets();
    let scratch = Scratch::short();
    let (tcp, admin) = (ports::free(), ports::free());
    let path = scratch.file("weft.sock");
    let text = Setup::to(origin.address()).render(tcp, admin);
    let text = text.replace(
        &format!("\"{tcp}\""),
        &format!("\"unix:{}\"", path.display()),
    );
    for _ in 0..2 {
        // The second start finds the file that the first one left or removed.
        let mut proxy = Proxy::start_with(&text, tcp, admin);
        let answer = get_over(&path, "a");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("/"),
            "{answer}"
        );
        proxy.terminate();
        assert_eq!(proxy.wait().code(), Some(0));
    }
}

#[test]
fn admin_on_a_unix_socket() {
    let scratch = Scratch::short();
    let path = scratch.file("admin.sock");
    let (address, admin) = (ports::free(), ports::free());
    let text = Setup::new().cluster("origin", &[]).render(address, admin);
    let text = text.replace(
        &format!("\"{admin}\""),
        &format!("\"unix:{}\"", path.display()),
    );
    let mut command = proxy::weft();
    command
        .arg("--config")
        .arg(scratch.write("weft.toml", &text));
    let _weft =
        crate::harness::running::Running::start(command.stderr(std::process::Stdio::null()));
    wait::for_("the admin socket", || UnixStream::connect(&path).is_ok());
    assert!(get_over(&path, "whatever").contains("/metrics"));
}

#[test]
fn out_of_descriptors_is_survived() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    assert_eq!(proxy.get("/before").status(), 200);
    proxy.limit_descriptors(proxy.descriptors() + 4);
    let crowd: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = proxy.connect();
            client.send("GET /crowd HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    let served = crowd
        .into_iter()
        .map(|mut client| client.try_response_to("GET"));
    // One after the other leaves, and makes room for the next.
    let served = served.filter(|response| response.as_ref().is_ok_and(|it| it.status() == 200));
    assert!(served.count() >= 1, "nobody was served");
    wait::for_("service as before", || {
        Client::try_connect(proxy.address()).is_ok_and(|mut client| {
            client.send("GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            client
                .try_response_to("GET")
                .is_ok_and(|response| response.text() == "/after")
        })
    });
}
