//! The proxy as a process: started, ready, asked, stopped.
//!
//! The binary is found beside the test executable, or through `WEFT_BIN`; it is built by
//! `tests/run`. A proxy that drops is killed; what it wrote is shown when the test failed.

use std::{
    env,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;

use super::{Client, Response, Setup, ports, scratch::Scratch, wait};

/// A running proxy.
pub(crate) struct Proxy {
    child: Child,
    scratch: Scratch,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Proxy {
    /// Starts a proxy and waits until it is ready.
    pub(crate) fn start(setup: &Setup) -> Self {
        let (address, admin) = (ports::free(), ports::free());
        Self::start_with(&setup.render(address, admin), address, admin)
    }

    /// Starts a proxy in front of one origin.
    pub(crate) fn to(origin: SocketAddr) -> Self {
        Self::start(&Setup::to(origin))
    }

    /// Starts a proxy with a configuration as text, which names these two addresses.
    pub(crate) fn start_with(config: &str, address: SocketAddr, admin: SocketAddr) -> Self {
        let scratch = Scratch::new();
        let mut command = weft();
        command
            .arg("--config")
            .arg(scratch.write("weft.toml", config));
        Self::spawn(command, scratch, address, admin)
    }

    /// Starts a proxy with a configuration as text and a file beside it.
    pub(crate) fn start_with_file(
        config: &str,
        (name, content): (&str, &str),
        address: SocketAddr,
        admin: SocketAddr,
    ) -> Self {
        let scratch = Scratch::new();
        scratch.write(name, content);
        let mut command = weft();
        command
            .arg("--config")
            .arg(scratch.write("weft.toml", config));
        Self::spawn(command, scratch, address, admin)
    }

    /// Starts it again in its folder, after it has ended.
    pub(crate) fn restart(&mut self) {
        // The kernel closes what a killed process had in its ring a moment after the process.
        for address in [self.address, self.admin] {
            wait::for_("its port", || TcpListener::bind(address).is_ok());
        }
        let mut command = weft();
        command.arg("--config").arg(self.scratch.file("weft.toml"));
        let scratch = std::mem::replace(&mut self.scratch, Scratch::new());
        let next = Self::spawn(command, scratch, self.address, self.admin);
        *self = next;
    }

    /// Starts what `command` says, in the scratch folder.
    pub(crate) fn spawn(
        command: Command,
        scratch: Scratch,
        address: SocketAddr,
        admin: SocketAddr,
    ) -> Self {
        let mut proxy = Self::launch(command, scratch, address, admin);
        proxy.wait_until_ready();
        proxy
    }

    /// Starts a proxy and does not wait until it is ready.
    pub(crate) fn start_unready(config: &str, address: SocketAddr, admin: SocketAddr) -> Self {
        let scratch = Scratch::new();
        let mut command = weft();
        command
            .arg("--config")
            .arg(scratch.write("weft.toml", config));
        Self::launch(command, scratch, address, admin)
    }

    fn launch(
        mut command: Command,
        scratch: Scratch,
        address: SocketAddr,
        admin: SocketAddr,
    ) -> Self {
        let log = File::create(scratch.file("stderr")).expect("a log file");
        let out = File::create(scratch.file("stdout")).expect("a log file");
        command.current_dir(scratch.file(""));
        command.stdin(Stdio::null()).stdout(out).stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            child,
            scratch,
            address,
            admin,
        }
    }

    /// Waits until it is ready.
    pub(crate) fn wait_until_ready(&mut self) {
        wait::for_("the proxy to be ready", || {
            if let Some(status) = self.child.try_wait().expect("a child's status") {
                panic!("the proxy ended at its start, {status}:\n{}", self.stderr());
            }
            self.is_ready()
        });
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its admin endpoint listens.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// GETs `path` on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.connect().get(path)
    }

    /// GETs `path` from the admin endpoint.
    pub(crate) fn admin(&self, path: &str) -> Response {
        Client::connect(self.admin)
            .exchange(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// GETs `path` from the admin endpoint and reads it as JSON.
    pub(crate) fn admin_json(&self, path: &str) -> Value {
        let response = self.admin(path);
        assert_eq!(response.status(), 200, "{path}: {}", response.text());
        serde_json::from_slice(&response.body)
            .unwrap_or_else(|error| panic!("{path}: {error} in {}", response.text()))
    }

    /// Sum of every sample of a Prometheus metric whose labels contain `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.admin("/metrics").text();
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (key, value) = line.rsplit_once(' ')?;
                let (found, rest) = key.split_once('{').unwrap_or((key, ""));
                (found == name && rest.contains(labels)).then(|| value.parse::<f64>().ok())?
            });
        samples.fold(0.0, |sum, value| sum + value)
    }

    /// Waits until that sum has reached `count`, and checks that it is no more.
    ///
    /// An exchange is recorded when it has ended, a moment after its client has the response.
    pub(crate) fn expect_count(&self, name: &str, labels: &str, count: u32) {
        let found = wait::until(&format!("{count} in {name}{{{labels}}}"), || {
            let found = self.metric(name, labels);
            (found >= f64::from(count)).then_some(found)
        });
        assert!(
            found <= f64::from(count),
            "{found} in {name}{{{labels}}}, expected {count}"
        );
    }

    /// What it wrote to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.scratch.file("stderr")).unwrap_or_default()
    }

    /// What it wrote to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.scratch.file("stdout")).unwrap_or_default()
    }

    /// A file in its folder, for logs and dumps.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.file(name)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the status of a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .map(str::trim);
        kib.and_then(|kib| kib.parse::<u64>().ok())
            .expect("VmRSS in kB")
            * 1024
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.id()));
        folder
            .expect("the descriptors of a running process")
            .count()
    }

    /// Sets how many descriptors it may open, while it runs.
    pub(crate) fn limit_descriptors(&self, count: usize) {
        // Its maximum is ours, and stays: who lowers it may not be allowed to raise it again.
        let limit = Rlimit {
            current: Some(count as u64),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("a child's limit");
    }

    /// How often each of its threads was put to sleep by waiting, by thread name.
    pub(crate) fn waits(&self) -> Vec<(String, u64)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("its threads");
        let waits = tasks.filter_map(|task| {
            let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
            let value = |key| status.lines().find_map(|line: &str| line.strip_prefix(key));
            let count = value("voluntary_ctxt_switches:")?.trim().parse().ok()?;
            Some((value("Name:")?.trim().to_owned(), count))
        });
        waits.collect()
    }

    /// The id of its first thread whose name begins so.
    pub(crate) fn thread(&self, name: &str) -> i32 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("its threads");
        let named = tasks.filter_map(Result::ok).filter(|task| {
            let found = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            found.starts_with(name)
        });
        let ids = named.filter_map(|task| task.file_name().to_str()?.parse().ok());
        ids.min()
            .unwrap_or_else(|| panic!("no thread is called {name}"))
    }

    /// Asks it to drain and stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a signal can be sent");
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        pid.expect("a process id")
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait::until("the proxy to end", || {
            self.child.try_wait().expect("a child's status")
        })
    }

    fn is_ready(&self) -> bool {
        Client::try_connect(self.admin).is_ok_and(|mut client| {
            client.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            client
                .try_response_to("GET")
                .is_ok_and(|response| response.status() == 200)
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let panicked = self.stderr().contains("panicked at");
        if thread::panicking() || panicked {
            eprintln!("-- the proxy wrote:\n{}{}--", self.stdout(), self.stderr());
        }
        assert!(
            thread::panicking() || !panicked,
            "the proxy panicked, whatever it answered"
        );
    }
}

/// A command that runs `weft`.
pub(crate) fn weft() -> Command {
    Command::new(binary("weft", "WEFT_BIN"))
}

/// A command that runs `loadgen`.
pub(crate) fn loadgen() -> Command {
    Command::new(binary("loadgen", "LOADGEN_BIN"))
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null());
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn binary(name: &str, variable: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    let own = env::current_exe().expect("the path of the test executable");
    let folder = own
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "no {}: build it first, as tests/run does",
        path.display()
    );
    path
}
