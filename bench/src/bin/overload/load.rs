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
/// How long connections are made and queues grow, before goodput counts.
const WARMUP: f64 = 0.9;
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
    /// Requests that left.
    pub(crate) sent: u64,
    /// Requests with another answer, or none in time.
    pub(crate) refused: u64,
    /// Of right answers, from sending: median and 99th percentile.
    pub(crate) times: String,
    pub(crate) health: String,
    pub(crate) admin: String,
}

impl Load {
    /// As fast as the connections go.
    pub(crate) fn closed(&self, connections: u32) -> Result<Run, String> {
        self.run(connections, &[])
    }

    /// As many a second, whatever becomes of them.
    pub(crate) fn open(&self, rate: f64, arrivals: &str) -> Result<Run, String> {
        let rate = format!("{}", rate.max(1.0).round());
        self.run(self.connections, &["--rate", &rate, "--arrivals", arrivals])
    }

    fn run(&self, connections: u32, arguments: &[&str]) -> Result<Run, String> {
        let over = Arc::new(AtomicBool::new(false));
        let ask = |to: Option<SocketAddr>, path: &'static str| {
            let over = Arc::clone(&over);
            to.map(|to| thread::spawn(move || watch(to, path, &over)))
        };
        let (health, admin) = (ask(Some(self.to), "/healthz"), ask(self.admin, "/readyz"));
        let mut command = Command::new(&self.loadgen);
        command
            .args(["run", &format!("http://{}/", self.to), "--quiet"])
            .args(["--json", "-", "--timeout", PATIENCE, "--grace", "0s"])
            .args(["--cpus", &self.cpu.to_string()])
            .args(["--connections", &connections.to_string()])
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
        let time = |percentile: &str| {
            let nanos = count(&result["service_time"]["percentiles_ns"][percentile]);
            Duration::from_nanos(nanos).as_millis()
        };
        let (right, wrong, seconds) = steady(&result, self.time.as_secs_f64());
        Ok(Run {
            goodput: right as f64 / seconds.max(0.1),
            sent: right + wrong,
            refused: wrong,
            times: format!("{} / {}", time("50"), time("99")),
            health,
            admin,
        })
    }
}

/// Right and wrong answers, by the seconds in which they came: what was answered after the end, or
/// before the queue was as long as it gets, says nothing of what a proxy serves.
fn steady(result: &Value, end: f64) -> (u64, u64, f64) {
    let (mut right, mut wrong, mut seconds) = (0, 0, 0.0);
    for interval in result["intervals"].as_array().into_iter().flatten() {
        let number = |name: &str| interval[name].as_f64().unwrap_or(0.0);
        let (start, length) = (number("start_seconds"), number("length_seconds"));
        if start >= WARMUP && start + length <= end + 0.1 {
            right += interval["answered"].as_u64().unwrap_or(0);
            wrong += interval["failed"].as_u64().unwrap_or(0);
            seconds += length;
        }
    }
    (right, wrong, seconds)
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
