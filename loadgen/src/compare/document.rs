//! Everything a comparison found out, as JSON and as a folder of files.
//!
//! The folder holds `result.json`, `table.txt`, the configuration of every entry and its histograms
//! (`<entry>.hlog`, a line per round and series), or what each generator said, run by run (`.txt`).
//! It is made to be kept, so it is small and names no folder of the machine. `schema` grows when a
//! field changes its meaning or goes away.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::history;
use super::machine::Machine;
use super::metric::{Metric, Place};
use super::remarks;
use super::scenario::{Compares, Scenario};
use super::stage::Stage;
use super::summary::{Run, Summary};
use super::syscalls::Calls;
use super::text::Text;
use crate::verdict::Outcome;

/// Version of the schema.
const SCHEMA: u32 = 2;
/// The file with all of it.
pub(crate) const FILE: &str = "result.json";

/// A comparison.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Document {
    /// Version of the schema.
    pub schema: u32,
    /// What became of it: `pass`, `broken`, `invalid`.
    pub result: String,
    /// No answer was wrong, every entry has rounds that count, and all rounds were measured.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// What qualifies the figures.
    pub remarks: Vec<String>,
    /// It was ended early: there are fewer rounds than the scenario has.
    #[serde(default)]
    pub interrupted: bool,
    /// What whoever made it says about it.
    pub note: Option<String>,
    /// The scenario as it was run.
    pub scenario: Scenario,
    /// Where it was run.
    pub machine: Machine,
    /// Confidence of all intervals.
    pub confidence: f64,
    /// Who took part.
    pub entries: Vec<Participant>,
    /// What it came to.
    pub summary: Summary,
    /// System calls by entry, if they were counted.
    pub syscalls: Vec<Calls>,
    /// Every run, in the order they were made.
    pub runs: Vec<Run>,
}

/// One entry, as a reader needs to know it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Participant {
    /// Its name in the table.
    pub name: String,
    /// The peer it is an instance of.
    pub peer: String,
    /// What it says its version is.
    pub version: String,
    /// Its program, the last part of its path.
    pub program: String,
    /// Its whole configuration.
    pub configuration: String,
    /// Resident memory before the first round.
    pub resident_bytes_at_start: u64,
}

impl Document {
    /// A document of the current schema.
    pub(crate) fn new(
        scenario: Scenario,
        stage: &Stage,
        (machine, note): (Machine, Option<String>),
        confidence: f64,
        (runs, summary, syscalls): (Vec<Run>, Summary, Vec<Calls>),
        interrupted: bool,
    ) -> Self {
        let entries = stage.entries.iter().map(|entry| Participant {
            name: entry.name.clone(),
            peer: entry.peer.clone(),
            version: entry.version.clone(),
            program: entry
                .program
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            configuration: stage.scratch.hide(&entry.configuration),
            resident_bytes_at_start: entry.resident_at_start,
        });
        let mut document = Self {
            schema: SCHEMA,
            result: String::new(),
            valid: false,
            reasons: Vec::new(),
            remarks: Vec::new(),
            interrupted,
            note,
            entries: entries.collect(),
            scenario,
            machine,
            confidence,
            summary,
            syscalls,
            runs,
        };
        let outcome = document.outcome();
        document.result = outcome.label().into();
        document.valid = outcome == Outcome::Pass;
        document.reasons = remarks::reasons(&document);
        document.remarks = remarks::of(&document);
        document
    }

    /// Wrong answers break a comparison; an entry without a round that counts makes it invalid, and
    /// so do rounds that are missing.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.summary.outcome() {
            Outcome::Pass if self.interrupted => Outcome::Invalid,
            outcome => outcome,
        }
    }

    /// How many rounds there are, in words.
    pub(crate) fn rounds(&self) -> String {
        let (all, ended) = (
            self.scenario.rounds,
            self.runs.iter().map(|run| run.round + 1),
        );
        match self.interrupted {
            true => format!("{} of {all} rounds", ended.max().unwrap_or(0)),
            false => format!("{all} rounds"),
        }
    }

    /// Reads what lies in a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| failed(&error))?;
        let schema = &value["schema"];
        if *schema != SCHEMA {
            return Err(failed(&format_args!(
                "it has schema {schema}, this program reads {SCHEMA}: compare again"
            )));
        }
        serde_json::from_value(value).map_err(|error| failed(&error))
    }

    /// The figures of an entry by round, where the round counts; for a metric that describes the
    /// generator when that was the bottleneck, only where it was not.
    pub(crate) fn figures(&self, entry: &str, metric: Metric) -> BTreeMap<usize, f64> {
        let Some(index) = self.entries.iter().position(|found| found.name == entry) else {
            return BTreeMap::new();
        };
        self.runs
            .iter()
            .filter(|run| run.entry == index && metric.counts(&run.worth))
            .filter(|run| metric.stands(&run.worth))
            .filter_map(|run| {
                let place = Place {
                    // Of a record whose processes lived from the first round to the last.
                    resident_at_start: run
                        .resident_bytes_at_start
                        .unwrap_or(self.entries.get(index)?.resident_bytes_at_start),
                    connections: self.scenario.connections_beyond(),
                };
                Some((run.round, metric.of(&run.measured, &place)?))
            })
            .collect()
    }

    /// Does the table of this scenario show the metric?
    pub(crate) fn shows(&self, metric: Metric) -> bool {
        // Memory per connection means something only when there are many.
        metric != Metric::ResidentPerConnection || self.scenario.load.connections >= 1_000
    }

    /// As JSON, without indentation: it is long and kept for good.
    pub(crate) fn json(&self) -> String {
        // Numbers, strings and maps with plain keys: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Writes the folder.
    pub(crate) fn write(&self, stage: &Stage, folder: &Path) -> Result<(), String> {
        let failed = |error| format!("cannot write {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(failed)?;
        fs::write(folder.join(FILE), self.json()).map_err(failed)?;
        fs::write(folder.join("table.txt"), Text(self).to_string()).map_err(failed)?;
        for entry in &self.entries {
            let name = format!("{}.configuration", file_name(&entry.name));
            fs::write(folder.join(name), &entry.configuration).map_err(failed)?;
        }
        let began = Duration::from_secs(self.machine.environment.began_unix_seconds);
        let began = SystemTime::UNIX_EPOCH + began;
        for (index, entry) in self.entries.iter().enumerate() {
            let of_it = self.runs.iter().filter(|run| run.entry == index);
            let kept = of_it.map(|run| {
                let stem = run_name(&entry.name, run.round);
                let name = format!("{stem}.{}", self.scenario.compares.ending());
                (run.at_seconds, stage.scratch.file(&name))
            });
            let kept: Vec<_> = kept.collect();
            match self.scenario.compares {
                Compares::Proxies => {
                    let path = folder.join(log_name(&entry.name));
                    history::write(&path, (&entry.name, began), &kept)?;
                }
                Compares::Generators => {
                    for (_, said) in &kept {
                        let name = said.file_name().unwrap_or_default();
                        fs::copy(said, folder.join(name)).map_err(failed)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The stem of the files of one run.
pub(crate) fn run_name(entry: &str, round: usize) -> String {
    format!("{}-{}", file_name(entry), round + 1)
}

/// The file with the histograms of an entry.
pub(crate) fn log_name(entry: &str) -> String {
    format!("{}.hlog", file_name(entry))
}

fn file_name(entry: &str) -> String {
    entry.replace(' ', "-")
}
