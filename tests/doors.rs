//! One address, one process: who comes second is told so, and who comes next finds its place.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Stdio},
};

use crate::harness::{
    Client, Origin, Proxy, Setup, ports,
    proxy::{output, weft},
    scratch::Scratch,
    wait,
};

/// What a start says that fails.
fn refused(config: &str) -> String {
    let scratch = Scratch::new();
    let file = scratch.write("weft.toml", config);
    let ended = output(weft().arg("--config").arg(file));
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    told
}

fn any(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], address.port()))
}

#[test]
fn a_second_process_is_refused_and_the_first_keeps_every_connection() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2);
    let proxy = Proxy::start(&setup);
    for taken in [proxy.address(), any(proxy.address())] {
        let told = refused(&setup.render(taken, ports::free()));
        let expected = format!("Listener main cannot listen on {taken}: Address already in use");
        assert!(told.contains(&expected), "{told}");
        assert!(told.contains("\n  FIX  Stop what listens there"), "{told}");
    }
    for turn in 0..20 {
        let path = format!("/{turn}");
        assert_eq!(proxy.get(&path).text(), path);
    }
    proxy.expect_count("weft_listener_connections_accepted_total", "", 20);
}

#[test]
fn of_processes_that_start_at_the_same_moment_one_serves() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2);
    for _ in 0..5 {
        let scratch = Scratch::new();
        let address = ports::free();
        let mut all: Vec<Child> = (0..4)
            .map(|number| {
                let name = format!("{number}.toml");
                let file = scratch.write(&name, &setup.render(address, ports::free()));
                let mut command = weft();
                command.arg("--config").arg(file).stderr(Stdio::null());
                command.spawn().expect("it starts")
            })
            .collect();
        wait::for_("all but one to give up", || {
            let ended = |child: &mut Child| child.try_wait().expect("its status").is_some();
            all.iter_mut()
                .filter_map(|child| ended(child).then_some(()))
                .count()
                == 3
        });
        wait::for_("the last one to serve", || {
            Client::try_connect(address).is_ok_and(|mut client| client.get("/").status() == 200)
        });
        for child in &mut all {
            let _ended_already = child.kill();
            child.wait().expect("its end");
        }
    }
}

#[test]
fn a_process_that_was_killed_is_replaced_at_once() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2);
    let (address, admin) = (ports::free(), ports::free());
    let config = setup.render(address, admin);
    for _ in 0..5 {
        let proxy = Proxy::start_with(&config, address, admin);
        let mut open = proxy.connect();
        assert_eq!(open.get("/").status(), 200);
        // Dropped: killed, and waited for as a supervisor does.
    }
}

#[test]
fn a_process_takes_over_from_one_that_drains() {
    let origin = Origin::holding_slow();
    let setup = Setup::to(origin.address()).shards(2);
    let mut before = Proxy::start(&setup);
    let mut client = before.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request at the origin", || origin.requests().len() == 1);
    before.terminate();
    let admin = ports::free();
    let config = setup.render(before.address(), admin);
    let after = Proxy::start_with(&config, before.address(), admin);
    let _released = origin.release();
    assert_eq!(client.response().text(), "done");
    assert_eq!(before.wait().code(), Some(0));
    assert_eq!(after.admin("/readyz").status(), 200);
}

#[test]
fn a_unix_socket_is_taken_from_nobody_who_listens() {
    let origin = Origin::echoing_targets();
    let scratch = Scratch::short();
    let path = scratch.file("weft.sock");
    let (tcp, admin) = (ports::free(), ports::free());
    let config = Setup::to(origin.address()).render(tcp, admin);
    let place = format!("unix:{}", path.display());
    let config = config.replace(&tcp.to_string(), &place);
    let expected = format!("Listener main cannot listen on {place}: Address already in use");
    {
        let _proxy = Proxy::start_with(&config, tcp, admin);
        let second = config.replace(&admin.to_string(), &ports::free().to_string());
        assert!(refused(&second).contains(&expected));
        UnixStream::connect(&path).expect("the first one still listens");
    }
    // Killed, and its file still there: it is replaced.
    let proxy = Proxy::start_with(&config, tcp, admin);
    UnixStream::connect(&path).expect("the next one listens");
    drop(proxy);
    // Somebody who listens and accepts nothing, until the queue is full.
    std::fs::remove_file(&path).expect("removed");
    let listener = UnixListener::bind(&path).expect("bound");
    rustix::net::listen(&listener, 0).expect("a short queue");
    let _waiting = UnixStream::connect(&path).expect("the only place");
    assert!(refused(&config).contains(&expected));
    assert!(path.exists());
}

/// A configuration with a listener at each of these.
fn with_listeners(setup: &Setup, addresses: &[SocketAddr], admin: SocketAddr) -> String {
    let more = addresses
        .iter()
        .enumerate()
        .skip(1)
        .map(|(number, address)| {
            format!(
                "\n[[listeners]]\nname = \"more-{number}\"\naddress = \"{address}\"\n\
             [[listeners.virtual_hosts]]\nname = \"more\"\nhosts = [\"*\"]\n\
             [[listeners.virtual_hosts.routes]]\nname = \"more\"\nforward = \"origin\"\n"
            )
        });
    setup.render(addresses[0], admin) + &more.collect::<String>()
}

#[test]
fn both_families_and_a_wildcard_beside_an_address_are_listeners_of_their_own() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2);
    let (one, admin) = (ports::free(), ports::free());
    let mut addresses = vec![any(one), one];
    if TcpListener::bind("[::1]:0").is_ok() {
        addresses.push(format!("[::]:{}", one.port()).parse().expect("an address"));
    }
    for _ in 0..2 {
        let config = with_listeners(&setup, &addresses, admin);
        let proxy = Proxy::start_with(&config, one, admin);
        for address in &addresses {
            let reached = match address.is_ipv6() {
                true => format!("[::1]:{}", one.port()).parse().expect("an address"),
                false => one,
            };
            assert_eq!(Client::connect(reached).get("/").status(), 200, "{address}");
        }
        drop(proxy);
        addresses.reverse();
    }
}
