//! `loadgen compare` and `loadgen verify` with weft against itself: structure, files, exit codes.
//!
//! A shared machine says nothing about times, so nothing is asserted about them. The program `weft`
//! has to lie beside `loadgen`, as `cargo build` puts it.

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use harness::{pause, scratch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SCENARIO: &str = include_str!("itself.toml");

const CLAIMS: &str = r#"
[[claim]]
id = "broken"
text = "Its scenario cannot be run"
scenario = "broken"
metric = "cpu_us_per_request"
relation = "<="
bound = 1
rounds = 2

[[claim]]
id = "itself"
text = "Not a thousand times its own"
scenario = "itself"
metric = "cpu_us_per_request"
relation = "<="
bound = 100000
rounds = 2

[[claim]]
id = "idler"
text = "Quarter of an hour each"
scenario = "itself"
metric = "cpu_us_per_request"
relation = ">="
bound = 900000000
rounds = 2

[[claim]]
id = "absent"
text = "Less than a proxy that is not there"
scenario = "itself"
metric = "cpu_us_per_request"
relation = "<="
peer = "absent"
factor = 1.0
rounds = 2
"#;

/// A folder like `bench/`, with the repository's peers and one that is not installed.
struct Bench {
    root: PathBuf,
}

impl Bench {
    fn new(name: &str, scenario: &str) -> Self {
        let weft = Path::new(env!("CARGO_BIN_EXE_loadgen")).with_file_name("weft");
        assert!(
            weft.is_file(),
            "no weft beside loadgen: run `cargo build` with this profile"
        );
        let root = scratch(name);
        let _ = fs::remove_dir_all(&root);
        let peers = root.join("bench/scenarios/peers");
        fs::create_dir_all(&peers).expect("a folder");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios/peers");
        for entry in fs::read_dir(repository).expect("the peers").flatten() {
            fs::copy(entry.path(), peers.join(entry.file_name())).expect("a copy");
        }
        let definitions = fs::read_to_string(peers.join("peers.toml")).expect("text");
        let (_, nginx) = definitions.split_once("[nginx]").expect("a table");
        let (nginx, _) = nginx.split_once("\n[").expect("another table");
        let absent = nginx.replace("[\"nginx\"]", "[\"no-such-proxy\"]");
        fs::write(
            peers.join("peers.toml"),
            format!("{definitions}\n[absent]{absent}\n"),
        )
        .expect("written");
        fs::write(root.join("bench/scenarios/itself.toml"), scenario).expect("written");
        let broken = scenario.replace("1KiB", "a lot");
        fs::write(root.join("bench/scenarios/broken.toml"), broken).expect("written");
        fs::write(root.join("bench/claims.toml"), CLAIMS).expect("written");
        let page = "# Page\n<!-- claims: made by `loadgen verify`, not by hand -->\n\
                    <!-- /claims -->\nend\n";
        fs::write(root.join("README.md"), page).expect("written");
        Self { root }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        // On one processor everything would have to share it, which compare refuses.
        assert!(cpus > 1, "this test needs two processors");
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.args(arguments).current_dir(&self.root);
        // What a killed comparison leaves goes with this folder.
        command.env("TMPDIR", &self.root);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it starts")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[test]
fn weft_against_itself() {
    let bench = Bench::new("compare", SCENARIO);
    let output = bench.run(&["compare", "itself", "--busy-machine", "--out", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let table = String::from_utf8(output.stdout).expect("text");
    for part in ["weft again", "CPU us/req", "ratio to weft", "spread"] {
        assert!(table.contains(part), "{part} is missing:\n{table}");
    }
    let out = bench.root.join("out");
    assert_eq!(
        fs::read_to_string(out.join("table.txt")).expect("the table"),
        table
    );
    let text = fs::read_to_string(out.join("result.json")).expect("the result");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(result["entries"][1]["name"], "weft again");
    assert!(
        result["entries"][0]["configuration"]
            .as_str()
            .is_some_and(|text| !text.contains('@'))
    );
    let runs = result["runs"].as_array().expect("runs");
    // Two rounds of two entries, the second round backwards.
    let order: Vec<_> = runs
        .iter()
        .map(|run| (run["round"].as_u64(), run["entry"].as_u64()))
        .collect();
    let expected = [(0, 0), (0, 1), (1, 1), (1, 0)];
    assert_eq!(
        order,
        expected.map(|(round, entry)| (Some(round), Some(entry)))
    );
    for run in runs {
        let measured = &run["measured"];
        assert!(measured["requests"]["answered"].as_u64() > Some(0));
        assert!(measured["watched"]["cpu_us_per_request"].as_f64() > Some(0.0));
        assert!(measured["watched"]["resident_bytes"].as_u64() > Some(1 << 20));
        assert!(run["resident_bytes_at_start"].as_u64() > Some(1 << 20));
        assert!(run["others"]["proxy_share"].as_f64() <= Some(1.0));
        assert_eq!(run["repeats"], 0, "the machine is said to be busy");
    }
    let ratio = &result["summary"]["ratios"][0];
    assert_eq!(
        (&ratio["entry"], &ratio["to"]),
        (&"weft again".into(), &"weft".into())
    );
    assert!(ratio["ratio"]["low"].as_f64() <= ratio["ratio"]["high"].as_f64());
    // One log for each entry, with a line for each round.
    let histograms = fs::read_to_string(out.join("weft-again.hlog")).expect("a log");
    assert_eq!(histograms.matches("HISTFAAA").count(), 2, "{histograms}");
    assert_eq!(result["result"], "pass");
    assert_eq!(
        (&result["valid"], &result["reasons"]),
        (&true.into(), &Value::Array(vec![]))
    );
    assert!(result["machine"]["kernel"].is_string());
    assert!(result["machine"]["meanwhile"]["seconds"].as_f64() > Some(0.4));
    assert_eq!(result["scenario"]["load"]["duration"], "200ms");
    let page = fs::read_to_string(out.join("report.html")).expect("the page");
    assert!(page.contains("weft again") && page.contains("<svg"));
    assert_no_place_of_this_machine(&out);
    // The kept histograms are read again, by entry and round.
    let shown = bench.run(&["hist", "show", "out/weft", "out/weft-again"]);
    assert_eq!(shown.status.code(), Some(0), "{}", told(&shown));
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.contains("weft again"), "{shown}");
    let difference = bench.run(&["hist", "diff", "out/weft", "out/weft-again"]);
    assert!(
        matches!(difference.status.code(), Some(0 | 2 | 3)),
        "{}",
        told(&difference)
    );
    let ranged = bench.run(&["hist", "show", "out/weft", "--from", "0s", "--to", "1s"]);
    assert!(told(&ranged).contains("has no range"), "{}", told(&ranged));
}

/// Nothing that is kept names a folder of the machine, temporary or not.
fn assert_no_place_of_this_machine(folder: &Path) {
    let places = [env!("CARGO_TARGET_TMPDIR"), env!("CARGO_MANIFEST_DIR")];
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            assert_no_place_of_this_machine(&path);
            continue;
        }
        let text = fs::read_to_string(&path).expect("text");
        for place in places {
            assert!(!text.contains(place), "{}: {place}", path.display());
        }
    }
}

/// What a generator costs, from outside, against what it says of itself.
#[test]
fn the_generator_against_itself() {
    let scenario = SCENARIO.replace("weft", "loadgen");
    let scenario = scenario.replace("200ms", "1s");
    let bench = Bench::new(
        "generator",
        &format!("compares = \"generators\"\n{scenario}"),
    );
    let output = bench.run(&["compare", "itself", "--busy-machine", "--out", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(
        table.contains("generators on CPU [0], origin on CPU [1]"),
        "{table}"
    );
    assert!(!table.contains("p99") && !table.contains("RSS"), "{table}");
    let out = bench.root.join("out");
    let text = fs::read_to_string(out.join("result.json")).expect("the result");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    let runs = result["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 4);
    for run in runs {
        let (name, round) = match run["entry"].as_u64() {
            Some(0) => ("loadgen", &run["round"]),
            _ => ("loadgen-again", &run["round"]),
        };
        let round = round.as_u64().expect("a number") + 1;
        let said = fs::read_to_string(out.join(format!("{name}-{round}.txt"))).expect("words");
        let measured = &run["measured"];
        let answered = measured["requests"]["answered"].as_u64().expect("a number");
        assert!(
            said.contains(&format!("due: {answered} answered")),
            "{said}"
        );
        let (_, own) = said.split_once("generator ").expect("its own figure");
        let own = own.trim().split(' ').next().map(str::parse::<f64>);
        let own = own.and_then(Result::ok).expect("a number");
        let seen = measured["watched"]["cpu_us_per_request"]
            .as_f64()
            .expect("a number");
        // From outside, starting and ending are in it; its own is rounded.
        assert!(seen > 0.9 * own - 0.1, "{seen} us, it says {own} us");
    }
    let silent = bench.run(&["compare", "itself", "--entry", "silent=loadgen:/bin/true"]);
    assert_eq!(silent.status.code(), Some(1), "{}", told(&silent));
    assert!(
        told(&silent).contains("without the number of answers"),
        "{}",
        told(&silent)
    );
}

#[test]
fn claims_are_judged_recorded_and_shown() {
    let bench = Bench::new("verify", SCENARIO);
    let output = bench.run(&["verify", "--busy-machine"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let said = String::from_utf8(output.stdout).expect("text");
    for part in [
        "verified      itself",
        "refuted       idler",
        "not tested    absent",
        "not tested    broken",
        "absent is not installed (looked for no-such-proxy)",
    ] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    let page = fs::read_to_string(bench.root.join("README.md")).expect("the page");
    for part in [
        "| Not a thousand times its own | verified |",
        "| Quarter of an hour each | refuted |",
        "| Less than a proxy that is not there | not yet tested | | |",
        "end\n",
    ] {
        assert!(page.contains(part), "{part} is missing:\n{page}");
    }
    let runs: Vec<_> = fs::read_dir(bench.root.join("bench/runs"))
        .expect("runs")
        .flatten()
        .collect();
    assert_eq!(runs.len(), 1);
    assert!(runs[0].path().join("claims.json").is_file());
    assert!(runs[0].path().join("itself/weft.hlog").is_file());
    let text = fs::read_to_string(runs[0].path().join("claims.json")).expect("the record");
    let record: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&record["result"], &record["valid"]),
        (&"broken".into(), &false.into())
    );
    let reasons = record["reasons"].to_string();
    for part in [
        "idler was refuted",
        "absent could not be tested",
        "broken could not be tested",
    ] {
        assert!(reasons.contains(part), "{part} is missing: {reasons}");
    }
    assert!(record["environment"]["kernel"].is_string());
    let report = fs::read_to_string(runs[0].path().join("report.html")).expect("the page");
    for part in [
        "not tested",
        "refuted",
        "verified",
        "Quarter of an hour each",
    ] {
        assert!(report.contains(part), "{part} is missing");
    }
    assert_no_place_of_this_machine(&runs[0].path());
    // The table is a function of what is recorded.
    let again = bench.run(&["verify", "--table-only"]);
    assert_eq!(again.status.code(), Some(0), "{}", told(&again));
    assert_eq!(
        fs::read_to_string(bench.root.join("README.md")).ok(),
        Some(page)
    );
}

#[test]
fn mistakes_are_errors_that_say_what_to_do() {
    let bench = Bench::new("mistakes", SCENARIO);
    for (arguments, complaint) in [
        (&["compare", "nothing"][..], "there is no scenario nothing"),
        (&["compare", "itself", "--peers", "absent"], "not installed"),
        (
            &["compare", "itself", "--peers", "squid"],
            "there is no peer squid",
        ),
        (&["compare", "itself", "--load-cpus", "0"], "processor 0"),
        (
            &["compare", "itself", "--program", "weft=loadgen"],
            "there is no loadgen",
        ),
        (&["verify", "--only", "x"], "there is no claim x"),
    ] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert!(told(&output).contains(complaint), "{}", told(&output));
    }
}

#[test]
fn nothing_is_left_running_after_a_signal() {
    for signal in [Signal::INT, Signal::KILL] {
        let name = format!("signal-{}", signal.as_raw());
        let bench = Bench::new(&name, &SCENARIO.replace("200ms", "20s"));
        let child = bench
            .command(&["compare", "itself"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let pid = Pid::from_child(&child);
        // The origin, a proxy, the generator.
        let started = wait_for(|| children(child.id()).len() >= 3);
        let processes = tree(child.id());
        assert!(started, "{processes:?}");
        kill_process(pid, signal).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        if signal == Signal::INT {
            assert_eq!(output.status.code(), Some(1), "{}", told(&output));
            let complaint = "interrupted before the first round ended";
            assert!(told(&output).contains(complaint), "{}", told(&output));
        }
        let left = || {
            let alive = |pid: &&u32| Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok();
            processes.iter().filter(alive).copied().collect::<Vec<_>>()
        };
        assert!(wait_for(|| left().is_empty()), "{:?} still run", left());
    }
}

/// Starts it, interrupts it as soon as `file` is there, below the folder of the bench.
fn interrupt(bench: &Bench, arguments: &[&str], file: impl Fn(u32) -> String) -> Output {
    let child = bench
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let path = bench.root.join(file(child.id()));
    assert!(wait_for(|| path.exists()), "no {}", path.display());
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    child.wait_with_output().expect("it ends")
}

#[test]
fn what_was_measured_before_an_interruption_is_reported() {
    let endless = SCENARIO.replace("rounds = 2", "rounds = 1000");
    let bench = Bench::new("interrupted", &endless);
    let compare = ["compare", "itself", "--busy-machine", "--out", "out"];
    // The log of a third round: two have ended by then.
    let output = interrupt(&bench, &compare, |pid| format!("loadgen-{pid}/weft-3.log"));
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let out = bench.root.join("out");
    let text = fs::read_to_string(out.join("result.json")).expect("the result");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&result["interrupted"], &result["valid"], &result["result"]),
        (&true.into(), &false.into(), &"invalid".into())
    );
    let runs = result["runs"].as_array().expect("runs");
    let rounds = runs.len() / 2;
    assert!(rounds >= 2 && runs.len() == 2 * rounds, "whole rounds only");
    let said = format!("interrupted after {rounds} of 1000 rounds");
    assert_eq!(result["reasons"][0], said.clone());
    assert!(told(&output).contains(&said), "{}", told(&output));
    let page = fs::read_to_string(out.join("report.html")).expect("the page");
    assert!(page.contains(&said) && page.contains("<svg"));
    let histograms = fs::read_to_string(out.join("weft.hlog")).expect("a log");
    assert_eq!(histograms.matches("HISTFAAA").count(), rounds);
}

#[test]
fn claims_that_were_decided_before_an_interruption_are_recorded() {
    let bench = Bench::new("interrupted-claims", SCENARIO);
    let endless = SCENARIO.replace("rounds = 2", "rounds = 1000");
    let scenarios = bench.root.join("bench/scenarios");
    fs::write(scenarios.join("endless.toml"), endless).expect("written");
    let claim = |id: &str, scenario: &str, rounds: u32| {
        format!(
            "[[claim]]\nid = \"{id}\"\ntext = \"{id}\"\nscenario = \"{scenario}\"\n\
             metric = \"cpu_us_per_request\"\nrelation = \"<=\"\nbound = 100000\n\
             rounds = {rounds}\n"
        )
    };
    let claims = [
        claim("first", "itself", 2),
        claim("second", "endless", 1000),
    ]
    .concat();
    fs::write(bench.root.join("bench/claims.toml"), claims).expect("written");
    let third_round = |pid| format!("loadgen-{pid}/weft-3.log");
    let output = interrupt(&bench, &["verify", "--busy-machine"], third_round);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    for part in ["verified      first", "not tested    second", "recorded in"] {
        assert!(told(&output).contains(part), "{}", told(&output));
    }
    let page = fs::read_to_string(bench.root.join("README.md")).expect("the page");
    assert!(page.contains("| first | verified |"), "{page}");
    assert!(page.contains("| second | not yet tested | | |"), "{page}");

    let only = ["verify", "--busy-machine", "--only", "second"];
    let output = interrupt(&bench, &only, third_round);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let complaint = "before a claim was decided: nothing is recorded";
    assert!(told(&output).contains(complaint), "{}", told(&output));
    let runs = fs::read_dir(bench.root.join("bench/runs")).expect("runs");
    assert_eq!(runs.count(), 1, "of the first one");
}

fn wait_for(condition: impl Fn() -> bool) -> bool {
    for _ in 0..500 {
        if condition() {
            return true;
        }
        pause(Duration::from_millis(20));
    }
    false
}

fn children(pid: u32) -> BTreeSet<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn tree(pid: u32) -> BTreeSet<u32> {
    let mut found = children(pid);
    for child in found.clone() {
        found.extend(tree(child));
    }
    found
}
