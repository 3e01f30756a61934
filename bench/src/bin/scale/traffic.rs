//! Steady traffic to some of the services: the load generator of this repository.
//!
//! In: a rate and a time. Out: percentiles of the response times, which count from when a request
//! was due, and how many requests had no right answer.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use serde_json::Value;

use super::fleet::Fleet;
use super::proxy::Proxy;

/// Services that are asked.
const ASKED: usize = 50;

/// The load, not running.
pub(crate) struct Traffic {
    loadgen: PathBuf,
    url: String,
    rate: String,
    mix: PathBuf,
}

/// What became of the requests.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) p999: Duration,
    pub(crate) wrong: u64,
}

impl Traffic {
    pub(crate) fn new(
        loadgen: &Path,
        proxy: &Proxy,
        fleet: &Fleet,
        rate: u32,
    ) -> Result<Self, String> {
        let mix = env::temp_dir().join(format!("weft-scale-{}.toml", proxy.address.port()));
        let mut text = String::new();
        for service in (1..fleet.services).take(ASKED) {
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "[[request]]\nname = \"s{service}\"\npath = \"/s{service}\"\n\
                 expect = {{ status = 200 }}"
            );
        }
        fs::write(&mix, text).map_err(|error| error.to_string())?;
        Ok(Self {
            loadgen: loadgen.to_owned(),
            url: format!("http://{}/", proxy.address),
            rate: rate.to_string(),
            mix,
        })
    }

    /// Sends requests for this long.
    pub(crate) fn run(&self, time: Duration) -> Result<Times, String> {
        let mut command = Command::new(&self.loadgen);
        command.args([
            "run",
            &self.url,
            "--rate",
            &self.rate,
            "--connections",
            "16",
        ]);
        command.args(["--duration", &format!("{}s", time.as_secs())]);
        command
            .args(["--quiet", "--json", "-", "--mix"])
            .arg(&self.mix);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let output = command.output().map_err(|error| error.to_string())?;
        let told: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let percentile = |name: &str| {
            let nanos = told["response_time"]["percentiles_ns"][name].as_u64();
            Duration::from_nanos(nanos.unwrap_or(0))
        };
        let count = |name: &str| told["requests"][name].as_u64().unwrap_or(0);
        Ok(Times {
            p50: percentile("50"),
            p99: percentile("99"),
            p999: percentile("99.9"),
            wrong: count("failed") + count("unanswered"),
        })
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.mix);
    }
}
