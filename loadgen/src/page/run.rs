//! The page of a run.
//!
//! First what became of it, then the figures, the pictures, what may explain them, and how to do
//! it again.

use serde_json::Value;

use crate::hist::recording::Recording;
use crate::report::figures::Times;

use super::charts;
use super::markup::{Cell, Markup, Tone, page};
use super::measured::Measured;
use super::place;
use super::words::{bytes, command, count, nanos, percent};

/// The percentiles of the table.
const PERCENTILES: [&str; 6] = ["50", "90", "99", "99.9", "99.99", "99.999"];

/// How response times are measured.
const FROM_DUE: &str = "\
An open loop: each request was due at a fixed instant, whatever the target did. Response time counts \
from that instant to the last byte of the answer, so a stall counts against every request it delayed \
(corrected). Service time counts from when the request was sent (uncorrected); it is what a client \
sees that waits for each answer before it asks again. Send lag is how late the generator itself was.";
/// The same of a closed loop.
const FROM_SENT: &str = "\
A closed loop: each connection sent its next request when the last one was answered. That shows what \
the target can do at most, not what users see: while the target stalls, nobody asks.";
/// What is counted how.
const COUNTED: &str = "\
Each request that was due is counted once, as answered, failed or unanswered. A wrong answer is never \
timed; a request without an answer is timed at its age, since leaving it out would flatter the target.";

/// The page: from what the run told, `all` its times if they are known, and its `log` if there is
/// one.
pub(crate) fn html(run: &Measured, all: Option<&Recording>, log: Option<&Recording>) -> String {
    let title = run.asked("url").to_owned();
    let mut markup = Markup::new();
    markup.top("Load test", &title, &beneath(run));
    verdict(&mut markup, run);
    if let Some(note) = &run.about.note {
        markup.paragraph(note);
    }
    tiles(&mut markup, run);
    times(&mut markup, run, all);
    over_time(&mut markup, run, log);
    answers(&mut markup, run);
    generator(&mut markup, run);
    place::section(&mut markup, &run.environment, Some(&run.meanwhile), &[]);
    asked(&mut markup, run);
    again(&mut markup, run);
    page(&format!("loadgen: {title}"), &markup.finish())
}

fn beneath(run: &Measured) -> String {
    let pace = run.rate().map_or_else(
        || "closed loop".to_owned(),
        |rate| format!("open loop at {} requests/s", count(rate)),
    );
    let connections = run.number("connections").unwrap_or_default();
    format!(
        "{pace}, {} connections, {} s measured · {}",
        count(connections),
        run.measured_seconds,
        place::line(&run.environment)
    )
}

fn verdict(markup: &mut Markup, run: &Measured) {
    let (tone, sentence) = match run.result.as_str() {
        "pass" => (
            Tone::Good,
            "The run is valid, and everything asked of it held.",
        ),
        "broken" => (Tone::Bad, "Something asked of the target did not hold."),
        "invalid" => (
            Tone::Unsure,
            "The generator was the bottleneck: the figures describe it, not the target.",
        ),
        _ => (Tone::Neutral, "What became of the run is not known."),
    };
    let mut reasons = run.generator.reasons.clone();
    reasons.extend(run.broken.iter().cloned());
    if run.interrupted {
        reasons.push("The run was ended before its time.".into());
    }
    markup.verdict(tone, &run.result, sentence, &reasons);
}

fn tiles(markup: &mut Markup, run: &Measured) {
    let at = |percentile: &str| {
        let value = run.response_time.percentiles_ns.get(percentile);
        value.map_or_else(|| "–".into(), |&value| nanos(value as f64))
    };
    let wrong = run.requests.failed + run.requests.unanswered;
    let mut tiles = vec![
        (count(run.answers_per_second), "right answers per second"),
        (at("50"), "median response time"),
        (at("99"), "99 % answered within"),
        (at("99.9"), "99.9 % answered within"),
        (count(wrong as f64), "requests without a right answer"),
    ];
    let cpu = run.watched.and_then(|watched| watched.cpu_us_per_request);
    tiles.extend(cpu.map(|cpu| (format!("{cpu:.2} µs"), "CPU time of the target per request")));
    let tiles: Vec<_> = tiles
        .into_iter()
        .map(|(value, name)| (value, name.to_owned()))
        .collect();
    markup.tiles(&tiles);
}

fn times(markup: &mut Markup, run: &Measured, all: Option<&Recording>) {
    markup.section("times", "How long answers took");
    markup.paragraph(if run.rate().is_some() {
        FROM_DUE
    } else {
        FROM_SENT
    });
    let mut titles = vec!["", "samples", "mean"];
    let names = PERCENTILES.map(|percentile| format!("p{percentile}"));
    titles.extend(names.iter().map(String::as_str));
    titles.push("max");
    let series = [
        ("response time", Some(&run.response_time)),
        ("service time", run.service_time.as_ref()),
        ("send lag", run.send_lag.as_ref()),
    ];
    let rows: Vec<_> = series
        .into_iter()
        .filter_map(|(name, times)| Some(row(name, times?)))
        .collect();
    markup.table(&titles, &rows);
    markup.picture(&charts::percentiles_of_run(run, all));
    if all.is_none() {
        markup.paragraph("The curves go through the percentiles of the table; no more is known.");
    }
    markup.end_section();
}

