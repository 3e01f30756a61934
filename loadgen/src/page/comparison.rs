//! The page of a comparison, and its sections, which the page of a verification has for each
//! scenario.
//!
//! The finding comes first, in sentences; then figures, ratios and pictures; then what qualifies
//! them: rounds that do not count, errors, noise. Nothing that the text table says is left out.

use hdrhistogram::Histogram;

use crate::compare::document::{Document, log_name};
use crate::compare::metric::Metric;
use crate::compare::scenario::Compares;
use crate::compare::summary::{Ratio, spread};
use crate::hist::format::read_log;

use super::charts;
use super::markup::{Cell, Markup, Tone, page};
use super::place;
use super::words::{command, count, figure, finding, judged, number, percent, ratio};

/// The metrics of the table of ratios.
const RATIO_METRICS: [Metric; 6] = [
    Metric::CpuUs,
    Metric::RequestsPerSecond,
    Metric::P50,
    Metric::P99,
    Metric::P999,
    Metric::Resident,
];

/// How rounds are made and judged.
const METHOD: [&str; 4] = [
    "In each round every entry had the same load in turn, forwards in one round and backwards in \
     the next, so that a drift of the machine hit all alike.",
    "Others are told by the time in which a processor worked or was given away, and not for the \
     comparison. A run in which they took more than a tenth was measured again, a limited number of \
     times.",
    "A round is one observation: figures are means over rounds, ratios geometric means of the \
     ratios within each round, with the interval of Student's t-distribution over rounds.",
    "A difference is a tie when the interval of its ratio holds 1, or when the ratio lies within \
     the spread of the program that was entered twice.",
];
/// How proxies are measured.
const OF_PROXIES: [&str; 3] = [
    "Every run had a process of its own, and no other proxy was alive meanwhile. Origin and \
     generator ran on other processors. All traffic stayed on the loopback interface.",
    "CPU time per request is the CPU time of the proxy's whole process tree within the measured \
     time, divided by the right answers in it.",
    "Every answer was checked (status, length, CRC-32) against what the origin itself answered. A \
     round with a wrong or missing answer does not count.",
];
/// How generators are measured.
const OF_GENERATORS: [&str; 2] = [
    "Each generator was run from its start to its end against the same origin, which had \
     processors of its own. All traffic stayed on the loopback interface.",
    "CPU time per request is what the kernel accounts to the generator and its children, divided \
     by the answers it says it had. A round in which it says that some were wrong does not count.",
];

/// The page of one comparison; the histograms by entry.
pub(crate) fn html(document: &Document, logs: &[(String, Vec<Histogram<u64>>)]) -> String {
    let scenario = &document.scenario;
    let mut markup = Markup::new();
    let place = place::line(&document.machine.environment);
    let beneath = format!("{} · {place}", shape(document));
    markup.top("Comparison", &scenario.title, &beneath);
    verdict(&mut markup, document);
    if let Some(note) = &document.note {
        markup.paragraph(note);
    }
    markup.section("finding", "What it says");
    findings(&mut markup, document);
    markup.end_section();
    markup.section("figures", "Figures");
    figures(&mut markup, document);
    pictures(&mut markup, document, logs);
    markup.end_section();
    markup.section("rounds", "Rounds");
    rounds(&mut markup, document);
    markup.end_section();
    place::section(
        &mut markup,
        &document.machine.environment,
        Some(&document.machine.meanwhile),
        &placement(document),
    );
    markup.section("configurations", "What was compared");
    participants(&mut markup, document);
    configurations(&mut markup, document);
    markup.end_section();
    markup.section("method", "How it was measured");
    method(&mut markup, scenario.compares);
    markup.heading("To do it again");
    markup.verbatim(&command(&document.machine.environment.command));
    markup.end_section();
    page(&format!("loadgen: {}", scenario.name), &markup.finish())
}

/// The load and the rounds, in a line.
pub(super) fn shape(document: &Document) -> String {
    let scenario = &document.scenario;
    format!(
        "{}: {}, {} of {} s",
        scenario.name,
        scenario.load.describe(),
        document.rounds(),
        scenario.load.duration.as_secs_f64()
    )
}

