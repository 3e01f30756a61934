//! `hist plot`: recordings as charts, in an SVG or on one HTML page.
//!
//! The page holds everything in one file: the percentile curves of all recordings, then for each
//! recording with times its heat map and its lines over time. Events are marks on the time axis.

use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;

use super::options::{self, Chart, PlotOptions};
use super::recording::{Interval, Recording, Series, names, sum};
use super::source::{self, Source};
use super::write;
use crate::calendar;
use crate::plot::{
    Caption, Column, Curve, Escaped, Event, HeatMap, Line, Panel, PercentileChart, TimeChart, Unit,
};

/// Points of a line over time; more intervals are added up in groups.
const POINTS_MAX: usize = 400;

/// Reads, draws, writes.
///
/// *Errors:* files that cannot be read, an extension that is no picture.
pub(crate) fn run(options: &PlotOptions) -> Result<(), String> {
    let kind = options
        .out
        .extension()
        .and_then(|extension| extension.to_str());
    let is_page = match kind {
        Some("svg") => false,
        Some("html") => true,
        _ => {
            let path = options.out.display();
            return Err(format!("{path}: write a .svg or a .html file"));
        }
    };
    let events = events(options)?;
    let sources = source::open_all(&options.input.files, &options.input.reading)?;
    let recordings: Vec<Recording> = sources.into_iter().map(Source::joined).collect();
    let mut chosen = Vec::new();
    for recording in &recordings {
        let series = recording.select(&options.input.reading.tags)?;
        chosen.extend(series.into_iter().map(|series| (recording, series)));
    }
    let names = names(&chosen).into_iter();
    let chosen: Vec<Shown<'_>> = names
        .zip(&chosen)
        .map(|(name, &(recording, series))| Shown {
            name,
            series,
            recording,
        })
        .collect();
    let title = options.title.clone().unwrap_or_else(|| title(&recordings));
    let text = match is_page {
        true => page(&title, &chosen, &events, options),
        false => picture(&title, &chosen, &events, options)?,
    };
    write(&options.out, &text)
}

/// One series to be drawn.
struct Shown<'a> {
    name: String,
    series: &'a Series,
    recording: &'a Recording,
}

impl Shown<'_> {
    fn has_times(&self) -> bool {
        self.series.intervals.len() > 1
    }

    /// What stands beneath a title: how much it is and when it was.
    fn note(&self) -> String {
        let count = Unit::Count.show(self.series.total().len() as f64);
        let count = format!("{}: {count} samples", self.name);
        let length = match self.series.end_seconds() {
            0.0 => String::new(),
            seconds => format!(" in {} s", Unit::Plain.show(seconds)),
        };
        let began = self.recording.began.map_or_else(String::new, |began| {
            format!(", from {}", calendar::instant(began.max(0.0) as u64))
        });
        format!("{count}{length}{began}")
    }
}

fn title(recordings: &[Recording]) -> String {
    let names: Vec<&str> = recordings
        .iter()
        .map(|recording| &*recording.name)
        .collect();
    names.join(", ")
}

