//! The page of a verification: what became of each claim, and the comparisons that decided it.
//!
//! The claims come first, each beside its limit; then a section for each scenario, with the tables
//! and pictures that the page of a comparison has; then where and how all of it was measured.

use hdrhistogram::Histogram;

use crate::compare::document::Document;
use crate::compare::scenario::Compares;
use crate::plot::Row;
use crate::verify::claim::{Claim, Finding, Judgement, Relation, Verdict};
use crate::verify::record::Record;
use crate::verify::table;

use super::markup::{Cell, Markup, Tone, page};
use super::words::{command, unbroken};
use super::{charts, comparison, place};

/// What the words mean.
const MEANING: [&str; 4] = [
    "verified: the whole confidence interval lies on the claimed side of the limit.",
    "refuted: the whole interval lies on the other side.",
    "inconclusive: the interval holds the limit; more rounds, or a quieter machine, may tell.",
    "not tested: this run could not test it, for the reason given.",
];

/// A scenario that was run for some claims.
#[derive(Debug)]
pub(crate) struct Part {
    /// The comparison.
    pub document: Document,
    /// Its histograms by entry.
    pub logs: Vec<(String, Vec<Histogram<u64>>)>,
}

/// The page of a recorded run; `name` is its folder's.
pub(crate) fn html(name: &str, record: &Record, parts: &[Part]) -> String {
    let mut markup = Markup::new();
    let title = match record.judgements.len() {
        1 => "What became of one claim".into(),
        count => format!("What became of {count} claims"),
    };
    markup.top("Verification", &title, &place::line(&record.environment));
    verdict(&mut markup, record);
    if let Some(note) = &record.note {
        markup.paragraph(note);
    }
    let mut places = vec![("claims".to_owned(), "Claims".to_owned())];
    places.extend(
        parts
            .iter()
            .map(|part| &part.document.scenario)
            .map(|scenario| (scenario.name.clone(), scenario.name.clone())),
    );
    places.push(("environment".into(), "Environment".into()));
    places.push(("method".into(), "Method".into()));
    markup.contents(&places);
    claims(&mut markup, record);
    for part in parts {
        section(&mut markup, part, record);
    }
    let placement = parts
        .first()
        .map(|part| comparison::placement(&part.document));
    place::section(
        &mut markup,
        &record.environment,
        Some(&record.meanwhile),
        &placement.unwrap_or_default(),
    );
    markup.section("method", "How it was measured");
    comparison::method(&mut markup, Compares::Proxies);
    markup.heading("To do it again");
    markup.verbatim(&command(&record.environment.command));
    markup.end_section();
    page(&format!("loadgen: claims, {name}"), &markup.finish())
}

fn verdict(markup: &mut Markup, record: &Record) {
    let count = |verdict: Option<Verdict>| {
        let of_it = |judgement: &&Judgement| judgement.verdict == verdict;
        record.judgements.iter().filter(of_it).count()
    };
    let words = [
        (Some(Verdict::Verified), "verified"),
        (Some(Verdict::Inconclusive), "inconclusive"),
        (Some(Verdict::Refuted), "refuted"),
        (None, "not tested"),
    ];
    let counted: Vec<_> = words
        .into_iter()
        .filter(|(verdict, _)| count(*verdict) > 0)
        .map(|(verdict, word)| format!("{} {word}", count(verdict)))
        .collect();
    let worst = match () {
        () if count(Some(Verdict::Refuted)) > 0 => Some(Verdict::Refuted),
        () if count(None) > 0 => None,
        () if count(Some(Verdict::Inconclusive)) > 0 => Some(Verdict::Inconclusive),
        () => Some(Verdict::Verified),
    };
    let (tone, word) = word(worst);
    let sentence = format!("{}.", counted.join(", "));
    let reasons: Vec<_> = record.reasons.iter().map(|it| reason(it)).collect();
    markup.verdict(tone, word, &sentence, &reasons);
}

/// A reason, whose figures are not parted; others are sentences.
fn reason(text: &str) -> String {
    match text.split_once(" was refuted: ") {
        Some((id, figures)) => format!("{id} was refuted: {}", unbroken(figures)),
        None => text.to_owned(),
    }
}

