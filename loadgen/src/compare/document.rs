//! Everything a comparison found out, as JSON and as a folder of files.
//!
//! The folder holds `result.json`, `table.txt`, the configuration of every entry and, for every
//! run, its histograms (`<entry>-<round>.hlog`) or what the generator said (`.txt`). `schema` grows
//! when a field changes its meaning or goes away.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::machine::Machine;
use super::metric::{Metric, Place};
use super::scenario::Scenario;
use super::stage::Stage;
use super::summary::{Run, Summary};
use super::syscalls::Calls;
use super::text::Text;

/// Version of the schema.
const SCHEMA: u32 = 1;

/// A comparison.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Document {
    /// Version of the schema.
    pub schema: u32,
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
#[derive(Clone, Debug, Serialize)]
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
        machine: Machine,
        confidence: f64,
        (runs, summary): (Vec<Run>, Summary),
        syscalls: Vec<Calls>,
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
            configuration: entry.configuration.clone(),
            resident_bytes_at_start: entry.resident_at_start,
        });
        Self {
            schema: SCHEMA,
            entries: entries.collect(),
            scenario,
            machine,
            confidence,
            summary,
            syscalls,
            runs,
        }
    }

    /// The figures of an entry by round, where the round counts; for a metric that describes the
    /// generator when that was the bottleneck, only where it was not.
    pub(crate) fn figures(&self, entry: &str, metric: Metric) -> BTreeMap<usize, f64> {
        let Some(index) = self.entries.iter().position(|found| found.name == entry) else {
            return BTreeMap::new();
        };
        let place = Place {
            resident_at_start: self.entries[index].resident_bytes_at_start,
            connections: self.scenario.load.connections,
        };
        self.runs
            .iter()
            .filter(|run| run.entry == index && run.worth.discarded.is_none())
            .filter(|run| !(metric.needs_a_free_generator() && run.worth.generator_bound))
            .filter_map(|run| Some((run.round, metric.of(&run.measured, &place)?)))
            .collect()
    }

    /// Does the table of this scenario show the metric?
    pub(crate) fn shows(&self, metric: Metric) -> bool {
        // Memory per connection means something only when there are many.
        metric != Metric::ResidentPerConnection || self.scenario.load.connections >= 1_000
    }

    /// As JSON.
    pub(crate) fn json(&self) -> String {
        // Numbers, strings and maps with plain keys: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Writes the folder.
    pub(crate) fn write(&self, stage: &Stage, folder: &Path) -> Result<(), String> {
        let failed = |error| format!("cannot write {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(failed)?;
        fs::write(folder.join("result.json"), self.json()).map_err(failed)?;
        fs::write(folder.join("table.txt"), Text(self).to_string()).map_err(failed)?;
        for entry in &self.entries {
            let name = format!("{}.configuration", file_name(&entry.name));
            fs::write(folder.join(name), &entry.configuration).map_err(failed)?;
        }
        for run in &self.runs {
            let Some(entry) = self.entries.get(run.entry) else {
                continue;
            };
            let stem = run_name(&entry.name, run.round);
            let name = format!("{stem}.{}", self.scenario.compares.ending());
            fs::copy(stage.scratch.file(&name), folder.join(name)).map_err(failed)?;
        }
        Ok(())
    }
}

/// The stem of the files of one run.
pub(crate) fn run_name(entry: &str, round: usize) -> String {
    format!("{}-{}", file_name(entry), round + 1)
}

fn file_name(entry: &str) -> String {
    entry.replace(' ', "-")
}
