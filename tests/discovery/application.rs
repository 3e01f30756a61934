//! `weft register`: an application that is registered for as long as it runs.

use std::{
    fs,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::Registry;
use crate::harness::{ports, proxy, running::Running, wait};

/// A small application: it answers with files, and ends with 7 on SIGTERM.
const APPLICATION: &str = "\
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
place = (\"127.0.0.1\", int(sys.argv[1]))
http.server.HTTPServer(place, http.server.SimpleHTTPRequestHandler).serve_forever()
";

#[test]
fn an_application_is_registered_while_it_runs_and_its_exit_code_is_passed_on() {
    let mut registry = Registry::start();
    let address = ports::free();
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
    let mut child = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let serves = |registry: &Registry| registry.proxy.get("/application.py").status() == 200;
    wait::for_("the application's requests", || serves(&registry));
    let listed = registry.ask("GET", "orders", "").text();
    assert!(listed.contains("\"locality\":\"zone-1\""), "{listed}");

    // A proxy that was restarted without its journal hears of it again.
    registry.proxy.terminate();
    registry.proxy.wait();
    fs::remove_dir_all(registry.proxy.file("registry")).expect("removed");
    registry.restart();
    wait::for_("the next registration", || serves(&registry));

    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id"), Signal::TERM).expect("sent");
    let status = wait::until("its end", || child.try_wait().expect("a status"));
    assert_eq!(status.code(), Some(7));
    let listed = registry.ask("GET", "orders", "").text();
    assert!(listed.contains("\"instances\":[]"), "{listed}");
}
