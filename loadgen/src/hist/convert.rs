//! `hist convert`: the same recording in another format.

use super::format::{self, Format};
use super::options::ConvertOptions;
use super::recording::Recording;
use super::source;
use super::write;

/// Reads one recording and writes it.
///
/// *Errors:* an unknown format, or what the format cannot hold.
pub(crate) fn run(options: &ConvertOptions) -> Result<(), String> {
    let format = options.format.or_else(|| Format::of_name(&options.output));
    let format = format.ok_or_else(|| {
        let path = options.output.display();
        format!("{path}: its extension is no format; say --format hlog, hgrm, json or csv")
    })?;
    let mut sources = source::open_all(&[&options.input], &options.reading)?.into_iter();
    let (Some(source), None) = (sources.next(), sources.next()) else {
        let path = options.input.display();
        return Err(format!(
            "{path} holds several entries; name one, as {path}/ENTRY"
        ));
    };
    let recording = chosen(source.joined(), &options.reading.tags, format)?;
    write(&options.output, &format::write(&recording, format)?)
}

/// The series to be written: those asked for, else all that the format can hold.
fn chosen(recording: Recording, tags: &[String], format: Format) -> Result<Recording, String> {
    if tags.is_empty() && format != Format::Hgrm {
        return Ok(recording);
    }
    let series = recording.select(tags)?.into_iter().cloned().collect();
    Ok(Recording {
        series,
        ..recording
    })
}