fn verdict(markup: &mut Markup, document: &Document) {
    let (tone, sentence) = match document.result.as_str() {
        "pass" => (
            Tone::Good,
            "Every entry answered rightly and has rounds that count.",
        ),
        "broken" => (Tone::Bad, "Not every answer was right."),
        "invalid" if document.interrupted => (
            Tone::Unsure,
            "It was ended early: the figures are of the rounds that were whole.",
        ),
        "invalid" => (
            Tone::Unsure,
            "An entry has no round that counts: its figures are missing.",
        ),
        _ => (Tone::Neutral, "What became of it is not known."),
    };
    markup.verdict(tone, &document.result, sentence, &document.reasons);
}

/// What the ratios say, in sentences.
pub(super) fn findings(markup: &mut Markup, document: &Document) {
    let is_open = document.scenario.load.rate.is_some();
    let told = |ratio: &&Ratio| {
        let metric = Metric::find(&ratio.metric).ok();
        let is_marked = |name: &String, metric: Metric| {
            let mut lines = document.summary.entries.iter();
            let line = lines.find(|line| line.name == *name);
            line.is_some_and(|line| line.is_marked(metric))
        };
        let is_free = metric.is_some_and(|metric| {
            !is_marked(&ratio.entry, metric) && !is_marked(&ratio.to, metric)
        });
        match metric {
            Some(Metric::CpuUs) => true,
            Some(Metric::RequestsPerSecond) => !is_open && is_free,
            Some(Metric::P99 | Metric::ServiceP99) => is_open && is_free,
            _ => false,
        }
    };
    let findings: Vec<_> = document
        .summary
        .ratios
        .iter()
        .filter(told)
        .map(|ratio| {
            let (tone, word) = judged(ratio);
            let spread = noise(document, &ratio.metric);
            (
                tone,
                word.to_owned(),
                finding(ratio, spread, document.confidence),
            )
        })
        .collect();
    match findings.is_empty() {
        true => markup.paragraph("No entry was compared to another."),
        false => markup.findings(&findings),
    }
    markup.warning("What qualifies this", &document.remarks);
}

fn noise(document: &Document, metric: &str) -> Option<f64> {
    let noise = document.summary.noise.iter();
    let found = noise
        .filter(|ratio| ratio.metric == metric)
        .map(|ratio| spread(&ratio.ratio));
    found.fold(None, |_, spread| Some(spread))
}

/// The tables.
pub(super) fn figures(markup: &mut Markup, document: &Document) {
    let lines = &document.summary.entries;
    let shown: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|metric| document.shows(*metric))
        .filter(|metric| {
            lines
                .iter()
                .any(|line| line.figures.contains_key(metric.name()))
        })
        .collect();
    let mut titles = vec!["entry"];
    titles.extend(shown.iter().map(|metric| metric.title()));
    titles.extend(["errors", "rounds"]);
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let mut row = vec![Cell::name(&*line.name)];
            for metric in &shown {
                let Some(estimate) = line.figures.get(metric.name()) else {
                    row.push(Cell::figure("–"));
                    continue;
                };
                let (mut value, note) = figure(estimate, metric.unit());
                if line.is_marked(*metric) {
                    value.push('*');
                }
                row.push(Cell::figure(value).with_note(note));
            }
            row.push(Cell::figure(
                count(line.errors.values().sum::<u64>() as f64),
            ));
            row.push(Cell::figure(line.rounds.to_string()));
            row
        })
        .collect();
    markup.table(&titles, &rows);
    if lines.iter().any(|line| line.generator_bound_rounds > 0) {
        markup.paragraph(
            "* The generator was the bottleneck in some rounds: throughput and times describe it, \
             CPU time the proxy.",
        );
    }
    ratios(markup, document);
    syscalls(markup, document);
}

