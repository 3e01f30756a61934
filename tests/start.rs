//! The first minute: `weft` without a file, what it says, and how it ends.
//!
//! The embedded default has fixed ports, so everything about it is one test.

use std::{io::Read as _, net::TcpListener, os::fd::AsRawFd as _, process::Command};

use rustix::process::Signal;

use crate::harness::{
    Origin, Proxy, Setup, ports,
    proxy::{loadgen, output, weft},
    scratch::Scratch,
    wait,
};

#[test]
fn the_embedded_default_serves_says_what_to_try_and_ends_on_ctrl_c() {
    let (address, admin) = ("127.0.0.1:8080", "127.0.0.1:9901");
    for port in [address, admin] {
        let free = TcpListener::bind(port).is_ok();
        assert!(
            free,
            "{port}, a port of the embedded default, is in use on this machine"
        );
    }
    let parse = |text: &str| text.parse().expect("an address");
    let mut proxy = Proxy::spawn(weft(), Scratch::new(), parse(address), parse(admin));
    let response = proxy.get("/hello?from=me");
    assert_eq!(response.status(), 200);
    assert!(response.text().contains("/hello"), "{}", response.text());
    let said = proxy.stdout();
    for part in [
        "curl -i http://127.0.0.1:8080/",
        "http://127.0.0.1:9901/stats",
        "Ctrl-C",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let url = "http://127.0.0.1:8080/hello";
    let load = output(loadgen().args(["run", url, "--duration", "1s", "--connections", "8"]));
    assert!(
        matches!(load.status.code(), Some(0 | 3)),
        "{}",
        String::from_utf8_lossy(&load.stdout)
    );
    assert!(
        proxy
            .admin("/histograms?format=hgrm")
            .text()
            .contains("#[Max")
    );
    proxy.signal(Signal::INT);
    assert_eq!(proxy.wait().code(), Some(0), "{}", proxy.stderr());
}

#[test]
fn an_event_log_that_nobody_reads_holds_nothing_up() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).top("watch = false");
    let (address, admin, scratch) = (ports::free(), ports::free(), Scratch::new());
    let config = scratch.write("weft.toml", &setup.render(address, admin));
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = weft();
    command.arg("--config").arg(config);
    // As long as somebody holds the other end, it is full and not closed.
    let through = format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd());
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2> \"$0\"", &through]);
    shell.arg(command.get_program()).args(command.get_args());
    let mut proxy = Proxy::spawn(shell, scratch, address, admin);
    // More than a pipe holds, 64 KiB.
    let wrong: String = (0..200)
        .map(|number| format!("unknown_{number} = 1\n"))
        .collect();
    let wrong = wrong + &setup.render(address, admin);
    std::fs::write(proxy.file("weft.toml"), wrong).expect("written");
    let looked_at = || proxy.metric("weft_config_reloads_total", "");
    for turn in 1..=5 {
        proxy.signal(Signal::HUP);
        wait::for_("the signal to be answered", || {
            looked_at() == f64::from(turn)
        });
    }
    assert_eq!(proxy.get("/").status(), 200);
    let mut told = [0; 32 << 10];
    reader.read_exact(&mut told).expect("what was told first");
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(
        told.contains("Started.") && told.contains("unknown_7"),
        "{told}"
    );
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    drop(writer);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("the rest");
    assert!(
        rest.contains("lines are missing") && rest.contains("suppressed="),
        "{rest}"
    );
    assert!(rest.contains("Stopped."), "{rest}");
}
