//! Who takes part: the origin, the proxy before it, and who keeps the proxy from its processor.
//!
//! A proxy's configuration is made from its template in `bench/overload/`, in a folder that is
//! removed with the process. Everything has a processor of its own: the proxy with its neighbours
//! one, the origin with the load generator another.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bench::process::{free_port, local, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::load::fetch;

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// What cannot keep up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// The proxy.
    Shard,
    /// What is behind it.
    Upstream,
}

impl Case {
    pub(crate) const ALL: [Self; 2] = [Self::Shard, Self::Upstream];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shard => "shard",
            Self::Upstream => "upstream",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.name() == word)
    }

    /// The origin's delay, the requests that may be under way to it, and those that may wait.
    fn origin(self) -> (&'static str, u32, u32) {
        match self {
            Self::Shard => ("0ms", 1024, 100_000),
            Self::Upstream => ("20ms", 64, 1024),
        }
    }
}

/// A proxy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Weft,
    Nginx,
    Haproxy,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::Weft, Self::Nginx, Self::Haproxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Weft => "weft",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == word)
    }

    fn template(self) -> &'static str {
        match self {
            Self::Weft => include_str!("../../../overload/weft.toml"),
            Self::Nginx => include_str!("../../../overload/nginx.conf"),
            Self::Haproxy => include_str!("../../../overload/haproxy.cfg"),
        }
    }

    fn arguments(self, file: &str, scratch: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Weft => &["--config", file, "--log", "error"],
            Self::Nginx => &["-e", "stderr", "-p", scratch, "-c", file],
            Self::Haproxy => &["-db", "-q", "-f", file],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }
}

/// Failures that weft counts, by their names.
pub(crate) type Failures = BTreeMap<String, u64>;

/// A proxy and its origin; ended when it drops.
pub(crate) struct Stage {
    peer: Peer,
    children: Vec<Child>,
    port: u16,
    admin: u16,
    scratch: PathBuf,
}

impl Stage {
    pub(crate) fn start(
        (case, peer): (Case, Peer),
        (loadgen, load_cpu): (&Path, usize),
        (program, proxy_cpu): (&Path, usize),
    ) -> Result<Self, String> {
        let (port, admin, origin) = (free_port()?, free_port()?, free_port()?);
        let folder = format!("weft-overload-{}-{port}", std::process::id());
        let mut stage = Self {
            peer,
            children: Vec::new(),
            port,
            admin,
            scratch: std::env::temp_dir().join(folder),
        };
        fs::create_dir_all(&stage.scratch).map_err(|error| error.to_string())?;
        let (delay, limit, pending) = case.origin();
        let listen = format!("127.0.0.1:{origin}");
        let arguments = ["origin", "--listen", &listen, "--delay", delay];
        stage.spawn(loadgen, load_cpu, &arguments)?;
        wait_for(local(origin), PATIENCE)?;
        let scratch = stage.scratch.display().to_string();
        // A bound that is none: nginx and haproxy then have no queue before the origin.
        let limit = match (case, peer) {
            (Case::Shard, Peer::Nginx | Peer::Haproxy) => 0,
            _ => limit,
        };
        let text = peer
            .template()
            .replace("@port@", &port.to_string())
            .replace("@admin@", &admin.to_string())
            .replace("@origin@", &origin.to_string())
            .replace("@limit@", &limit.to_string())
            .replace("@pending@", &pending.to_string())
            .replace("@scratch@", &scratch);
        let file = stage.scratch.join("configuration");
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let arguments = peer.arguments(&file.display().to_string(), &scratch);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        stage.spawn(program, proxy_cpu, &arguments)?;
        wait_for(local(port), PATIENCE).map_err(|error| format!("{}: {error}", peer.name()))?;
        Ok(stage)
    }

    /// Starts a program on a processor: a child runs where its parent does.
    fn spawn(&mut self, program: &Path, cpu: usize, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        let spawn = move || {
            stay_on(cpu)?;
            command.spawn().map_err(|error| error.to_string())
        };
        let spawned = thread::spawn(spawn).join();
        let child = spawned.unwrap_or_else(|_| Err("a panic".to_owned()));
        let child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        self.children.push(child);
        Ok(())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        local(self.port)
    }

    /// The admin interface of one that has it.
    pub(crate) fn admin(&self) -> Option<SocketAddr> {
        let address = local(self.admin);
        (self.peer == Peer::Weft).then_some(address)
    }

    /// What weft counted until now.
    pub(crate) fn failures(&self) -> Failures {
        let page = self.admin().and_then(|admin| fetch(admin, "/metrics"));
        let page = page.unwrap_or_default();
        let lines = page.lines().filter_map(|line| {
            let line = line.strip_prefix("weft_listener_failures_total{")?;
            let (_, name) = line.split_once("failure=\"")?;
            let (name, _) = name.split_once('"')?;
            let (_, count) = line.rsplit_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        });
        lines.collect()
    }

    /// What it counted since.
    pub(crate) fn reasons(&self, before: &Failures) -> String {
        let mut reasons = String::new();
        for (name, count) in self.failures() {
            let since = count.saturating_sub(before.get(&name).copied().unwrap_or(0));
            if since > 0 {
                reasons.push_str(&format!(", {name} {since}"));
            }
        }
        reasons
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let id = i32::try_from(child.id()).ok();
            if let Some(pid) = id.and_then(Pid::from_raw) {
                // nginx's master ends its worker only when it is asked to end itself.
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Threads that are always busy, on one processor, until dropped.
pub(crate) struct Neighbours {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Neighbours {
    pub(crate) fn start(count: usize, cpu: usize) -> Result<Self, String> {
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..count {
            let over = Arc::clone(&over);
            let spin = move || {
                if stay_on(cpu).is_ok() {
                    while !over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                }
            };
            let thread = thread::Builder::new().name("neighbour".to_owned());
            threads.push(thread.spawn(spin).map_err(|error| error.to_string())?);
        }
        Ok(Self { over, threads })
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The calling thread, and what it starts, runs on this processor.
fn stay_on(cpu: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| format!("processor {cpu}: {error}"))
}