fn ratios(markup: &mut Markup, document: &Document) {
    let summary = &document.summary;
    let Some(to) = summary.ratios.first().map(|ratio| &ratio.to) else {
        return;
    };
    markup.heading(&format!(
        "Ratios to {to}, with {} confidence",
        percent(document.confidence)
    ));
    let mut titles = vec!["entry"];
    titles.extend(RATIO_METRICS.map(Metric::title));
    let row = |entry: &str, ratios: &[Ratio], words: bool| {
        let mut row = vec![Cell::name(entry)];
        row.extend(RATIO_METRICS.map(|metric| {
            let found = ratios
                .iter()
                .find(|ratio| ratio.entry == entry && ratio.metric == metric.name());
            let Some(found) = found else {
                return Cell::figure("–");
            };
            let (value, interval) = ratio(&found.ratio);
            let word = if words { found.word.label() } else { "" };
            let note = format!("{interval} {word}");
            Cell::figure(value).with_note(note.trim_end())
        }));
        row
    };
    let has_ratios = |name: &String| summary.ratios.iter().any(|ratio| ratio.entry == *name);
    let mut rows: Vec<_> = summary
        .entries
        .iter()
        .filter(|line| has_ratios(&line.name))
        .map(|line| row(&line.name, &summary.ratios, true))
        .collect();
    if let Some(first) = summary.noise.first() {
        let mut noise = row(&first.entry, &summary.noise, false);
        if let Some(name) = noise.first_mut() {
            *name = Cell::name("noise").with_note(format!("{} to {}", first.entry, first.to));
        }
        rows.push(noise);
    }
    markup.table(&titles, &rows);
}

fn syscalls(markup: &mut Markup, document: &Document) {
    if document.syscalls.is_empty() {
        return;
    }
    markup.heading("System calls per request (strace, a run of its own)");
    let rows: Vec<_> = document
        .syscalls
        .iter()
        .map(|calls| {
            let names: Vec<_> = calls
                .largest()
                .iter()
                .map(|(name, number)| format!("{name} {number:.2}"))
                .collect();
            vec![
                Cell::name(&*calls.entry),
                Cell::figure(format!("{:.2}", calls.per_request)),
                Cell::words(names.join(", ")),
            ]
        })
        .collect();
    markup.table(&["entry", "all", "the most frequent"], &rows);
}

/// The charts.
pub(super) fn pictures(
    markup: &mut Markup,
    document: &Document,
    logs: &[(String, Vec<Histogram<u64>>)],
) {
    let metric = match document.scenario.load.rate {
        Some(_) => Metric::P99,
        None => Metric::RequestsPerSecond,
    };
    let lines = &document.summary.entries;
    // Of a saturated generator only the CPU time describes the proxies.
    let is_free = lines.iter().all(|line| !line.is_marked(metric));
    let charts = [
        charts::figures(document, Metric::CpuUs),
        charts::ratios(document, Metric::CpuUs),
        charts::ratios(document, metric).filter(|_| is_free),
        charts::percentiles_of_entries(logs),
        charts::drift(document),
    ];
    for chart in charts.into_iter().flatten() {
        markup.picture(&chart);
    }
}

