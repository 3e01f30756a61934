//! haproxy as a client of the proxy, and as an origin, that others wrote.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use super::{ports, running::Running, scratch::Scratch, wait};

/// A running haproxy.
pub(crate) struct Haproxy {
    child: Running,
    address: SocketAddr,
    _scratch: Scratch,
}

impl Haproxy {
    /// Answers every request with `text`.
    pub(crate) fn returning(text: &str) -> Self {
        Self::start(&format!(
            "http-request return status 200 content-type text/plain string \"{text}\""
        ))
    }

    /// Forwards everything, and reuses its connections as much as it can.
    pub(crate) fn forwarding(to: SocketAddr) -> Self {
        Self::start(&format!("http-reuse always\n    server s {to}"))
    }

    fn start(lines: &str) -> Self {
        let address = ports::free();
        let scratch = Scratch::new();
        let config = scratch.write(
            "haproxy.cfg",
            &format!(
                "defaults\n    mode http\n    timeout connect 10s\n    timeout client 60s\n    \
                 timeout server 60s\nlisten l\n    bind {address}\n    {lines}\n"
            ),
        );
        let program = Path::new("/usr/sbin/haproxy");
        let program = if program.exists() {
            program
        } else {
            Path::new("haproxy")
        };
        let mut command = Command::new(program);
        command
            .args(["-db", "-q", "-f"])
            .arg(config)
            .stdin(Stdio::null());
        let child = Running::start(&mut command);
        let mut haproxy = Self {
            child,
            address,
            _scratch: scratch,
        };
        wait::for_("haproxy to listen", || {
            let ended = haproxy.child.try_wait().expect("a child's status");
            assert!(ended.is_none(), "haproxy ended at its start");
            TcpStream::connect(address).is_ok()
        });
        haproxy
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}