fn row(name: &str, times: &Times) -> Vec<Cell> {
    let shown = |value: f64| Cell::figure(nanos(value));
    let mut row = vec![Cell::name(name), Cell::figure(count(times.count as f64))];
    if times.count == 0 {
        row.extend(std::iter::repeat_n(
            Cell::figure("–"),
            PERCENTILES.len() + 2,
        ));
        return row;
    }
    row.push(shown(times.mean_ns));
    row.extend(PERCENTILES.iter().map(|percentile| {
        let value = times.percentiles_ns.get(*percentile);
        value.map_or_else(|| Cell::figure("–"), |&value| shown(value as f64))
    }));
    row.push(shown(times.max_ns as f64));
    row
}

fn over_time(markup: &mut Markup, run: &Measured, log: Option<&Recording>) {
    if run.intervals.is_empty() {
        return;
    }
    markup.section("time", "How it went");
    markup.picture(&charts::over_time(run));
    if let Some(log) = log {
        markup.picture(&charts::heat(log));
    }
    markup.end_section();
}

fn answers(markup: &mut Markup, run: &Measured) {
    markup.section("answers", "What became of the requests");
    markup.paragraph(COUNTED);
    let requests = &run.requests;
    let mut facts = vec![
        ("due".to_owned(), count(requests.due as f64)),
        (
            "answered rightly".to_owned(),
            count(requests.answered as f64),
        ),
        ("failed".to_owned(), count(requests.failed as f64)),
        ("unanswered".to_owned(), count(requests.unanswered as f64)),
    ];
    if run.rate().is_some() {
        facts.push((
            "due while no connection was free".to_owned(),
            count(requests.waited_for_connection as f64),
        ));
    }
    let received = bytes(run.received_bytes);
    facts.push(("received".to_owned(), received));
    for (kind, &number) in run.errors.iter().filter(|(_, number)| **number > 0) {
        facts.push((format!("error: {kind}"), count(number as f64)));
    }
    for (status, &number) in &run.statuses {
        facts.push((format!("status {status}"), count(number as f64)));
    }
    markup.facts(&facts);
    markup.end_section();
}

fn generator(markup: &mut Markup, run: &Measured) {
    markup.section("generator", "Was the generator fast enough?");
    markup.paragraph(match run.generator.bottleneck {
        true => "No. Its own delays are in the figures:",
        false => {
            "Yes: no thread of it was saturated, and its own delays are a small part of the figures."
        }
    });
    markup.list(&run.generator.reasons);
    let threads = run
        .generator
        .threads
        .iter()
        .enumerate()
        .map(|(index, thread)| {
            vec![
                Cell::name(format!("thread {index}")),
                Cell::figure(percent(thread.busy_share)),
                Cell::figure(percent(thread.waiting_share)),
            ]
        });
    markup.table(
        &["", "busy", "waiting for a processor"],
        &threads.collect::<Vec<_>>(),
    );
    let own = run.generator.cpu_us_per_request;
    let mut facts = vec![(
        "its CPU time per request".to_owned(),
        format!("{own:.1} µs"),
    )];
    if let Some(watched) = &run.watched {
        let cpu = watched.cpu_us_per_request.map(|cpu| format!("{cpu:.2} µs"));
        let consumed = &watched.consumption;
        let share = |seconds: f64| percent(seconds / consumed.seconds.max(f64::MIN_POSITIVE));
        facts.extend([
            (
                "the target's CPU time per request".to_owned(),
                cpu.unwrap_or_default(),
            ),
            (
                "the target was busy".to_owned(),
                share(consumed.cpu_seconds),
            ),
            (
                "the target waited for a processor".to_owned(),
                share(consumed.waiting_seconds),
            ),
            (
                "the target's memory".to_owned(),
                format!(
                    "{} in {} process(es), {} thread(s)",
                    bytes(consumed.resident_bytes),
                    consumed.process_count,
                    consumed.thread_count
                ),
            ),
        ]);
    }
    markup.facts(&facts);
    markup.end_section();
}

/// Every field of what was asked for.
fn asked(markup: &mut Markup, run: &Measured) {
    markup.section("asked", "What was asked");
    let facts = run.run.iter().map(|(name, value)| {
        let name = name.strip_suffix("_seconds").unwrap_or(name);
        let shown = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(values) if values.is_empty() => String::new(),
            Value::Number(number) if run.run.contains_key(&format!("{name}_seconds")) => {
                format!("{number} s")
            }
            Value::Array(_) | Value::Number(_) | Value::Bool(_) | Value::Object(_) => {
                value.to_string()
            }
        };
        (name.replace('_', " "), shown)
    });
    markup.facts(&facts.collect::<Vec<_>>());
    configuration(markup, run);
    markup.end_section();
}

/// The target's configuration, if it was handed over.
fn configuration(markup: &mut Markup, run: &Measured) {
    let Some(configuration) = &run.about.target_configuration else {
        return;
    };
    markup.fold(&format!(
        "Configuration of the target: {}",
        configuration.name
    ));
    markup.verbatim(&configuration.text);
    markup.end_fold();
}

fn again(markup: &mut Markup, run: &Measured) {
    markup.section("again", "How to do it again");
    markup.verbatim(&command(&run.environment.command));
    markup.end_section();
}
