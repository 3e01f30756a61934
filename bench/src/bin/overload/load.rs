//! The load, by `loadgen run`, and who asks meanwhile whether the proxy is alive.
//!
//! In: where the proxy is, and how many requests are offered. Out: what came of them, and how long
//! the health route and the admin interface took at most.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a client waits for an answer.
const PATIENCE: &str = "5s";
/// How long connections are made and queues grow, before anything counts.
const WARMUP: &str = "1s";
/// How long somebody who asks for health waits.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// How a proxy is loaded.
pub(crate) struct Load {
    pub(crate) loadgen: PathBuf,
    pub(crate) cpu: usize,
    pub(crate) to: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) connections: u32,
    pub(crate) time: Duration,
}

/// What came of it.
pub(crate) struct Run {
    /// Right answers per second.
    pub(crate) goodput: f64,
    pub(crate) due: u64,
    /// Requests with another answer, or none in time.
    pub(crate) refused: u64,
    /// Of right answers, from sending: median and 99th percentile.
    pub(crate) times: String,
    pub(crate) health: String,
    pub(crate) admin: String,
}

impl Load {
    /// As fast as the connections go.
    pub(crate) fn closed(&self) -> Result<Run, String> {
        self.run(&[])
    }

    /// As many a second, whatever becomes of them.
    pub(crate) fn open(&self, rate: f64, arrivals: &str) -> Result<Run, String> {
        let rate = format!("{}", rate.max(1.0).round());
        self.run(&["--rate", &rate, "--arrivals", arrivals])
    }

    fn run(&self, arguments: &[&str]) -> Result<Run, String> {
        let over = Arc::new(AtomicBool::new(false));
        let ask = |to: Option<SocketAddr>, path: &'static str| {
            let over = Arc::clone(&over);
            to.map(|to| thread::spawn(move || watch(to, path, &over)))
        };
        let (health, admin) = (ask(Some(self.to), "/healthz"), ask(self.admin, "/readyz"));
        let mut command = Command::new(&self.loadgen);
        command
            .args(["run", &format!("http://{}/", self.to), "--quiet"])
            .args(["--json", "-", "--timeout", PATIENCE, "--grace", PATIENCE])
            .args(["--cpus", &self.cpu.to_string(), "--warmup", WARMUP])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}ms", self.time.as_millis())])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let output = command.output().map_err(|error| error.to_string())?;
        over.store(true, Ordering::SeqCst);
        let told = |watch: Option<thread::JoinHandle<String>>| {
            watch.map_or_else(|| "-".to_owned(), |it| it.join().unwrap_or_default())
        };
        let (health, admin) = (told(health), told(admin));
        let result: Value =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("loadgen: {error}"))?;
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        let due = count(&result["requests"]["due"]);
        let right = count(&result["requests"]["answered"]);
        let open = count(&result["requests"]["waited_for_connection"]);
        let time = |percentile: &str| {
            let nanos = count(&result["service_time"]["percentiles_ns"][percentile]);
            Duration::from_nanos(nanos).as_millis()
        };
        Ok(Run {
            goodput: result["answers_per_second"].as_f64().unwrap_or(0.0),
            due: due.min(right + failed(&result) + open),
            refused: failed(&result),
            times: format!("{} / {}", time("50"), time("99")),
            health,
            admin,
        })
    }
}

/// Requests that were sent and got no right answer.
fn failed(result: &Value) -> u64 {
    let errors = result["errors"].as_object();
    let errors = errors.into_iter().flat_map(|errors| errors.values());
    errors.filter_map(Value::as_u64).sum()
}

/// Asks again and again until it is over; tells how it went.
fn watch(to: SocketAddr, path: &str, over: &AtomicBool) -> String {
    let (mut asked, mut silent, mut slowest) = (0_u32, 0_u32, Duration::ZERO);
    while !over.load(Ordering::SeqCst) {
        let begin = Instant::now();
        asked += 1;
        if ask(to, path).is_none() {
            silent += 1;
        }
        slowest = slowest.max(begin.elapsed());
        thread::sleep(Duration::from_millis(100).saturating_sub(begin.elapsed()));
    }
    format!("{asked} / {silent}, {} ms", slowest.as_millis())
}

fn ask(to: SocketAddr, path: &str) -> Option<()> {
    let mut stream = TcpStream::connect_timeout(&to, HEALTH_PATIENCE).ok()?;
    stream.set_read_timeout(Some(HEALTH_PATIENCE)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    answer.ends_with(b" 200").then_some(())
}

/// The page at `path`, as text.
pub(crate) fn fetch(from: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&from, HEALTH_PATIENCE).ok()?;
    stream.set_read_timeout(Some(HEALTH_PATIENCE)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}
