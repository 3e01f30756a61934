//! Pages of results in a real browser: what is asked for, what is shown, how large it is.
//!
//! The page itself has no script, so a copy is measured: with one that writes the sizes of what was
//! laid out into the document. That a request or a complaint would be seen is shown by a page that
//! makes both.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::harness::{
    Proxy,
    browser::{self, Look, Visit},
    nginx::Nginx,
    proxy::{loadgen, output},
    python,
    scratch::Scratch,
};

const WIDE: Look = Look {
    width: 1000,
    height: 600,
    is_dark: false,
};
const NARROW: Look = Look {
    width: 500,
    height: 600,
    is_dark: true,
};

/// Writes into the document how large each element is.
const MEASURE: &str = r#"<script>
const sizes = selector => [...document.querySelectorAll(selector)].map(element => {
  const box = element.getBoundingClientRect();
  return [element.textContent.trim().slice(0, 80), box.width, box.height];
});
const found = {page: document.documentElement.scrollWidth, window: innerWidth};
for (const selector of ["h1", "h2", "h3", "table", "td, tbody th", "svg", "svg polyline", "pre", ".chip"])
  found[selector] = sizes(selector);
const result = document.createElement("pre");
result.id = "measured";
result.textContent = JSON.stringify(found);
document.body.append(result);
</script>"#;

const SCENARIO: &str = include_str!("../loadgen/tests/itself.toml");

const CLAIMS: &str = r#"
[[claim]]
id = "itself"
text = "Not a thousand times its own <time>"
scenario = "itself"
metric = "cpu_us_per_request"
relation = "<="
bound = 100000
rounds = 2
"#;

/// The page as a browser lays it out: by selector, each element's text, width and height.
struct Laid(Value);

impl Laid {
    fn out(page: &Path, look: Look) -> Self {
        let html = fs::read_to_string(page).expect("the page");
        let (before, policy) = html
            .split_once("<meta http-equiv")
            .expect("the page has a policy");
        let (_, after) = policy.split_once('>').expect("it ends");
        let copy = page.with_extension("measured.html");
        let html = format!("{before}{after}").replace("</body>", &format!("{MEASURE}</body>"));
        fs::write(&copy, html).expect("a copy");
        let Visit { dom, .. } = browser::visit(&copy, look);
        let (_, measured) = dom
            .split_once("<pre id=\"measured\">")
            .expect("the script ran");
        let (measured, _) = measured.split_once("</pre>").expect("it ends");
        let measured = measured
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        Self(serde_json::from_str(&measured).expect("JSON"))
    }

