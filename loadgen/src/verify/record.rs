//! Recorded runs: a folder each, named by date and machine, with what became of the claims.
//!
//! `claims.json` holds the judgements; the comparisons lie in folders named by scenario beside it,
//! as `loadgen compare --out` writes them. Runs are never changed afterwards: a second one on the
//! same day gets a number.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::claim::Judgement;
use crate::calendar::date;
use crate::environment::{Environment, Meanwhile};

/// The file with the judgements.
pub(crate) const FILE: &str = "claims.json";

/// What one run of `verify` found out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Record {
    /// When it began, in seconds since 1970.
    pub began_unix_seconds: u64,
    /// Where it was made, before anything was measured.
    #[serde(default)]
    pub environment: Environment,
    /// What the machine did meanwhile.
    #[serde(default)]
    pub meanwhile: Meanwhile,
    /// The word for what became of it: `pass`, `broken` (a claim was refuted), `invalid` (one could
    /// not be tested).
    #[serde(default)]
    pub result: String,
    /// Every claim could be tested.
    #[serde(default)]
    pub valid: bool,
    /// Why not, and which were refuted.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What whoever made it says about it.
    #[serde(default)]
    pub note: Option<String>,
    /// What became of the claims that were tested.
    pub judgements: Vec<Judgement>,
}

impl Record {
    /// Reads what lies in the folder of a run.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(FILE);
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }

    /// The scenarios that were run, in order.
    pub(crate) fn scenarios(&self) -> Vec<&str> {
        let mut scenarios: Vec<&str> = Vec::new();
        let tested = self
            .judgements
            .iter()
            .filter(|judgement| judgement.verdict.is_some());
        for judgement in tested {
            if !scenarios.contains(&&*judgement.claim.scenario) {
                scenarios.push(&judgement.claim.scenario);
            }
        }
        scenarios
    }
}

/// Creates the folder of a run.
pub(crate) fn create(runs: &Path, seconds: u64, machine: &str) -> Result<PathBuf, String> {
    let name = format!("{}-{}", date(seconds), plain(machine));
    let names = std::iter::once(name.clone()).chain((2..1_000).map(|n| format!("{name}-{n}")));
    let free = names
        .map(|name| runs.join(name))
        .find(|path| !path.exists());
    let path = free.ok_or_else(|| format!("{} is full", runs.display()))?;
    fs::create_dir_all(&path)
        .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
    Ok(path)
}

/// Writes the judgements of a run.
pub(crate) fn write(folder: &Path, record: &Record) -> Result<(), String> {
    // Numbers, strings and lists: there is nothing that could fail.
    let text = serde_json::to_string_pretty(record).unwrap_or_default() + "\n";
    let path = folder.join(FILE);
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// All recorded runs with their folders' names, the latest first; none if there is no folder.
pub(crate) fn read_all(runs: &Path) -> Result<Vec<(String, Record)>, String> {
    let Ok(entries) = fs::read_dir(runs) else {
        return Ok(Vec::new());
    };
    let mut records = Vec::new();
    for entry in entries.flatten() {
        if entry.path().join(FILE).is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            records.push((name, Record::read(&entry.path())?));
        }
    }
    records.sort_by_key(|(name, record)| (record.began_unix_seconds, name.clone()));
    records.reverse();
    Ok(records)
}

/// Letters, digits and hyphens of a name.
fn plain(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name: String = name.chars().filter(|&c| kept(c)).collect();
    match name.is_empty() {
        true => "machine".into(),
        false => name.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_make_folder_names() {
        assert_eq!(plain("Build.Host_7-a"), "buildhost7-a");
        assert_eq!(plain("../"), "machine");
    }
}
