//! Peers that others wrote: nginx and OpenSSL's test endpoint, on free ports of the loopback.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{pause, scratch};

/// A running peer; ended when it goes out of scope.
pub(crate) struct Peer {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A loopback address that nobody listens on at the moment.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// nginx, with these lines in its `server` block; `options` follow its address (`ssl`).
pub(crate) fn nginx(name: &str, options: &str, lines: &str) -> Peer {
    let address = free();
    let folder = scratch(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    // Workers run as nobody when started as root, and could not read the keys.
    let is_root = rustix::process::getuid().is_root();
    let user = if is_root { "user root;" } else { "" };
    let config = format!(
        "{user} daemon off; worker_processes 1; pid nginx.pid; error_log error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy;\n\
         fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         server {{ listen {address} {options}; {lines} }} }}\n"
    );
    std::fs::write(folder.join("nginx.conf"), config).expect("a file");
    // Debian keeps it off the path of ordinary users.
    let installed = Path::new("/usr/sbin/nginx");
    let program = if installed.exists() {
        installed
    } else {
        Path::new("nginx")
    };
    let mut command = Command::new(program);
    command.args(["-e", "error.log", "-c", "nginx.conf", "-p"]);
    start(command.arg(&folder), address)
}

/// `openssl s_server`, which answers every request with a page about the connection.
pub(crate) fn openssl(options: &[&str]) -> Peer {
    let address = free();
    let mut command = Command::new("openssl");
    let listen = [
        "s_server",
        "-www",
        "-quiet",
        "-accept",
        &address.to_string(),
    ]
    .map(String::from);
    start(command.args(listen).args(options), address)
}

fn start(command: &mut Command, address: SocketAddr) -> Peer {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("a peer that tests/run installs");
    let mut peer = Peer { child, address };
    for _ in 0..2_000 {
        if TcpStream::connect(address).is_ok() {
            return peer;
        }
        let ended = peer.child.try_wait().expect("a child's status");
        assert!(ended.is_none(), "{command:?} ended at its start");
        pause(Duration::from_millis(10));
    }
    panic!("{command:?} does not listen");
}

impl Drop for Peer {
    fn drop(&mut self) {
        // nginx's workers end with their master only when it may tell them.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
