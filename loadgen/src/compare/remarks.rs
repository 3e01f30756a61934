//! What qualifies the figures of a comparison, in sentences. Pure.
//!
//! Rounds that do not count, a busy generator, wrong answers, proxies that had to wait for their
//! processor, other work on the machine: the table, the page and the JSON all say them, so that
//! nobody reads a figure without them.

use super::document::Document;
use super::summary::Line;

/// The share of a round a proxy may wait for its processor before it is mentioned.
const WAITING_SHARE_MENTIONED: f64 = 0.05;

/// All remarks: that it was ended early, entry by entry, then those on the machine.
pub(crate) fn of(document: &Document) -> Vec<String> {
    let lines = document.summary.entries.iter().flat_map(on);
    let early = interrupted(document).into_iter();
    early
        .chain(lines)
        .chain(document.machine.remarks())
        .collect()
}

/// Why a comparison is not valid; empty when it is.
pub(crate) fn reasons(document: &Document) -> Vec<String> {
    let early = interrupted(document).into_iter();
    early.chain(faults(&document.summary.entries)).collect()
}

fn interrupted(document: &Document) -> Option<String> {
    document
        .interrupted
        .then(|| format!("interrupted after {}", document.rounds()))
}

fn faults(lines: &[Line]) -> Vec<String> {
    let wrong = |line: &Line| {
        line.errors
            .iter()
            .map(|(kind, count)| format!("{}: {count} x {kind}", line.name))
            .collect::<Vec<_>>()
    };
    let none = lines.iter().filter(|line| line.rounds == 0);
    let none = none.map(|line| format!("{} has no round that counts", line.name));
    lines.iter().flat_map(wrong).chain(none).collect()
}

fn on(line: &Line) -> Vec<String> {
    let (name, mut remarks) = (&line.name, Vec::new());
    if line.generator_bound_rounds > 0 {
        remarks.push(format!(
            "{name}: the generator was the bottleneck in {} of {} rounds (*): throughput and times \
             describe it, CPU time the proxy; in {} of them only by sending late, which is not in \
             the uncorrected times",
            line.generator_bound_rounds, line.rounds, line.only_late_rounds
        ));
    }
    let discarded = line.discarded.iter();
    remarks.extend(discarded.map(|why| format!("{name}: discarded {why}")));
    let errors = line.errors.iter();
    remarks.extend(errors.map(|(kind, count)| format!("{name}: {count} x {kind}")));
    if line.errors.contains_key("status") {
        let statuses = &line.statuses;
        remarks.push(format!("{name}: answers by status: {statuses:?}"));
    }
    if line.repeats > 0 {
        remarks.push(format!(
            "{name}: {} runs were measured again, since others took more than a tenth of the \
             processors",
            line.repeats
        ));
    }
    if line.waiting_share_max > WAITING_SHARE_MENTIONED {
        remarks.push(format!(
            "{name}: its threads waited for a processor up to {:.0} % of a round: something else \
             ran there, or they wait for each other",
            line.waiting_share_max * 100.0
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_speaks_against_an_entry_is_said() {
        let line = Line {
            name: "nginx".into(),
            figures: Default::default(),
            rounds: 0,
            generator_bound_rounds: 1,
            only_late_rounds: 0,
            discarded: vec!["round 2: why".into()],
            errors: [("status".to_owned(), 3)].into(),
            statuses: [(503, 3)].into(),
            waiting_share_max: 0.2,
            repeats: 4,
        };
        let text = on(&line).join("\n");
        for part in [
            "bottleneck",
            "discarded round 2",
            "3 x status",
            "503: 3",
            "4 runs were measured again",
            "20 %",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let expected = ["nginx: 3 x status", "nginx has no round that counts"];
        assert_eq!(faults(&[line]), expected);
    }
}
