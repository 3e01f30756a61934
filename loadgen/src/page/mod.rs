//! `loadgen report`: results as one HTML page that needs nothing else.
//!
//! A page is for somebody who was not there: the verdict first, in words, then figures, pictures,
//! what qualifies them, where it was measured and how to do it again. `run.rs`, `search.rs`,
//! `comparison.rs` and `claims.rs` are the pages, `place.rs` a section of all of them.
//!
//! `measured.rs` reads what `loadgen run` wrote; logs, searches, comparisons and verifications are
//! read as what wrote them. `charts.rs` makes pictures, `words.rs` sentences, `markup.rs` HTML, and
//! only that one. The pages work without scripts and without a network.

mod charts;
pub(crate) mod claims;
pub(crate) mod comparison;
mod markup;
mod measured;
pub(crate) mod options;
mod place;
mod run;
mod search;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use crate::compare::document::Document;
use crate::hist::format::{read, read_log};
use crate::report::print;
use crate::verify::record::{self, Record};

use self::claims::Part;
use self::measured::Measured;
use self::options::ReportOptions;

/// The page in the folder of a result.
pub(crate) const FILE: &str = "report.html";

/// Makes the page.
///
/// *Errors:* one sentence for the user.
pub(crate) fn run(options: &ReportOptions) -> Result<(), String> {
    let html = match options.inputs.as_slice() {
        [folder] if folder.is_dir() => of_folder(folder)?,
        files => of_run(files)?,
    };
    match options.output.as_path() {
        path if path == Path::new("-") => print(&html),
        path => fs::write(path, html)
            .map_err(|error| format!("cannot write {}: {error}", path.display())),
    }
}

/// The page of a comparison's or a verification's folder, by what lies in it.
pub(crate) fn of_folder(folder: &Path) -> Result<String, String> {
    if folder.join(record::FILE).is_file() {
        let record = Record::read(folder)?;
        let parts = record.scenarios().into_iter().map(|scenario| {
            let folder = folder.join(scenario);
            let document = Document::read(&folder)?;
            let logs = comparison::histograms(&document, &folder);
            Ok(Part { document, logs })
        });
        let parts: Result<Vec<_>, String> = parts.collect();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        return Ok(claims::html(&name, &record, &parts?));
    }
    if folder.join(crate::compare::document::FILE).is_file() {
        let document = Document::read(folder)?;
        return Ok(comparison::html(
            &document,
            &comparison::histograms(&document, folder),
        ));
    }
    Err(format!(
        "{} holds neither {} (of compare) nor {} (of verify)",
        folder.display(),
        crate::compare::document::FILE,
        record::FILE
    ))
}

/// Writes the page into the folder that it is about.
pub(crate) fn write_into(folder: &Path) -> Result<(), String> {
    let path = folder.join(FILE);
    fs::write(&path, of_folder(folder)?)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The page of a run or replay, from its JSON and its log if that is given, or of a search.
fn of_run(files: &[PathBuf]) -> Result<String, String> {
    let is_log = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "hlog");
    let (logs, results): (Vec<_>, Vec<_>) = files.iter().partition(is_log);
    let ([result], [] | [_]) = (results.as_slice(), logs.as_slice()) else {
        return Err(
            "give the JSON of one run, replay or search, with at most one .hlog; or one folder of a comparison or \
             verification"
                .into(),
        );
    };
    let (path, text) = (result.display(), fs::read_to_string(result));
    let text = text.map_err(|error| format!("cannot read {path}: {error}"))?;
    if let Ok(searched) = serde_json::from_str(&text) {
        return match logs.as_slice() {
            [] => Ok(search::html(&searched)),
            _ => Err("a search has no log; leave the .hlog out".into()),
        };
    }
    let measured = serde_json::from_str::<Measured>(&text)
        .map_err(|error| format!("{path} is not the JSON of a run or a search: {error}"))?;
    let log = logs.first().map(|path| read_log(path)).transpose()?;
    // Of an older program it has percentiles only.
    let totals = read(result, &text, None).ok();
    let all = totals.as_ref().or(log.as_ref());
    Ok(run::html(&measured, all, log.as_ref()))
}