/// The chart that was asked for.
fn picture(
    title: &str,
    shown: &[Shown<'_>],
    events: &[Event],
    options: &PlotOptions,
) -> Result<String, String> {
    if options.chart == Chart::Percentiles {
        return Ok(percentiles(title, shown, options));
    }
    let timed = shown.iter().find(|shown| shown.has_times()).ok_or(
        "there is one interval only, so nothing can be drawn over time; read a .hlog file",
    )?;
    Ok(match options.chart {
        Chart::Heat => heat(title, timed, events),
        Chart::Percentiles | Chart::Time => timeline(title, timed, events),
    })
}

/// All charts, on a page that needs nothing else.
fn page(title: &str, shown: &[Shown<'_>], events: &[Event], options: &PlotOptions) -> String {
    let mut charts = vec![percentiles("Percentiles", shown, options)];
    for shown in shown.iter().filter(|shown| shown.has_times()) {
        charts.push(heat(
            "When answers came, and how long each took",
            shown,
            events,
        ));
        charts.push(timeline("Rate and percentiles over time", shown, events));
    }
    let figures: Vec<String> = charts
        .iter()
        .map(|chart| format!("<figure>\n{chart}</figure>\n"))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{0}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n{1}</main>\n</body>\n\
         </html>\n",
        Escaped(title),
        figures.concat()
    )
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;background:#f4f6f8;color:#1a1f26;\
font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}\
main{max-width:920px;margin:0 auto;padding:28px 20px 48px}\
h1{font-size:22px;font-weight:650;margin:0 0 18px;overflow-wrap:anywhere}\
figure{margin:0 0 20px;padding:8px 0;background:#fff;border:1px solid #e1e5ea;border-radius:10px;\
overflow-x:auto;text-align:center}\
@media(prefers-color-scheme:dark){body{background:#0b0e12;color:#e8ebef}\
figure{background:#12161b;border-color:#232a32}}\
@media print{body{background:#fff}figure{break-inside:avoid}}";

fn percentiles(title: &str, shown: &[Shown<'_>], options: &PlotOptions) -> String {
    let curve = |shown: &Shown<'_>| Curve::of(shown.name.clone(), &shown.series.total());
    let note = match shown {
        [alone] => alone.note(),
        _ => String::new(),
    };
    PercentileChart {
        caption: caption(title, note),
        measured: "time".into(),
        is_log: !options.linear,
        curves: shown.iter().map(curve).collect(),
    }
    .svg()
}

fn heat(title: &str, shown: &Shown<'_>, events: &[Event]) -> String {
    let intervals = shown.series.intervals.iter();
    let columns = intervals.map(|interval| {
        let (start, length) = (interval.start_seconds, interval.length_seconds);
        Column::of(start, length, &interval.times)
    });
    let over = |name: &str, quantile| (name.to_owned(), line(shown, name, quantile).points);
    HeatMap {
        caption: caption(title, shown.note()),
        measured: "time".into(),
        columns: columns.collect(),
        lines: vec![over("p50", 0.5), over("p99", 0.99)],
        events: events.to_vec(),
    }
    .svg()
}

fn timeline(title: &str, shown: &Shown<'_>, events: &[Event]) -> String {
    let rates = groups(shown).map(|(at, length, times)| (at, times.len() as f64 / length));
    let rate = Line {
        name: "samples per second".into(),
        points: rates.collect(),
    };
    let times = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
    TimeChart {
        caption: caption(title, shown.note()),
        seconds: shown.series.end_seconds(),
        panels: vec![
            Panel {
                title: "samples per second".into(),
                unit: Unit::Count,
                is_log: false,
                height: 90.0,
                lines: vec![rate],
            },
            Panel {
                title: "time".into(),
                unit: Unit::Nanos,
                is_log: true,
                height: 240.0,
                lines: times
                    .map(|(name, quantile)| line(shown, name, quantile))
                    .into(),
            },
        ],
        events: events.to_vec(),
    }
    .svg()
}

/// A percentile over time. An interval without samples is a gap.
fn line(shown: &Shown<'_>, name: &str, quantile: f64) -> Line {
    let value = |times: &Histogram<u64>| match times.is_empty() {
        true => f64::NAN,
        false => times.value_at_quantile(quantile) as f64,
    };
    Line {
        name: name.into(),
        points: groups(shown)
            .map(|(at, _, times)| (at, value(&times)))
            .collect(),
    }
}

/// Neighbouring intervals added up until a line has few enough points: the middle in seconds, the
/// length, what was measured.
fn groups<'a>(shown: &'a Shown<'_>) -> impl Iterator<Item = (f64, f64, Histogram<u64>)> + use<'a> {
    let intervals = &shown.series.intervals;
    let size = intervals.len().div_ceil(POINTS_MAX).max(1);
    intervals.chunks(size).filter_map(|group| {
        let start = group.first()?.start_seconds;
        let end = group.iter().map(Interval::end_seconds);
        let end = end.fold(start, f64::max);
        let times = sum(group.iter().map(|interval| &interval.times));
        Some(((start + end) / 2.0, (end - start).max(1e-3), times))
    })
}

fn caption(title: &str, note: String) -> Caption {
    Caption {
        title: title.into(),
        note,
        description: String::new(),
    }
}

/// Events of the command line and of the file, in order of time.
fn events(options: &PlotOptions) -> Result<Vec<Event>, String> {
    let mut events = options.events.clone();
    if let Some(path) = &options.event_file {
        events.extend(event_file(path)?);
    }
    events.sort_by(|one, other| one.at_seconds.total_cmp(&other.at_seconds));
    Ok(events)
}

fn event_file(path: &Path) -> Result<Vec<Event>, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            options::event(line).map_err(|error| format!("{name}: line {}: {error}", index + 1))
        })
        .collect()
}
