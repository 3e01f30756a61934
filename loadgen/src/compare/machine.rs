//! The machine a comparison ran on, and what else it had to do.
//!
//! Pressure (`/proc/pressure`) is read before anything is started: afterwards origin and generator
//! press on each other by design. What a kernel does not tell is empty or absent.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

use crate::run::environment::Environment;

/// Percentage of time that tasks waited, over the last ten seconds, from which a machine is busy.
const BUSY_PRESSURE: f64 = 5.0;

/// The machine, and how it was divided.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The environment of every result.
    #[serde(flatten)]
    pub environment: Environment,
    /// Processors of the proxies.
    pub proxy_cpus: Vec<usize>,
    /// Processors of origin and generator.
    pub load_cpus: Vec<usize>,
    /// Load averages before the start.
    pub load_average: String,
    /// By resource: percentage of the last ten seconds before the start in which some task waited.
    pub pressure: BTreeMap<&'static str, f64>,
    /// When it began, in seconds since 1970.
    pub began_unix_seconds: u64,
}

impl Machine {
    /// Looks around.
    pub(crate) fn read(proxy_cpus: &[usize], load_cpus: &[usize]) -> Self {
        let pressure = ["cpu", "io", "memory"].into_iter().filter_map(|resource| {
            let text = fs::read_to_string(format!("/proc/pressure/{resource}")).ok()?;
            Some((resource, pressure(&text)?))
        });
        let now = engine::io::clock::wall().duration_since(std::time::SystemTime::UNIX_EPOCH);
        Self {
            environment: Environment::read(),
            proxy_cpus: proxy_cpus.to_vec(),
            load_cpus: load_cpus.to_vec(),
            load_average: fs::read_to_string("/proc/loadavg")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            pressure: pressure.collect(),
            began_unix_seconds: now.map_or(0, |since| since.as_secs()),
        }
    }

    /// What a reader should be warned of.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let busy = |(resource, percent): (&&str, &f64)| {
            (*percent >= BUSY_PRESSURE).then(|| {
                format!(
                    "the machine was busy before the start: some task waited for {resource} \
                     {percent:.0} % of the time"
                )
            })
        };
        self.pressure.iter().filter_map(busy).collect()
    }
}

/// `some avg10=1.23 …`
fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let average = some.split_once("avg10=")?.1;
    average.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_the_short_average_of_some() {
        let text = "some avg10=1.25 avg60=0.10 avg300=0.20 total=1234\nfull avg10=9.0 total=9\n";
        assert_eq!(pressure(text), Some(1.25));
        assert_eq!(pressure("full avg10=9.0"), None);
    }

    #[test]
    fn a_busy_machine_is_remarked() {
        let mut machine = Machine::read(&[0], &[1]);
        machine.pressure = [("cpu", 40.0), ("io", 0.1)].into();
        let remarks = machine.remarks();
        assert!(
            remarks.len() == 1 && remarks[0].contains("cpu 40 %"),
            "{remarks:?}"
        );
    }
}