    /// The elements; all of those in sight must have a size.
    fn visible(&self, selector: &str) -> Vec<String> {
        let elements = self.0[selector].as_array().expect(selector);
        let seen = elements
            .iter()
            .filter(|element| element[1].as_f64() > Some(0.0) && element[2].as_f64() > Some(0.0));
        seen.map(|element| element[0].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn assert_shows(&self, headings: &[&str], charts: usize) {
        let titles = [self.visible("h1"), self.visible("h2"), self.visible("h3")].concat();
        for heading in headings {
            assert!(
                titles.iter().any(|title| title.contains(heading)),
                "{heading} is not among {titles:?}"
            );
        }
        for (selector, least) in [
            ("table", 1),
            ("td, tbody th", 6),
            ("svg", charts),
            ("svg polyline", 1),
            (".chip", 1),
        ] {
            let count = self.visible(selector).len();
            assert!(count >= least, "{count} of {selector}: {:#}", self.0);
        }
        // What is wider than the window scrolls in a box of its own.
        assert!(self.0["page"].as_f64() <= self.0["window"].as_f64());
    }
}

/// A page asks for nothing, complains about nothing, and is no blank sheet in light and in dark.
fn assert_sound(page: &Path, scratch: &Scratch) {
    for look in [WIDE, NARROW] {
        let visit = browser::visit(page, look);
        assert_eq!(visit.requests, [""; 0], "{}", page.display());
        assert_eq!(visit.complaints, [""; 0], "{}", page.display());
        let picture = scratch.file("page.png");
        browser::picture(page, look, &picture);
        let seen = python::run("read_png.py", &[&picture.to_string_lossy()]);
        let seen: Value = serde_json::from_str(&seen).expect("JSON");
        assert_eq!(seen["width"], look.width, "{seen}");
        assert!(seen["colours"].as_u64() > Some(50), "{seen}");
        assert!(seen["paper_share"].as_f64() < Some(0.98), "{seen}");
        let paper = seen["paper"][0].as_u64().expect("a colour");
        assert_eq!(paper < 64, look.is_dark, "{seen}");
        fs::remove_file(picture).expect("it was there");
    }
}

/// Runs loadgen in a folder; these exit codes are expected.
fn run(folder: &Path, arguments: &[&str], codes: &[i32]) {
    let mut command = loadgen();
    command.args(arguments).current_dir(folder);
    let ended = output(&mut command);
    let told = String::from_utf8_lossy(&ended.stderr);
    let code = ended.status.code().unwrap_or(-1);
    assert!(codes.contains(&code), "{command:?}: {code} {told}");
}

/// A folder like `bench/` with one scenario.
fn bench(scratch: &Scratch) -> PathBuf {
    let folder = scratch.file("bench");
    let peers = folder.join("scenarios/peers");
    fs::create_dir_all(&peers).expect("a folder");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios/peers");
    for file in fs::read_dir(repository).expect("the peers").flatten() {
        fs::copy(file.path(), peers.join(file.file_name())).expect("a copy");
    }
    fs::write(folder.join("scenarios/itself.toml"), SCENARIO).expect("written");
    fs::write(folder.join("claims.toml"), CLAIMS).expect("written");
    let markers = "<!-- claims: made by `loadgen verify`, not by hand -->\n<!-- /claims -->\n";
    scratch.write("README.md", markers);
    folder
}

#[test]
fn a_request_or_a_complaint_of_a_page_would_be_seen() {
    let scratch = Scratch::new();
    let page = scratch.write(
        "loud.html",
        "<!doctype html><img src=\"http://127.0.0.1:9/x.png\"><script>console.error('loud')</script>",
    );
    let visit = browser::visit(&page, WIDE);
    assert_eq!(visit.requests, ["http://127.0.0.1:9/x.png"]);
    assert!(visit.complaints.iter().any(|line| line.contains("loud")));
}

#[test]
fn the_page_of_a_run_needs_nothing_and_shows_everything() {
    let nginx = Nginx::start("");
    nginx.scratch().write("1k.txt", &"a".repeat(1024));
    let proxy = Proxy::to(nginx.address());
    let scratch = Scratch::new();
    let url = format!("http://{}/1k.txt", proxy.address());
    let folder = scratch.file("");
    let arguments = [
        "run", &url, "--rate", "200", "-d", "2s", "--json", "run.json", "--hlog", "run.hlog",
    ];
    run(&folder, &arguments, &[0, 3]);
    run(
        &folder,
        &["report", "run.json", "run.hlog", "-o", "run.html"],
        &[0],
    );
    let page = scratch.file("run.html");
    assert_sound(&page, &scratch);
    let headings = [
        "http://127.0.0.1",
        "How long answers took",
        "How it went",
        "Was the generator fast enough?",
        "Where it was measured",
        "How to do it again",
    ];
    for look in [WIDE, NARROW] {
        // Percentile curves, the seconds, the heat map.
        Laid::out(&page, look).assert_shows(&headings, 3);
    }
}

#[test]
fn the_page_of_a_search_shows_every_step() {
    let nginx = Nginx::start("");
    nginx.scratch().write("1k.txt", &"a".repeat(1024));
    let proxy = Proxy::to(nginx.address());
    let scratch = Scratch::new();
    let folder = scratch.file("");
    let url = format!("http://{}/1k.txt", proxy.address());
    // The highest rate to try keeps it, on the slowest of machines.
    let search = ["search", &url, "--slo", "p50<20s", "--slo", "errors<=100%"];
    let quick = [
        "--start-rate",
        "40",
        "--max-rate",
        "50",
        "--step-duration",
        "200ms",
    ];
    let arguments = [&search[..], &quick, &["--json", "search.json"]].concat();
    run(&folder, &arguments, &[0, 3]);
    run(
        &folder,
        &["report", "search.json", "-o", "search.html"],
        &[0],
    );
    let page = scratch.file("search.html");
    assert_sound(&page, &scratch);
    let shown = Laid::out(&page, NARROW);
    for heading in [
        &*url,
        "Every step",
        "How it was judged",
        "How to do it again",
    ] {
        let titles = [shown.visible("h1"), shown.visible("h2")].concat();
        assert!(
            titles.iter().any(|title| title.contains(heading)),
            "{titles:?}"
        );
    }
    assert!(
        shown.visible("svg").len() == 1,
        "a picture for the condition on a time"
    );
    let cells = shown.visible("td, tbody th");
    assert!(cells.iter().any(|cell| cell == "kept"), "{cells:?}");
}

#[test]
fn the_page_of_a_replay_is_that_of_a_run() {
    let nginx = Nginx::start("");
    nginx.scratch().write("1k.txt", &"a".repeat(1024));
    let scratch = Scratch::new();
    let folder = scratch.file("");
    let url = format!("http://{}/", nginx.address());
    let line = |second: u32| {
        format!(
            "127.0.0.1 - - [25/Nov/2026:12:00:{second:02} +0000] \"GET /1k.txt HTTP/1.1\" 200 1024\n"
        )
    };
    scratch.write("access.log", &(0..20).map(line).collect::<String>());
    let replay = [
        "replay",
        "access.log",
        &url,
        "--speed",
        "20x",
        "--json",
        "replay.json",
    ];
    run(
        &folder,
        &[&replay[..], &["--hlog", "replay.hlog"]].concat(),
        &[0, 3],
    );
    let arguments = ["report", "replay.json", "replay.hlog", "-o", "replay.html"];
    run(&folder, &arguments, &[0]);
    let page = scratch.file("replay.html");
    assert_sound(&page, &scratch);
    let shown = Laid::out(&page, WIDE);
    shown.assert_shows(&["How long answers took", "What became of the requests"], 2);
    let text = fs::read_to_string(&page).expect("the page");
    assert!(text.contains("access.log"), "what was replayed is said");
}

#[test]
fn the_pages_of_a_comparison_and_of_claims_show_what_was_found() {
    let scratch = Scratch::new();
    let bench = bench(&scratch);
    let folder = scratch.file("");
    run(
        &folder,
        &["compare", "itself", "--busy-machine", "--out", "result"],
        &[0],
    );
    let page = folder.join("result/report.html");
    assert_sound(&page, &scratch);
    let shown = Laid::out(&page, WIDE);
    let headings = [
        "weft to <itself> & back",
        "What it says",
        "Figures",
        "Ratios to weft",
        "Where it was measured",
        "How it was measured",
    ];
    shown.assert_shows(&headings, 4);
    let text = fs::read_to_string(&page).expect("the page");
    assert!(text.contains("[[listeners]]") && text.contains("<details>"));

    run(&folder, &["verify", "--busy-machine"], &[0]);
    let runs = fs::read_dir(bench.join("runs")).expect("runs").flatten();
    let runs: Vec<_> = runs.map(|run| run.path().join("report.html")).collect();
    let [page] = runs.as_slice() else {
        panic!("{runs:?}")
    };
    assert_sound(page, &scratch);
    let shown = Laid::out(page, NARROW);
    shown.assert_shows(&["1 verified", "The claims", "weft to <itself> & back"], 5);
    let cells = shown.visible("td, tbody th");
    assert!(
        cells.iter().any(|cell| cell.contains("its own <time>")),
        "{cells:?}"
    );
}
