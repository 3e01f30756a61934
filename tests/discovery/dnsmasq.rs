//! A name server: dnsmasq.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Proxy, Setup, ports, running::Running, scratch::Scratch, wait};

/// Everything goes to what `discovery` finds.
pub(super) fn following(discovery: &str) -> Setup {
    let lines = format!("discovery = {discovery}");
    Setup::new()
        .route("all", "forward = \"found\"")
        .cluster_with("found", &[], &lines)
}

/// Lines by which a proxy asks the server at `address`.
pub(super) fn asking(address: SocketAddr) -> String {
    format!(
        "dns = {{ servers = [\"{address}\"], ttl_min = \"1s\", ttl_max = \"2s\", \
         timeout = \"500ms\" }}"
    )
}

/// A running dnsmasq that knows what stands in its file of hosts.
pub(super) struct Dnsmasq {
    pub(super) child: Running,
    pub(super) address: SocketAddr,
    pub(super) scratch: Scratch,
    pub(super) more: Vec<String>,
}

impl Dnsmasq {
    pub(super) fn start(hosts: &str, more: &[&str]) -> Self {
        Self::start_at(ports::free(), hosts, more)
    }

    pub(super) fn start_at(address: SocketAddr, hosts: &str, more: &[&str]) -> Self {
        let scratch = Scratch::new();
        scratch.write("hosts", hosts);
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        let child = Self::launch(address, &scratch, &more);
        Self {
            child,
            address,
            scratch,
            more,
        }
    }

    pub(super) fn launch(address: SocketAddr, scratch: &Scratch, more: &[String]) -> Running {
        let program = Path::new("/usr/sbin/dnsmasq");
        let mut command = Command::new(program);
        command.args([
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--conf-file=/dev/null",
        ]);
        command.args([
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            "--local-ttl=1",
        ]);
        command.args([
            "--user=",
            "--group=",
            "--pid-file=",
            "--domain-needed",
            "--local=/test/",
        ]);
        command.arg(format!("--port={}", address.port()));
        let hosts = scratch.file("hosts");
        command.arg(format!("--addn-hosts={}", hosts.display()));
        command
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = Running::start(&mut command);
        wait::for_("dnsmasq to listen", || UdpSocket::bind(address).is_err());
        child
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("sent");
    }

    /// Knows other hosts from now on.
    pub(super) fn set(&self, hosts: &str) {
        self.scratch.write("hosts", hosts);
        self.signal(Signal::HUP);
    }

    /// A proxy that asks it for `discovery`.
    pub(super) fn proxy(&self, discovery: &str) -> Proxy {
        let dns = asking(self.address);
        Proxy::start(&following(discovery).top(&dns))
    }
}
