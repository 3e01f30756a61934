//! Tests of the summary with runs whose figures are known.

use serde_json::json;

use super::*;

fn run(round: usize, entry: usize, cpu: f64, discarded: bool) -> Run {
    let measured = json!({
        "answers_per_second": 1e6 / cpu,
        "requests": {"due": 10, "answered": 10, "failed": 0, "unanswered": u64::from(discarded)},
        "errors": {"reset": u64::from(discarded), "status": 0},
        "statuses": {"200": 10},
        "response_time": {"percentiles_ns": {"50": 5, "99": 9, "99.9": 9}},
        "service_time": null,
        "send_lag": null,
        "generator": {"cpu_us_per_request": 1.0, "threads": []},
        "watched": {
            "cpu_us_per_request": cpu, "seconds": 1.0, "cpu_seconds": 0.5,
            "waiting_seconds": 0.02, "resident_bytes": 5_000, "proportional_bytes": 4_000,
        },
    });
    Run {
        at_seconds: 0.0,
        round,
        entry,
        measured: serde_json::from_value(measured).expect("a run"),
        worth: Worth {
            discarded: discarded.then(|| "why".into()),
            generator_bound: round == 0,
            only_late: false,
            only_disturbed: false,
        },
        resident_bytes_at_start: Some(1_000),
        others: Others::default(),
        repeats: 0,
    }
}

/// Entries: a, b and a again; by round the CPU time of each.
fn summary(figures: &[[f64; 3]], discarded: &[(usize, usize)]) -> Summary {
    let names = ["a", "b", "a again"].map(str::to_owned);
    let frame = Frame {
        names: &names,
        connections: 4,
        ratio_to: Some(1),
        twice: Some([0, 2]),
        confidence: 0.95,
    };
    let mut runs = Vec::new();
    for (round, figures) in figures.iter().enumerate() {
        for (entry, &cpu) in figures.iter().enumerate() {
            runs.push(run(round, entry, cpu, discarded.contains(&(round, entry))));
        }
    }
    frame.summary(&runs)
}

fn cpu<'a>(ratios: &'a [Ratio], entry: &str) -> &'a Ratio {
    let is_it = |ratio: &&Ratio| ratio.entry == entry && ratio.metric == "cpu_us_per_request";
    ratios.iter().find(is_it).expect("a ratio")
}

#[test]
fn a_difference_beyond_the_spread_is_one() {
    let found = summary(
        &[[8.0, 10.0, 8.1], [8.1, 10.1, 8.0], [8.0, 10.0, 8.05]],
        &[],
    );
    let ratio = cpu(&found.ratios, "a");
    assert!((ratio.ratio.mean - 0.8).abs() < 0.01, "{ratio:?}");
    assert_eq!((ratio.word, &*ratio.to), (Word::Less, "b"));
    assert_eq!(cpu(&found.noise, "a again").word, Word::Tie);
    assert_eq!(found.noise[0].to, "a");
    let faster = found
        .ratios
        .iter()
        .find(|ratio| ratio.metric == "requests_per_second");
    assert_eq!(faster.expect("a ratio").word, Word::More);
}

#[test]
fn a_difference_within_the_spread_is_a_tie() {
    // a to b is 0.98 without any variance, but a to itself differs by 4 %.
    let found = summary(
        &[[9.8, 10.0, 10.2], [9.8, 10.0, 10.2], [9.8, 10.0, 10.2]],
        &[],
    );
    let ratio = cpu(&found.ratios, "a");
    assert!(!ratio.ratio.holds(1.0), "{ratio:?}");
    assert_eq!(ratio.word, Word::Tie);
}

#[test]
fn an_interval_that_holds_one_is_a_tie() {
    let found = summary(
        &[[8.0, 10.0, 8.0], [12.0, 10.0, 12.0], [9.0, 10.0, 9.0]],
        &[],
    );
    assert_eq!(cpu(&found.ratios, "a").word, Word::Tie);
}

#[test]
fn a_round_counts_for_a_ratio_when_both_runs_count() {
    let figures = [[8.0, 10.0, 8.0], [8.0, 10.0, 8.0], [80.0, 10.0, 8.0]];
    let found = summary(&figures, &[(2, 0), (1, 1)]);
    let ratio = cpu(&found.ratios, "a");
    assert_eq!(ratio.ratio.rounds, 1);
    assert!((ratio.ratio.mean - 0.8).abs() < 1e-9);
    let [a, b, again] = &found.entries[..] else {
        panic!("three entries");
    };
    assert_eq!((a.rounds, b.rounds, again.rounds), (2, 2, 3));
    assert_eq!(a.discarded, ["round 3: why"]);
    assert_eq!(
        a.errors,
        [("reset".into(), 1), ("unanswered".into(), 1)].into()
    );
    assert!(again.errors.is_empty());
}

#[test]
fn lines_tell_what_qualifies_the_figures() {
    let found = summary(&[[8.0, 10.0, 8.0], [8.0, 10.0, 8.0]], &[]);
    let line = &found.entries[0];
    assert_eq!((line.generator_bound_rounds, line.only_late_rounds), (1, 0));
    assert!(line.is_marked(Metric::ServiceP99) && !line.is_marked(Metric::CpuUs));
    assert!((line.waiting_share_max - 0.02).abs() < 1e-9);
    // 5000 bytes, 1000 of them before there were 4 connections.
    let memory = line.figures["resident_bytes_per_connection"];
    assert!((memory.mean - 1_000.0).abs() < 1e-9);
    assert!(!line.figures.contains_key("service_p99_ns"));
}