/// Every run, in the order they were made.
pub(super) fn rounds(markup: &mut Markup, document: &Document) {
    let discarded = document
        .runs
        .iter()
        .filter(|run| run.worth.discarded.is_some())
        .count();
    markup.paragraph(&match discarded {
        0 => format!("All {} runs count.", document.runs.len()),
        _ => format!("{discarded} of {} runs do not count.", document.runs.len()),
    });
    markup.fold("Every run, in the order they were made");
    let rows = document.runs.iter().map(|run| {
        let entry = document.entries.get(run.entry);
        let measured = &run.measured;
        let cpu = measured
            .watched
            .and_then(|watched| watched.cpu_us_per_request);
        let at = |percentile| measured.response_time.at(percentile);
        let shown = |value: Option<f64>, metric: Metric| {
            Cell::figure(value.map_or_else(|| "–".into(), |value| number(value, metric.unit())))
        };
        let busy = measured.generator.threads.iter();
        let busy = busy.map(|thread| thread.busy_share).fold(0.0, f64::max);
        let worth = &run.worth;
        let (tone, word) = match &worth.discarded {
            Some(_) => (Tone::Bad, "does not count"),
            None if worth.only_late => (Tone::Unsure, "CPU and service time"),
            None if worth.generator_bound => (Tone::Unsure, "CPU time only"),
            None => (Tone::Good, "counts"),
        };
        vec![
            Cell::figure((run.round + 1).to_string()),
            Cell::name(entry.map_or("", |entry| &*entry.name)),
            shown(cpu, Metric::CpuUs),
            shown(Some(measured.answers_per_second), Metric::RequestsPerSecond),
            shown(at("50"), Metric::P50),
            shown(at("99"), Metric::P99),
            Cell::figure(percent(busy)),
            Cell::figure(percent(run.others.proxy_share.max(run.others.load_share))),
            Cell::chip(tone, word).with_note(run.worth.discarded.clone().unwrap_or_default()),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let titles = [
        "round",
        "entry",
        "CPU us/req",
        "requests/s",
        "p50",
        "p99",
        "generator busy",
        "others",
        "",
    ];
    markup.table(&titles, &rows);
    markup.end_fold();
}

/// How processors were divided.
pub(super) fn placement(document: &Document) -> Vec<(String, String)> {
    let list = |cpus: &[usize]| {
        let cpus: Vec<_> = cpus.iter().map(ToString::to_string).collect();
        cpus.join(", ")
    };
    let machine = &document.machine;
    vec![
        (
            format!("{} pinned to", document.scenario.compares.plural()),
            list(&machine.proxy_cpus),
        ),
        (
            format!("{} pinned to", document.scenario.compares.others()),
            list(&machine.load_cpus),
        ),
    ]
}

/// Who took part.
pub(super) fn participants(markup: &mut Markup, document: &Document) {
    let rows: Vec<_> = document
        .entries
        .iter()
        .map(|entry| {
            vec![
                Cell::name(&*entry.name),
                Cell::words(&*entry.version),
                Cell::words(&*entry.program),
            ]
        })
        .collect();
    markup.table(&["entry", "version", "program"], &rows);
}

/// The configurations, and the scenario, to unfold.
pub(super) fn configurations(markup: &mut Markup, document: &Document) {
    for entry in &document.entries {
        markup.fold(&format!("Configuration of {}", entry.name));
        markup.verbatim(&entry.configuration);
        markup.end_fold();
    }
    markup.fold("The scenario");
    let scenario = toml::to_string(&document.scenario);
    markup.verbatim(&scenario.unwrap_or_else(|error| error.to_string()));
    markup.end_fold();
}

/// How it was measured.
pub(super) fn method(markup: &mut Markup, compares: Compares) {
    let own = match compares {
        Compares::Proxies => &OF_PROXIES[..],
        Compares::Generators => &OF_GENERATORS[..],
    };
    let sentences = own.iter().chain(&METHOD).copied();
    markup.list(&sentences.map(str::to_owned).collect::<Vec<_>>());
}

/// The histograms of a comparison's folder, by entry, of the rounds that count.
pub(crate) fn histograms(
    document: &Document,
    folder: &std::path::Path,
) -> Vec<(String, Vec<Histogram<u64>>)> {
    let of_entry = |(index, entry): (usize, &crate::compare::document::Participant)| {
        // Generators leave none.
        let log = read_log(&folder.join(log_name(&entry.name))).unwrap_or_default();
        let rounds = log.intervals(None).iter();
        let rounds: Vec<_> = rounds.map(|interval| interval.times.clone()).collect();
        let counts = |round: usize| {
            let mut runs = document.runs.iter();
            runs.any(|run| {
                run.entry == index && run.round == round && run.worth.discarded.is_none()
            })
        };
        let rounds = rounds.into_iter().enumerate();
        let rounds = rounds.filter(|(round, _)| counts(*round));
        (entry.name.clone(), rounds.map(|(_, times)| times).collect())
    };
    document.entries.iter().enumerate().map(of_entry).collect()
}
