//! `loadgen verify`: runs what a file of claims says, and writes down what became of each claim.
//!
//! Claims of one scenario share one comparison. `claim.rs` judges, `record.rs` keeps runs,
//! `table.rs` writes the table of the page. A claim whose peer is missing is not tested and says
//! why; the others of its scenario are.

pub(crate) mod claim;
pub(crate) mod options;
pub(crate) mod record;
pub(crate) mod table;

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::io::clock;

use crate::compare::options::CompareOptions;
use crate::compare::scenario::{Compares, Scenario};
use crate::environment::{Environment, Meter};
use crate::report::print;
use crate::verdict::Outcome;

use self::claim::{Claim, Claims, Judgement, Verdict};
use self::options::VerifyOptions;
use self::record::Record;

/// Verifies and reports.
///
/// *Errors:* sentences for the user.
pub(crate) fn run(options: &VerifyOptions) -> Result<Outcome, String> {
    let path = options.claims.display();
    let text = fs::read_to_string(&options.claims).map_err(|error| {
        format!("cannot read {path}: {error}; name the file, or run this where bench/ is")
    })?;
    let Claims { claims } = Claims::parse(&text).map_err(|error| format!("{path}: {error}"))?;
    let unknown = |id: &&String| !claims.iter().any(|claim| claim.id == **id);
    if let Some(id) = options.only.iter().find(unknown) {
        let known: Vec<_> = claims.iter().map(|claim| &*claim.id).collect();
        let known = known.join(", ");
        return Err(format!(
            "there is no claim {id} in {path}; there are {known}"
        ));
    }
    if options.table_only {
        write_table(options, &claims)?;
        let _ = writeln!(stderr(), "the table is in {}", options.page().display());
        return Ok(Outcome::Pass);
    }
    let chosen = |claim: &&Claim| options.only.is_empty() || options.only.contains(&claim.id);
    let judgements = test(options, &claims.iter().filter(chosen).collect::<Vec<_>>())?;
    write_table(options, &claims)?;
    Ok(outcome(&judgements))
}

/// Runs the scenarios of the claims, records the run, prints a line for each claim.
fn test(options: &VerifyOptions, claims: &[&Claim]) -> Result<Vec<Judgement>, String> {
    let stop = crate::run::ending_signal()?;
    let (environment, meter) = (Environment::read(), Meter::begin());
    let now = clock::wall().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let seconds = now.map_or(0, |since| since.as_secs());
    let machine = rustix::system::uname();
    let folder = record::create(
        &options.runs(),
        seconds,
        &machine.nodename().to_string_lossy(),
    )?;
    let mut judgements = Vec::new();
    let mut scenarios: Vec<&str> = Vec::new();
    for claim in claims {
        if !scenarios.contains(&&*claim.scenario) {
            scenarios.push(&claim.scenario);
        }
    }
    for scenario in scenarios {
        let of_it = claims.iter().filter(|claim| claim.scenario == scenario);
        let of_it: Vec<_> = of_it.copied().collect();
        let found = match stop.load(Ordering::Relaxed) {
            true => untested(&of_it, "interrupted before its scenario was run"),
            false => of_scenario(options, &of_it, &folder, &stop)?,
        };
        for judgement in &found {
            tell(judgement)?;
        }
        judgements.extend(found);
        // After each scenario, so that a run that is killed leaves what it had found.
        let record = Record {
            began_unix_seconds: seconds,
            environment: environment.clone(),
            meanwhile: meter.end(),
            result: outcome(&judgements).label().into(),
            valid: judgements.iter().all(|found| found.verdict.is_some()),
            reasons: reasons(&judgements),
            note: options.note.clone(),
            judgements: judgements.clone(),
        };
        record::write(&folder, &record)?;
        crate::page::write_into(&folder)?;
    }
    if stop.load(Ordering::Relaxed) && judgements.iter().all(|it| it.verdict.is_none()) {
        let _ = fs::remove_dir_all(&folder);
        return Err("interrupted before a claim was decided: nothing is recorded".into());
    }
    let _ = writeln!(stderr(), "recorded in {}", folder.display());
    Ok(judgements)
}

fn untested(claims: &[&Claim], reason: &str) -> Vec<Judgement> {
    claims.iter().map(|claim| claim.untested(reason)).collect()
}

