//! nginx as an origin that others wrote.
//!
//! Runs in the foreground, unprivileged paths only, on a free port; its folder is the test's.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{ports, scratch::Scratch, wait};

/// A running nginx.
pub(crate) struct Nginx {
    child: Child,
    address: SocketAddr,
    scratch: Scratch,
}

impl Nginx {
    /// Starts nginx with these lines in its `server` block, and waits until it listens.
    pub(crate) fn start(lines: &str) -> Self {
        Self::launch("", lines)
    }

    /// The same over TLS.
    pub(crate) fn start_tls(lines: &str) -> Self {
        Self::launch("ssl", lines)
    }

    fn launch(listening: &str, lines: &str) -> Self {
        let address = ports::free();
        let scratch = Scratch::new();
        let root = scratch.file("");
        let root = root.display();
        let config = format!(
            "daemon off; worker_processes 1; pid nginx.pid; error_log error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n access_log off; default_type text/plain;\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi; client_max_body_size 0;\n\
             keepalive_requests 1000000;\n\
             server {{ listen {address} {listening} backlog=4096; root {root}; {lines} }}\n}}\n"
        );
        // Workers run as nobody when started as root, and read the files of this folder.
        let user = if rustix::process::getuid().is_root() {
            "user root;\n"
        } else {
            ""
        };
        scratch.write("nginx.conf", &format!("{user}{config}"));
        let child = Command::new(program())
            .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
            .arg(scratch.file(""))
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let mut nginx = Self {
            child,
            address,
            scratch,
        };
        wait::for_("nginx to listen", || {
            let ended = nginx.child.try_wait().expect("a child's status");
            assert!(ended.is_none(), "nginx ended at its start, in {root}");
            TcpStream::connect(address).is_ok()
        });
        nginx
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder, which it serves.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The workers end with their master only when it may tell them.
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Debian installs it where only root's path leads.
fn program() -> &'static str {
    ["/usr/sbin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or("nginx")
}
