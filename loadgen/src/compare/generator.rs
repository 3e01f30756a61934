//! Load generators as entries, in a scenario that `compares = "generators"`.
//!
//! `peers/generators.toml` beside the scenario says how each is called and where it says how many
//! requests were answered. In every round it is run from its start to its end against the origin.
//! Its CPU time is what the kernel accounts to it and to the children it waited for, once it has
//! been reaped; starting and ending are part of it, for all alike.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use engine::io::Address;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Deserialize;

use super::child::{Launch, Running};
use super::options::CompareOptions;
use super::pattern::Pattern;
use super::round::{self, Measured};
use super::scenario::Scenario;
use super::stage::Stage;
use super::template;

/// What a generator may take beyond the measured time.
const SLACK: Duration = Duration::from_secs(30);

/// How a generator is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generator {
    /// Where its program may be, as for a proxy.
    pub programs: Vec<String>,
    /// Its arguments, a template.
    arguments: Vec<String>,
    /// Arguments that make it print its version.
    pub version: Vec<String>,
    /// Where it says how many requests were answered.
    answered: Pattern,
    /// Where it says how many were not, or wrongly; what it does not say is none.
    wrong: Vec<Pattern>,
    /// What to do when no program is there.
    pub install: String,
}

/// The definitions beside the scenarios.
pub(crate) fn read(scenarios: &Path) -> Result<BTreeMap<String, Generator>, String> {
    let path = scenarios.join("peers").join("generators.toml");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// A generator as it is called in this comparison.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    program: PathBuf,
    arguments: Vec<String>,
    answered: Pattern,
    wrong: Vec<Pattern>,
}

impl Call {
    /// `generator`, found at `program`, told the scenario and where the origin is.
    pub(crate) fn new(
        generator: &Generator,
        program: PathBuf,
        origin: &Address,
        scenario: &Scenario,
        options: &CompareOptions,
    ) -> Result<Self, String> {
        let values = [
            ("url", format!("http://{origin}{}", scenario.request.path)),
            ("connections", scenario.load.connections.to_string()),
            ("threads", options.proxy_cpus.0.len().to_string()),
            ("seconds", scenario.load.duration.as_secs().to_string()),
        ];
        let arguments = generator.arguments.iter();
        let arguments = arguments.map(|argument| template::fill(argument, &values));
        Ok(Self {
            program,
            arguments: arguments.collect::<Result<_, _>>()?,
            answered: generator.answered.clone(),
            wrong: generator.wrong.clone(),
        })
    }

    /// The same, run by another program that is told `arguments` first.
    pub(crate) fn under(&self, program: PathBuf, arguments: &[String]) -> Self {
        let itself = self.program.display().to_string();
        Self {
            program,
            arguments: [arguments, &[itself], &self.arguments].concat(),
            ..self.clone()
        }
    }

    /// The command line, for a reader.
    pub(crate) fn line(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        format!("{} {}\n", name.to_string_lossy(), self.arguments.join(" "))
    }

    /// Runs it once; `name` is the stem of the file with what it says.
    pub(crate) fn measure(
        &self,
        stage: &Stage,
        scenario: &Scenario,
        options: &CompareOptions,
        name: &str,
        stop: &AtomicBool,
    ) -> Result<Measured, String> {
        let log = stage.scratch.file(&format!("{name}.txt"));
        let before = children_cpu_time()?;
        let mut running = Running::start(&Launch {
            name,
            program: &self.program,
            arguments: &self.arguments,
            cpus: &options.proxy_cpus.0,
            log: log.clone(),
        })?;
        let status = running.wait(scenario.load.duration + SLACK, stop)?;
        let cpu_time = children_cpu_time()?.saturating_sub(before);
        let said = fs::read_to_string(&log).unwrap_or_default();
        let Some(answered) = self.answered.find(&said) else {
            return Err(running.complaint(&format!(
                "ended with {status} without the number of answers"
            )));
        };
        let wrong = self.wrong.iter().filter_map(|pattern| pattern.find(&said));
        Ok(round::of_generator(
            answered,
            wrong.sum(),
            cpu_time,
            scenario.load.duration,
        ))
    }
}

/// CPU time of all children that were waited for, and of theirs.
pub(crate) fn children_cpu_time() -> Result<Duration, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|error| format!("cannot read the CPU time of a generator: {error}"))?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios")
    }

    #[test]
    fn the_definitions_of_the_repository_are_right() {
        let generators = read(&repository()).expect("the definitions");
        for name in ["loadgen", "wrk", "h2load", "loadgen-h2c", "h2load-h2c"] {
            assert!(generators.contains_key(name), "{name}");
        }
    }

    #[test]
    fn a_child_is_accounted_for_when_it_was_waited_for() {
        let before = children_cpu_time().expect("usage");
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        let status = std::process::Command::new("sh")
            .args(["-c", script])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
        assert!(children_cpu_time().expect("usage") > before);
    }
}
