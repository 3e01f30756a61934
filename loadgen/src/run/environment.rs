//! Where a run took place: what a reader needs to know before comparing two results.
//!
//! Read from the kernel's files before and after a run, never during it. What a machine does not
//! say is empty or absent, not guessed.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// The machine, as far as it shapes results.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Environment {
    /// Version of this program.
    pub loadgen: &'static str,
    /// Kernel release.
    pub kernel: String,
    /// Model of the first processor; empty if the machine does not say.
    pub cpu_model: String,
    /// Processors this process may use.
    pub cpu_count: usize,
    /// Frequency governor of the first processor; empty where there is none.
    pub governor: String,
    /// The command line.
    pub command: Vec<String>,
}

impl Environment {
    /// Looks around.
    pub(crate) fn read() -> Self {
        const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("", |(_, model)| model);
        Self {
            loadgen: env!("CARGO_PKG_VERSION"),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            cpu_model: model.trim().into(),
            cpu_count: std::thread::available_parallelism().map_or(1, usize::from),
            governor: fs::read_to_string(GOVERNOR)
                .unwrap_or_default()
                .trim()
                .into(),
            command: std::env::args().collect(),
        }
    }
}

/// For how long, in total since boot, some task of the machine has been waiting for a processor;
/// `None` where the kernel does not keep pressure figures.
pub(crate) fn cpu_pressure() -> Option<Duration> {
    parse_pressure(&fs::read_to_string("/proc/pressure/cpu").ok()?)
}

fn parse_pressure(text: &str) -> Option<Duration> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let total = some.split_once("total=")?.1;
    total.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_the_total_of_some() {
        let text = "some avg10=0.00 avg60=0.10 avg300=0.20 total=1234\nfull avg10=0.0 total=9\n";
        assert_eq!(parse_pressure(text), Some(Duration::from_micros(1_234)));
        assert_eq!(parse_pressure(""), None);
    }

    #[test]
    fn this_machine_has_a_kernel_and_a_processor() {
        let here = Environment::read();
        assert!(!here.kernel.is_empty() && here.cpu_count > 0);
    }
}
