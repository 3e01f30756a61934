//! A configuration that takes long to read or to compile holds up nothing else. A pipe stands for a
//! disk that hangs: who reads it has begun, and goes on when the test says so.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::Command,
};

use rustix::{fs::OFlags, process::Signal};

use super::{generation, start, text};
use crate::harness::{Origin, Proxy, Setup, certificates::Authority, wait};

fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo runs").success());
}

/// The other end of a pipe, if somebody reads it.
fn read_by_somebody(path: &Path) -> Option<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag");
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(flags).open(path).ok()
}

/// In the middle of an attempt, everything else goes on.
fn expect_service(proxy: &Proxy) {
    assert_eq!(proxy.get("/").status(), 200);
    assert_eq!(proxy.admin("/readyz").status(), 200);
    assert_eq!(proxy.admin_json("/config_dump")["generation"], 1);
    assert_eq!(proxy.admin_json("/clusters")[0]["name"], "origin");
    assert_eq!(generation(proxy), 1);
}

#[test]
fn admin_and_service_go_on_while_a_configuration_is_read() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let file = proxy.file("weft.toml");
    fs::remove_file(&file).expect("removed");
    make_pipe(&file);
    proxy.signal(Signal::HUP);
    let mut pipe = wait::until("the file to be read", || read_by_somebody(&file));
    expect_service(&proxy);
    let next = text(&proxy, &setup.drain("21s"));
    pipe.write_all(next.as_bytes()).expect("written");
    drop(pipe);
    wait::for_("the next generation", || generation(&proxy) == 2);
    assert_eq!(proxy.admin_json("/config_dump")["config"]["drain"], "21s");
}

#[test]
fn admin_and_service_go_on_while_a_configuration_is_compiled() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let (authority, trusted) = (Authority::new(), proxy.file("trusted.pem"));
    make_pipe(&trusted);
    let tls = format!("tls = {{ ca = \"{}\" }}", trusted.display());
    let next = setup.cluster_with("secured", &["127.0.0.1:9".to_owned()], &tls);
    fs::write(proxy.file("weft.toml"), text(&proxy, &next)).expect("written");
    proxy.signal(Signal::HUP);
    let mut pipe = wait::until("the file to be read", || read_by_somebody(&trusted));
    expect_service(&proxy);
    let pem = fs::read(authority.ca()).expect("a certificate");
    pipe.write_all(&pem).expect("written");
    drop(pipe);
    wait::for_("the next generation", || {
        // It is read for each connector that is made of it.
        if let Some(mut pipe) = read_by_somebody(&trusted) {
            let _read_meanwhile = pipe.write_all(&pem);
        }
        generation(&proxy) == 2
    });
    assert_eq!(proxy.admin_json("/clusters")[1]["name"], "secured");
}
