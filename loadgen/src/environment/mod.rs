//! Where a result was made: what a reader needs to know before comparing it to another.
//!
//! Every result carries an [`Environment`], read before anything is measured, and a [`Meanwhile`]
//! of the measured time. All of it comes from the kernel's files; what a machine does not say is
//! empty or absent, never guessed. `processors.rs` reads the processors and who may use how much
//! of them, `pressure.rs` what else the machine had to do, `command.rs` the command line without
//! what belongs to one machine or is secret.

pub(crate) mod command;
mod pressure;
mod processors;

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

pub(crate) use self::pressure::{Meanwhile, Meter, Ticks};

/// Version of this program, with the commit it was built from where that is known.
pub(crate) const VERSION: &str = env!("WEFT_VERSION");

/// Percentage of time that tasks waited, over the last ten seconds, from which a machine is busy.
const BUSY_PRESSURE: f64 = 5.0;

/// The machine, as far as it shapes results, before anything was measured. Fields that older
/// results lack are empty when read back.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Environment {
    /// Version of this program.
    pub loadgen: String,
    /// Kernel release.
    pub kernel: String,
    /// Model of the first processor; empty if the machine does not say.
    pub cpu_model: String,
    /// Processors this process may use.
    pub cpu_count: usize,
    /// Which ones, as in `0-3,8`.
    #[serde(default)]
    pub allowed_cpus: String,
    /// Frequency governor of the first processor; empty where there is none.
    pub governor: String,
    /// Two threads to a core: `on`, `off`, `notsupported`; empty if the machine does not say.
    #[serde(default)]
    pub smt: String,
    /// How many processors' worth of time a control group allows; `None` without a limit.
    #[serde(default)]
    pub cpu_limit: Option<f64>,
    /// How the kernel schedules this process and those that it starts: `normal`, `fifo 1`.
    #[serde(default)]
    pub scheduling: String,
    /// Memory of the machine.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Load averages before the start, as `/proc/loadavg` has them.
    #[serde(default)]
    pub load_average: String,
    /// By resource: percentage of the last ten seconds before the start in which some task waited.
    #[serde(default)]
    pub pressure: BTreeMap<String, f64>,
    /// When it was read, in seconds since 1970.
    #[serde(default)]
    pub began_unix_seconds: u64,
    /// The command line, as `command.rs` writes it.
    pub command: Vec<String>,
}

impl Environment {
    /// Looks around.
    pub(crate) fn read() -> Self {
        let now = engine::io::clock::wall().duration_since(std::time::SystemTime::UNIX_EPOCH);
        Self {
            loadgen: VERSION.into(),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            cpu_model: processors::model(&text("/proc/cpuinfo")),
            cpu_count: std::thread::available_parallelism().map_or(1, usize::from),
            allowed_cpus: processors::allowed(&text("/proc/self/status")),
            governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            smt: text("/sys/devices/system/cpu/smt/control"),
            cpu_limit: processors::limit(),
            scheduling: processors::scheduling(&text("/proc/self/stat")),
            memory_bytes: memory_bytes(&text("/proc/meminfo")),
            load_average: text("/proc/loadavg"),
            pressure: pressure::before(),
            began_unix_seconds: now.map_or(0, |since| since.as_secs()),
            command: command::recorded(std::env::args(), &std::env::temp_dir()),
        }
    }

    /// What a reader should be warned of.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let busy = |(resource, percent): (&String, &f64)| {
            (*percent >= BUSY_PRESSURE).then(|| {
                format!(
                    "the machine was busy before the start: some task waited for {resource} \
                     {percent:.0} % of the time"
                )
            })
        };
        let mut remarks: Vec<String> = self.pressure.iter().filter_map(busy).collect();
        if let Some(limit) = self.cpu_limit {
            remarks.push(format!(
                "a control group allowed {limit:.2} processors' worth of time"
            ));
        }
        if !matches!(self.governor.as_str(), "" | "performance") {
            remarks.push(format!(
                "the frequency governor was `{}`: processors may have changed their speed",
                self.governor
            ));
        }
        remarks
    }
}

/// A file's text without the space around it; empty when there is none.
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().into()
}

/// `MemTotal:       16384 kB`.
fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel_a_processor_and_memory() {
        let here = Environment::read();
        assert!(!here.kernel.is_empty() && here.cpu_count > 0);
        assert!(!here.allowed_cpus.is_empty() && here.memory_bytes > 1 << 20);
        assert!(!here.scheduling.is_empty());
        assert!(here.loadgen.starts_with(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn memory_is_in_kibibytes() {
        assert_eq!(memory_bytes("MemTotal:   16 kB\nMemFree: 3 kB"), 16 << 10);
        assert_eq!(memory_bytes(""), 0);
    }

    #[test]
    fn what_disturbs_is_remarked() {
        let quiet = Environment {
            governor: "performance".into(),
            pressure: [("cpu".to_owned(), 0.1)].into(),
            ..Environment::default()
        };
        assert_eq!(quiet.remarks(), [""; 0]);
        let busy = Environment {
            governor: "powersave".into(),
            cpu_limit: Some(1.5),
            pressure: [("cpu".to_owned(), 40.0), ("io".to_owned(), 0.1)].into(),
            ..Environment::default()
        };
        let remarks = busy.remarks().join("\n");
        for part in ["cpu 40 %", "1.50 processors", "`powersave`"] {
            assert!(remarks.contains(part), "{remarks}");
        }
        assert!(!remarks.contains("io"), "{remarks}");
    }
}
