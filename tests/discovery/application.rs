//! `weft register`: an application that is registered for as long as it runs.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::Registry;
use crate::harness::{ports, proxy, running::Running, wait};

/// A small application: it answers with files, and ends with 7 on SIGTERM and 8 on SIGQUIT.
const APPLICATION: &str = "\
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
signal.signal(signal.SIGQUIT, lambda *_: os._exit(8))
place = (\"127.0.0.1\", int(sys.argv[1]))
http.server.HTTPServer(place, http.server.SimpleHTTPRequestHandler).serve_forever()
";

/// The application, registered as an instance of `orders`.
fn launch(registry: &Registry, address: SocketAddr) -> Running {
    let program = registry.proxy.file("application.py");
    fs::write(&program, APPLICATION).expect("written");
    let mut command: Command = proxy::weft();
    command.args([
        "register",
        "--service",
        "orders",
        "--locality",
        "zone-1",
        "--ttl",
        "3s",
        "--drain",
        "1s",
    ]);
    command.arg(format!("--address={address}"));
    command.arg(format!("--check=http://{address}/application.py"));
    command.arg(format!("--admin={}", registry.proxy.admin_address()));
    command
        .arg("--token-file")
        .arg(registry.proxy.file("token"));
    command
        .args(["--", "python3"])
        .arg(&program)
        .arg(address.port().to_string());
    command.current_dir(registry.proxy.file(""));
    let child = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait::for_("the application's requests", || serves(registry));
    child
}

fn serves(registry: &Registry) -> bool {
    registry.proxy.get("/application.py").status() == 200
}

/// Sends it a signal, and gives its exit code.
fn end(mut child: Running, signal: Signal) -> Option<i32> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id"), signal).expect("sent");
    wait::until("its end", || child.try_wait().expect("a status")).code()
}

#[test]
fn an_application_is_registered_while_it_runs_and_its_exit_code_is_passed_on() {
    let mut registry = Registry::start();
    let child = launch(&registry, ports::free());
    let listed = registry.ask("GET", "orders", "").text();
    assert!(listed.contains("\"locality\":\"zone-1\""), "{listed}");

    // A proxy that was restarted without its journal hears of it again.
    registry.proxy.terminate();
    registry.proxy.wait();
    fs::remove_dir_all(registry.proxy.file("registry")).expect("removed");
    registry.restart();
    wait::for_("the next registration", || serves(&registry));

    assert_eq!(end(child, Signal::TERM), Some(7));
    let listed = registry.ask("GET", "orders", "").text();
    assert!(listed.contains("\"instances\":[]"), "{listed}");
}

#[test]
fn an_application_goes_on_with_the_next_token_and_leaves_before_it_is_told_to_quit() {
    let registry = Registry::start();
    let child = launch(&registry, ports::free());
    fs::write(registry.proxy.file("next"), "another-token-of-the-tests").expect("written");
    fs::rename(registry.proxy.file("next"), registry.proxy.file("token")).expect("renamed");
    wait::for_("the end of the old token", || {
        registry
            .ask("POST", "orders/instances/nobody/renew", "")
            .status()
            == 401
    });
    let renewals = || {
        let label = "change=\"renewed\"";
        registry.proxy.metric("weft_registry_changes_total", label)
    };
    let before = renewals();
    wait::for_("renewals with the new one", || renewals() > before + 3.0);
    assert!(serves(&registry));
    assert_eq!(end(child, Signal::QUIT), Some(8));
    let listed = registry.ask("GET", "orders", "").text();
    assert!(listed.contains("\"instances\":[]"), "{listed}");
}
