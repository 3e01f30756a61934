//! The proxies: how each is configured and started.
//!
//! A configuration is made from its template in `bench/failures/` by putting in the ports and a
//! folder, which is removed with the process.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bench::process::{free_port, local, wait_for};

use super::fault::PATIENCE;

/// A proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Weft,
    Envoy,
    Haproxy,
    Nginx,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] = [Self::Weft, Self::Envoy, Self::Haproxy, Self::Nginx];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Weft => "weft",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == word)
    }

    fn template(self) -> (&'static str, &'static str) {
        match self {
            Self::Weft => ("weft.toml", include_str!("../../../failures/weft.toml")),
            Self::Envoy => ("envoy.yaml", include_str!("../../../failures/envoy.yaml")),
            Self::Haproxy => ("haproxy.cfg", include_str!("../../../failures/haproxy.cfg")),
            Self::Nginx => ("nginx.conf", include_str!("../../../failures/nginx.conf")),
        }
    }

    fn arguments(self, file: &Path, scratch: &Path) -> Vec<String> {
        let (file, scratch) = (file.display().to_string(), scratch.display().to_string());
        let words: &[&str] = match self {
            Self::Weft => &["--config", &file, "--log", "error"],
            Self::Envoy => &[
                "--config-path",
                &file,
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "off",
            ],
            Self::Haproxy => &["-db", "-q", "-f", &file],
            Self::Nginx => &["-e", "stderr", "-p", &scratch, "-c", &file],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// The version that a program says it is.
    pub(crate) fn version(self, program: &Path) -> String {
        let flag = match self {
            Self::Weft | Self::Envoy => "--version",
            Self::Haproxy | Self::Nginx => "-v",
        };
        let said = Command::new(program).arg(flag).output();
        let said = said.map_or_else(|_| Vec::new(), |said| [said.stdout, said.stderr].concat());
        let said = String::from_utf8_lossy(&said);
        let words = said.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let mut versions = words.filter(|word| word.matches('.').count() == 2);
        versions.next().unwrap_or("of unknown version").to_owned()
    }

    /// Starts it in front of the origins at these ports.
    pub(crate) fn start(self, program: &Path, origins: [u16; 3]) -> Result<Proxy, String> {
        let port = free_port()?;
        let folder = format!("weft-failures-{}-{port}", std::process::id());
        let scratch = std::env::temp_dir().join(folder);
        fs::create_dir_all(&scratch).map_err(|error| error.to_string())?;
        let (name, text) = self.template();
        let text = text
            .replace("@port@", &port.to_string())
            .replace("@scratch@", &scratch.display().to_string())
            .replace("@a@", &origins[0].to_string())
            .replace("@b@", &origins[1].to_string())
            .replace("@c@", &origins[2].to_string());
        let file = scratch.join(name);
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(self.arguments(&file, &scratch));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let proxy = Proxy {
            child,
            port,
            scratch,
        };
        wait_for(local(port), PATIENCE).map_err(|error| format!("{}: {error}", self.name()))?;
        Ok(proxy)
    }
}

/// A running proxy; killed when it drops.
pub(crate) struct Proxy {
    child: Child,
    port: u16,
    scratch: PathBuf,
}

impl Proxy {
    pub(crate) fn address(&self) -> SocketAddr {
        local(self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok();
        if let Some(pid) = id.and_then(rustix::process::Pid::from_raw) {
            // nginx's master ends its worker only when it is asked to end itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.scratch);
    }
}
