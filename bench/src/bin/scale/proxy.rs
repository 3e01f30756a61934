//! The proxy: its configuration, its process, and what the kernel says of it.
//!
//! In: how many services there are. Out: a running proxy with a route and a cluster for each, its
//! memory and CPU time, and how long it takes to reload and to start again.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::process::{free_port, local, wait_for};
use flume::{Receiver, unbounded};
use rustix::process::{Pid, Signal, kill_process};

use super::fleet::{Fleet, LISTENING_PATIENCE};
use super::http;

/// What allows changes of the registry.
pub(crate) const TOKEN: &str = "the-token-of-the-benchmark";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running proxy; ended, and its folder removed, when it drops.
pub(crate) struct Proxy {
    child: Child,
    lines: Receiver<String>,
    folder: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    services: usize,
    shards: usize,
}

/// CPU time that was used.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) control: Duration,
    pub(crate) all: Duration,
}

impl Proxy {
    pub(crate) fn start(weft: &Path, fleet: &Fleet, shards: usize) -> Result<Self, String> {
        let (address, admin) = (local(free_port()?), local(free_port()?));
        let name = format!("weft-scale-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let token = fs::write(folder.join("token"), TOKEN);
        token.map_err(|error| error.to_string())?;
        let services = fleet.services;
        write_config(&folder, (address, admin), services, shards, "5s")?;
        let (child, lines) = spawn(weft, &folder)?;
        let proxy = Self {
            child,
            lines,
            folder,
            address,
            admin,
            services,
            shards,
        };
        wait_for(admin, LISTENING_PATIENCE)?;
        Ok(proxy)
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: Option<u64> = kilobytes.and_then(|number| number.parse().ok());
        Ok(kilobytes.ok_or("no VmRSS")? << 10)
    }

    /// CPU time of its threads so far.
    pub(crate) fn used(&self) -> Result<Used, String> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut used = Used {
            control: Duration::ZERO,
            all: Duration::ZERO,
        };
        for task in fs::read_dir(tasks).map_err(|error| error.to_string())? {
            let path = task.map_err(|error| error.to_string())?.path();
            // A thread may have ended since it was listed.
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            let time = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            let nanos = time.split(' ').next().and_then(|word| word.parse().ok());
            let time = Duration::from_nanos(nanos.unwrap_or(0));
            used.all += time;
            if name.trim() == "weft-control" {
                used.control += time;
            }
        }
        Ok(used)
    }

    /// From SIGHUP to the new configuration, in which one cluster is another one.
    pub(crate) fn reload(&self) -> Result<Duration, String> {
        let (addresses, folder) = ((self.address, self.admin), &self.folder);
        write_config(folder, addresses, self.services, self.shards, "4s")?;
        let begin = Instant::now();
        self.signal(Signal::HUP);
        self.wait_for_line("A new configuration is in effect.")?;
        Ok(begin.elapsed())
    }

    /// From the start of the same proxy to its first answer.
    pub(crate) fn restart(&mut self, weft: &Path) -> Result<Duration, String> {
        self.signal(Signal::TERM);
        self.child.wait().map_err(|error| error.to_string())?;
        let begin = Instant::now();
        (self.child, self.lines) = spawn(weft, &self.folder)?;
        wait_for(self.address, LISTENING_PATIENCE)?;
        let request = "GET /s0 HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";
        let answer = http::ask(self.address, request)?;
        if answer.status != 200 {
            return Err(format!("the first answer was {}", answer.status));
        }
        Ok(begin.elapsed())
    }

    /// Does something while somebody reads `/clusters` all the time, five times a second at most.
    pub(crate) fn reading_clusters<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let read = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let request = "GET /clusters HTTP/1.1\r\nHost: localhost\r\n\r\n";
                    let answer = http::ask(self.admin, request)?;
                    if answer.status != 200 {
                        return Err(format!("/clusters: {}", answer.status));
                    }
                    thread::sleep(Duration::from_millis(200));
                }
                Ok(())
            });
            let done = act();
            is_over.store(true, Ordering::Relaxed);
            let read = read.join().map_err(|_| "the reader died".to_owned())?;
            read.and(done)
        })
    }

    fn wait_for_line(&self, text: &str) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        while let left = until.saturating_duration_since(Instant::now())
            && let Ok(line) = self.lines.recv_timeout(left)
        {
            if line.contains(text) {
                return Ok(());
            }
        }
        Err(format!("the proxy did not say: {text}"))
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok();
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // One that has ended needs no signal.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(weft: &Path, folder: &Path) -> Result<(Child, Receiver<String>), String> {
    let mut command = Command::new(weft);
    command.arg("--config").arg("weft.toml").current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{}: {error}", weft.display()))?;
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let (told, lines) = unbounded();
    thread::spawn(move || follow(stderr, |line| told.send(line).is_ok()));
    Ok((child, lines))
}

fn follow(stderr: ChildStderr, tell: impl Fn(String) -> bool) {
    let lines = BufReader::new(stderr).lines().map_while(Result::ok);
    for line in lines {
        // Nobody waits any more; the pipe is emptied all the same.
        let _ = tell(line);
    }
}

fn write_config(
    folder: &Path,
    (address, admin): (SocketAddr, SocketAddr),
    services: usize,
    shards: usize,
    connect_timeout: &str,
) -> Result<(), String> {
    let mut text = format!(
        "watch = false\ndrain = \"1s\"\nshards = {{ count = {shards} }}\n\
         admin = {{ address = \"{admin}\" }}\n\
         [registry]\npath = \"registry\"\ntoken_file = \"token\"\nmax_rate = 1000000\n\
         max_services = {}\nmax_instances = {}\n\
         [[listeners]]\nname = \"main\"\naddress = \"{address}\"\n\
         limits.requests_per_connection = \"unlimited\"\n\
         [[listeners.virtual_hosts]]\nname = \"all\"\nhosts = [\"*\"]\nroutes = [\n",
        services + 10,
        services * 100,
    );
    let mut line = |line: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{line}");
    };
    for service in 0..services {
        line(format!(
            "  {{ matches = [{{ path.prefix = \"/s{service}\" }}], forward = \"s{service}\" }},"
        ));
    }
    line("]".to_owned());
    for service in 0..services {
        let timeout = if service == 1 { connect_timeout } else { "5s" };
        line(format!(
            "[[clusters]]\nname = \"s{service}\"\nconnect_timeout = \"{timeout}\"\n\
             discovery = {{ registry = \"s{service}\" }}"
        ));
    }
    fs::write(folder.join("weft.toml"), text).map_err(|error| error.to_string())
}