fn claims(markup: &mut Markup, record: &Record) {
    markup.section("claims", "The claims");
    let rows: Vec<_> = record
        .judgements
        .iter()
        .map(|judgement| {
            let (tone, word) = word(judgement.verdict);
            let measured = match &judgement.reason {
                Some(reason) => reason.clone(),
                None => unbroken(&table::measured(judgement)),
            };
            vec![
                Cell::words(&*judgement.claim.text).with_note(judgement.remarks.join("; ")),
                Cell::chip(tone, word),
                Cell::words(measured),
                scenario(record, &judgement.claim.scenario),
            ]
        })
        .collect();
    markup.table(&["claim", "result", "measured", "scenario"], &rows);
    if let Some(chart) = charts::claims(record.judgements.iter().flat_map(distances).collect()) {
        markup.picture(&chart);
    }
    markup.list(&MEANING.map(str::to_owned));
    markup.end_section();
}

/// The name of a scenario, which leads to its section if it has one.
fn scenario(record: &Record, name: &str) -> Cell {
    match record.scenarios().contains(&name) {
        true => Cell::link(name, name),
        false => Cell::words(name),
    }
}

const fn word(verdict: Option<Verdict>) -> (Tone, &'static str) {
    match verdict {
        Some(Verdict::Verified) => (Tone::Good, "verified"),
        Some(Verdict::Inconclusive) => (Tone::Unsure, "inconclusive"),
        Some(Verdict::Refuted) => (Tone::Bad, "refuted"),
        None => (Tone::Neutral, "not tested"),
    }
}

/// The figures of a claim as shares of what it allows: below 1 it holds.
fn distances(judgement: &Judgement) -> Vec<Row> {
    let claim = &judgement.claim;
    let row = |finding: &Finding| {
        let limit = finding
            .peer
            .as_ref()
            .map_or(claim.bound, |_| claim.factor)?;
        let share = |value: f64| match claim.relation {
            Relation::AtMost => value / limit,
            Relation::AtLeast => limit / value,
        };
        let (low, high) = match claim.relation {
            Relation::AtMost => (finding.figure.low, finding.figure.high),
            Relation::AtLeast => (finding.figure.high, finding.figure.low),
        };
        Some(Row {
            name: name(claim, finding),
            mean: share(finding.figure.mean),
            low: share(low),
            high: share(high),
            // Green holds, orange does not, yellow is open.
            series: match finding.verdict {
                Verdict::Verified => 2,
                Verdict::Refuted => 1,
                Verdict::Inconclusive => 4,
            },
        })
    };
    let rows = judgement.findings.iter().filter_map(row);
    rows.filter(|row| row.mean.is_finite()).collect()
}

fn name(claim: &Claim, finding: &Finding) -> String {
    match &finding.peer {
        Some(peer) => format!("{} / {peer}", claim.id),
        None => claim.id.clone(),
    }
}

/// The comparison of one scenario.
fn section(markup: &mut Markup, part: &Part, record: &Record) {
    let document = &part.document;
    let scenario = &document.scenario;
    markup.section(&scenario.name, &scenario.title);
    markup.paragraph(&comparison::shape(document));
    let of_it = |judgement: &&Judgement| judgement.claim.scenario == scenario.name;
    let judged: Vec<_> = record
        .judgements
        .iter()
        .filter(of_it)
        .map(|judgement| {
            let (tone, word) = word(judgement.verdict);
            let claim = &judgement.claim;
            let measured = unbroken(&table::measured(judgement));
            let sentence = format!("{}. Measured: {measured}", claim.text);
            (tone, word.to_owned(), sentence)
        })
        .collect();
    markup.findings(&judged);
    markup.warning("What qualifies this", &document.remarks);
    comparison::figures(markup, document);
    comparison::pictures(markup, document, &part.logs);
    comparison::rounds(markup, document);
    comparison::participants(markup, document);
    comparison::configurations(markup, document);
    markup.end_section();
}
