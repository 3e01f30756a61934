//! The table of claims in a page, between two markers.
//!
//! Each claim stands there with the latest recorded run that tested it *as it is written now*: a
//! claim whose sentence or limit has changed since is not yet tested. What was refuted stays in the
//! table.

use std::fmt::Write as _;

use super::claim::{Claim, Finding, Judgement};
use super::record::Record;
use crate::compare::metric::{Metric, Unit};

/// The line before the table.
const BEGIN: &str = "<!-- claims: made by `loadgen verify`, not by hand -->";
/// The line after it.
const END: &str = "<!-- /claims -->";

/// The table of all claims; `runs` is where the records lie, as the page links there.
pub(crate) fn table(claims: &[Claim], records: &[(String, Record)], runs: &str) -> String {
    let mut text = String::from("| claim | result | measured | run |\n|---|---|---|---|\n");
    for claim in claims {
        let tested = records.iter().find_map(|(run, record)| {
            let is_it =
                |judgement: &&Judgement| judgement.claim == *claim && judgement.verdict.is_some();
            Some((run, record.judgements.iter().find(is_it)?))
        });
        let row = match tested {
            Some((run, judgement)) => format!(
                "| {} | {} | {} | [{run}]({runs}/{run}) |",
                claim.text,
                judgement.verdict.map_or("", super::claim::Verdict::label),
                measured(judgement)
            ),
            None => format!("| {} | not yet tested | | |", claim.text),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{row}");
    }
    text
}

/// The figures of a judgement, `0.78 [0.76, 0.80] x nginx`.
pub(crate) fn measured(judgement: &Judgement) -> String {
    let unit = Metric::find(&judgement.claim.metric).map(Metric::unit);
    let shown = |finding: &Finding| {
        let figure = finding.figure;
        match (&finding.peer, &unit) {
            (Some(peer), _) if figure.rounds < 2 => {
                format!("{:.2} (one round) x {peer}", figure.mean)
            }
            (Some(peer), _) => format!(
                "{:.2} [{:.2}, {:.2}] x {peer}",
                figure.mean, figure.low, figure.high
            ),
            (None, Ok(unit)) if figure.rounds < 2 => {
                format!("{} (one round)", number(figure.mean, *unit))
            }
            (None, Ok(unit)) => format!(
                "{} [{}, {}]",
                number(figure.mean, *unit),
                number(figure.low, *unit),
                number(figure.high, *unit)
            ),
            (None, Err(_)) => String::new(),
        }
    };
    let shown: Vec<String> = judgement.findings.iter().map(shown).collect();
    shown.join("; ")
}

fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Micros => format!("{value:.2} us"),
        Unit::Rate => format!("{value:.0}/s"),
        Unit::Nanos => crate::quantity::show_nanos(value),
        Unit::Bytes => format!("{value:.0} B"),
    }
}

/// The page with its table replaced.
pub(crate) fn replace(page: &str, table: &str) -> Result<String, String> {
    let missing = || format!("the page has no lines `{BEGIN}` and `{END}`");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::statistics::Estimate;
    use crate::verify::claim::{Claims, Verdict};

    const CLAIMS: &str = r#"
        [[claim]]
        id = "a"
        text = "Less CPU"
        scenario = "h1-1k"
        metric = "cpu_us_per_request"
        relation = "<="
        peer = ["nginx", "haproxy"]
        factor = 0.8
        [[claim]]
        id = "b"
        text = "Small"
        scenario = "idle"
        metric = "resident_bytes_per_connection"
        relation = "<="
        bound = 1024
    "#;

    fn record(claim: &Claim, began: u64, mean: f64, verdict: Verdict) -> Record {
        let figure = Estimate {
            mean,
            low: mean - 0.02,
            high: mean + 0.02,
            rounds: 7,
        };
        let finding = Finding {
            peer: claim.peer.names().first().cloned(),
            figure,
            verdict,
        };
        Record {
            began_unix_seconds: began,
            judgements: vec![Judgement {
                claim: claim.clone(),
                verdict: Some(verdict),
                findings: vec![finding],
                reason: None,
                remarks: Vec::new(),
            }],
            ..Record::default()
        }
    }

    #[test]
    fn the_latest_run_counts_and_the_untested_say_so() {
        let claims = Claims::parse(CLAIMS).expect("claims").claims;
        let records = [
            (
                "new".to_owned(),
                record(&claims[0], 2, 0.78, Verdict::Verified),
            ),
            (
                "old".to_owned(),
                record(&claims[0], 1, 0.9, Verdict::Refuted),
            ),
        ];
        let text = table(&claims, &records, "bench/runs");
        let row = "| Less CPU | verified | 0.78 [0.76, 0.80] x nginx | [new](bench/runs/new) |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| Small | not yet tested | | |"), "{text}");
    }

    #[test]
    fn a_claim_that_changed_is_not_yet_tested() {
        let mut claims = Claims::parse(CLAIMS).expect("claims").claims;
        let records = [(
            "run".to_owned(),
            record(&claims[0], 1, 0.7, Verdict::Verified),
        )];
        claims[0].factor = Some(0.6);
        let text = table(&claims, &records, "bench/runs");
        assert_eq!(text.matches("not yet tested").count(), 2, "{text}");
    }

    #[test]
    fn one_round_shows_no_interval() {
        let claims = Claims::parse(CLAIMS).expect("claims").claims;
        for (claim, shown) in [(0, "0.70 (one round) x nginx"), (1, "1 B (one round)")] {
            let mut record = record(&claims[claim], 1, 0.7, Verdict::Inconclusive);
            record.judgements[0].findings[0].figure.rounds = 1;
            assert_eq!(measured(&record.judgements[0]), shown);
        }
    }

    #[test]
    fn a_bound_is_shown_in_its_unit() {
        let claims = Claims::parse(CLAIMS).expect("claims").claims;
        let record = record(&claims[1], 1, 900.0, Verdict::Verified);
        assert_eq!(measured(&record.judgements[0]), "900 B [900 B, 900 B]");
    }

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let page = format!("# A\n{BEGIN}\nold\n{END}\nrest\n");
        let new = replace(&page, "| x |\n").expect("markers");
        assert_eq!(new, format!("# A\n{BEGIN}\n\n| x |\n\n{END}\nrest\n"));
        assert_eq!(replace(&new, "| x |\n"), Ok(new));
        assert!(replace("# A", "").is_err());
    }
}
