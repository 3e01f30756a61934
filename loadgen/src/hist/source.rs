//! From what the command line names to recordings: files, folders of comparisons, entries of them.
//!
//! | given | is |
//! |---|---|
//! | a file | one recording |
//! | a folder with `result.json` | what `loadgen compare --out` wrote: each entry with its runs |
//! | `FOLDER/ENTRY` | the runs of one entry |
//!
//! The log of an entry has an interval for each round, of which the comparison says whether it
//! counts. Those that do not are left out, with a note. Notes go to stderr here, so
//! that whoever works with recordings need not pass them on.

use std::fs;
use std::io::{Write as _, stderr};
use std::path::Path;

use serde::Deserialize;

use super::format;
use super::options::Reading;
use super::recording::Recording;
use crate::compare::document::{FILE, log_name};

/// What one argument named: usually one recording, for an entry of a comparison one per run.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What to call it.
    pub name: String,
    /// The recordings, at least one.
    pub runs: Vec<Recording>,
}

/// The part of a comparison's result that says which run is whose.
#[derive(Deserialize)]
struct Comparison {
    entries: Vec<Entry>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
}

#[derive(Deserialize)]
struct Run {
    entry: usize,
    round: usize,
    worth: Worth,
}

#[derive(Deserialize)]
struct Worth {
    discarded: Option<String>,
}

impl Source {
    /// All runs as one recording: the intervals of the first, then those of the second, and so on.
    pub(crate) fn joined(self) -> Recording {
        let mut runs = self.runs.into_iter();
        let Some(mut joined) = runs.next() else {
            return Recording::default();
        };
        joined.name = self.name;
        for run in runs {
            let ends = joined.series.iter().map(|series| series.end_seconds());
            let end = ends.fold(0.0, f64::max);
            for series in run.series {
                let into = joined.series_mut(series.tag.as_deref());
                into.intervals
                    .extend(series.intervals.into_iter().map(|mut interval| {
                        interval.start_seconds += end;
                        interval
                    }));
            }
        }
        joined
    }
}

/// Opens everything named.
///
/// *Errors:* what is missing or damaged, with file and line.
pub(crate) fn open_all<P: AsRef<Path>>(
    paths: &[P],
    reading: &Reading,
) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for path in paths {
        let opened = open(path.as_ref(), reading)?;
        sources.extend(opened.into_iter().map(|source| (path.as_ref(), source)));
    }
    // Names that two files share tell nothing apart: then their paths do.
    let names: Vec<String> = sources
        .iter()
        .map(|(_, source)| source.name.clone())
        .collect();
    let is_shared = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    let named = |(path, mut source): (&Path, Source)| {
        if is_shared(&source.name) {
            source.name = path.display().to_string();
        }
        source
    };
    Ok(sources.into_iter().map(named).collect())
}

fn open(path: &Path, reading: &Reading) -> Result<Vec<Source>, String> {
    if path.is_dir() {
        return entries(path, None, reading);
    }
    if let (false, Some(folder), Some(entry)) = (path.exists(), path.parent(), path.file_name())
        && folder.join(FILE).exists()
    {
        return entries(folder, entry.to_str(), reading);
    }
    let recording = recording(path, reading)?;
    Ok(vec![Source {
        name: recording.name.clone(),
        runs: vec![recording],
    }])
}

/// The entries of a comparison, or the one that is wanted.
fn entries(folder: &Path, wanted: Option<&str>, reading: &Reading) -> Result<Vec<Source>, String> {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).map_err(|error| {
        format!(
            "{} is no folder of `loadgen compare --out`: {FILE}: {error}",
            folder.display()
        )
    })?;
    let comparison: Comparison = serde_json::from_str(&text)
        .map_err(|error| format!("{} is no result of a comparison: {error}", path.display()))?;
    let mut sources = Vec::new();
    for (index, entry) in comparison.entries.iter().enumerate() {
        // Names with blanks are files with dashes.
        let log = log_name(&entry.name);
        let file = log.trim_end_matches(".hlog");
        if wanted.is_some_and(|wanted| wanted != entry.name && wanted != file) {
            continue;
        }
        let of_entry = comparison.runs.iter().filter(|run| run.entry == index);
        let (counted, left_out): (Vec<_>, Vec<_>) =
            of_entry.partition(|run| run.worth.discarded.is_none());
        if !left_out.is_empty() {
            let count = left_out.len();
            note(&format!(
                "{}: {count} run(s) that do not count are left out",
                entry.name
            ));
        }
        if counted.is_empty() {
            note(&format!("{}: no run counts", entry.name));
            continue;
        }
        let whole = recording(&folder.join(&log), reading)?;
        let runs = counted.iter().map(|run| whole.round(run.round));
        let runs = runs.collect();
        let name = entry.name.clone();
        sources.push(Source { name, runs });
    }
    if let (true, Some(wanted)) = (sources.is_empty(), wanted) {
        let names: Vec<_> = comparison
            .entries
            .iter()
            .map(|entry| &*entry.name)
            .collect();
        return Err(format!(
            "{} has no run of `{wanted}`; its entries: {}",
            folder.display(),
            names.join(", ")
        ));
    }
    Ok(sources)
}

fn recording(path: &Path, reading: &Reading) -> Result<Recording, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // A damaged byte is damage of its line, where the line is known.
    let text = String::from_utf8_lossy(&bytes);
    let unit = reading.values_in.map(|unit| unit.nanos());
    let mut recording = format::read(path, &text, unit)?;
    recording.name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let is_of_comparison = path.with_file_name(FILE).exists();
    if let Some((from, to)) = reading.range()? {
        if is_of_comparison {
            return Err(format!(
                "{}: an interval for each round has no range to choose from; leave out --from and \
                 --to",
                path.display()
            ));
        }
        if !recording.has_times() {
            return Err(format!(
                "{}: one interval has no range to choose from; leave out --from and --to",
                path.display()
            ));
        }
        recording.keep(from, to);
        if recording.series.is_empty() {
            return Err(format!(
                "{}: no interval lies whole within --from and --to",
                path.display()
            ));
        }
    }
    for text in &recording.notes {
        note(&format!("{}: {text}", path.display()));
    }
    Ok(recording)
}

fn note(text: &str) {
    let _ = writeln!(stderr(), "note: {text}");
}