/// Judges the claims of one scenario.
fn of_scenario(
    options: &VerifyOptions,
    claims: &[&Claim],
    folder: &Path,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Judgement>, String> {
    let Some(name) = claims.first().map(|claim| claim.scenario.as_str()) else {
        return Ok(Vec::new());
    };
    let scenarios = options.folder().join("scenarios");
    let path = scenarios.join(format!("{name}.toml"));
    let (mut peers, mut judgements, mut testable) = (Vec::new(), Vec::new(), Vec::new());
    for &claim in claims {
        let wanted = || std::iter::once(&claim.subject).chain(claim.peer.names());
        let missing = wanted()
            .find_map(|peer| crate::compare::available(&path, peer, &options.programs).err());
        if let Some(reason) = missing {
            judgements.push(claim.untested(&reason));
            continue;
        }
        for peer in wanted() {
            if !peers.contains(peer) {
                peers.push(peer.clone());
            }
        }
        testable.push(claim);
    }
    if testable.is_empty() {
        return Ok(judgements);
    }
    if stderr().is_terminal() && !options.quiet {
        let _ = writeln!(stderr(), "{name}");
    }
    let rounds = testable.iter().map(|claim| claim.rounds).max();
    let compared = crate::compare::compare(
        &CompareOptions {
            scenario: path.display().to_string(),
            proxy_cpus: options.proxy_cpus.clone(),
            load_cpus: options.load_cpus.clone(),
            rounds: options.rounds.or(rounds),
            duration: options.duration.map(|duration| fitting(duration, &path)),
            peers,
            ratio_to: None,
            programs: options.programs.clone(),
            entries: Vec::new(),
            syscalls: false,
            busy_machine: options.busy_machine,
            confidence: testable.first().map_or(0.95, |claim| claim.confidence),
            out: Some(folder.join(name)),
            note: None,
            json: false,
            quiet: options.quiet,
        },
        stop,
    );
    judgements.extend(match compared {
        // A claim says how many rounds decide it.
        Ok(document) if document.interrupted => {
            let reason = format!("interrupted after {}", document.rounds());
            untested(&testable, &reason)
        }
        Ok(document) => testable.iter().map(|it| it.judge(&document)).collect(),
        Err(error) => untested(&testable, &error),
    });
    Ok(judgements)
}

/// One duration for all scenarios: generators are measured for whole seconds, so it is rounded up
/// for them.
fn fitting(duration: Duration, scenario: &Path) -> Duration {
    let is_of_generators = Scenario::read(&scenario.to_string_lossy())
        .is_ok_and(|(scenario, _)| scenario.compares == Compares::Generators);
    match is_of_generators && duration.subsec_nanos() > 0 {
        true => Duration::from_secs(duration.as_secs() + 1),
        false => duration,
    }
}

fn tell(judgement: &Judgement) -> Result<(), String> {
    let word = judgement.verdict.map_or("not tested", Verdict::label);
    let claim = &judgement.claim;
    let measured = match &judgement.reason {
        Some(reason) => reason.clone(),
        None => table::measured(judgement),
    };
    let (id, text) = (&claim.id, &claim.text);
    print(&format!("{word:<13} {id}: {text}\n{:14}{measured}\n", ""))
}

fn write_table(options: &VerifyOptions, claims: &[Claim]) -> Result<(), String> {
    let page = options.page();
    let failed = |error| format!("{}: {error}", page.display());
    let text = fs::read_to_string(&page).map_err(|error| failed(error.to_string()))?;
    let runs = options.runs();
    let linked = runs.strip_prefix(page.parent().unwrap_or_else(|| Path::new("")));
    let linked = linked.unwrap_or(&runs).display().to_string();
    let table = table::table(claims, &record::read_all(&runs)?, &linked);
    let new = table::replace(&text, &table).map_err(failed)?;
    fs::write(&page, new).map_err(|error| failed(error.to_string()))
}

/// What speaks against a run: claims that were refuted, or could not be tested.
fn reasons(judgements: &[Judgement]) -> Vec<String> {
    let reason = |judgement: &Judgement| {
        let id = &judgement.claim.id;
        match (judgement.verdict, &judgement.reason) {
            (Some(Verdict::Refuted), _) => {
                Some(format!("{id} was refuted: {}", table::measured(judgement)))
            }
            (None, Some(reason)) => Some(format!("{id} could not be tested: {reason}")),
            (None, None) => Some(format!("{id} could not be tested")),
            (Some(_), _) => None,
        }
    };
    judgements.iter().filter_map(reason).collect()
}

/// The worst that became of a claim.
fn outcome(judgements: &[Judgement]) -> Outcome {
    let has = |verdict| {
        judgements
            .iter()
            .any(|judgement| judgement.verdict == verdict)
    };
    match () {
        () if has(Some(Verdict::Refuted)) => Outcome::Broken,
        () if has(None) => Outcome::Invalid,
        () => Outcome::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_the_repository_are_well_formed() {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench");
        let text = fs::read_to_string(bench.join("claims.toml")).expect("the claims");
        let claims = Claims::parse(&text).expect("well-formed").claims;
        assert!(claims.len() >= 8);
        for claim in claims {
            let scenario = bench.join(format!("scenarios/{}.toml", claim.scenario));
            assert!(scenario.is_file(), "{}: {}", claim.id, scenario.display());
        }
    }

    #[test]
    fn generators_are_measured_for_whole_seconds() {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios");
        let fitting = |millis, name: &str| {
            fitting(Duration::from_millis(millis), &scenarios.join(name)).as_millis()
        };
        assert_eq!(fitting(800, "h1-1k.toml"), 800);
        assert_eq!(fitting(800, "generator-h1.toml"), 1_000);
        assert_eq!(fitting(2_000, "generator-h1.toml"), 2_000);
    }

    #[test]
    fn the_table_of_the_repository_is_the_one_that_its_runs_make() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
        let claims = Claims::parse(&read("bench/claims.toml"))
            .expect("claims")
            .claims;
        let records = record::read_all(&root.join("bench/runs")).expect("records");
        let page = read("README.md");
        let table = table::table(&claims, &records, "bench/runs");
        assert_eq!(
            table::replace(&page, &table),
            Ok(page),
            "run `loadgen verify --table-only`"
        );
    }
}
