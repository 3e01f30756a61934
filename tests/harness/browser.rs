//! Chromium without a window: what a page becomes in a browser, and what it asks for.
//!
//! Every visit has a profile of its own and no way out: names do not resolve, so that nothing the
//! browser itself wants leaves the machine. What the *page* asks for is told apart from that by its
//! initiator in the browser's network log. Complaints are what a console would show.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::scratch::Scratch;

/// Programs that speak the same options.
const PROGRAMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// The reader prefers dark pages.
    pub(crate) is_dark: bool,
}

/// What a visit showed.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The document as it stood after loading.
    pub(crate) dom: String,
    /// What the page asked a network for.
    pub(crate) requests: Vec<String>,
    /// What the console had to say.
    pub(crate) complaints: Vec<String>,
}

/// Loads a page.
pub(crate) fn visit(page: &Path, look: Look) -> Visit {
    let scratch = Scratch::new();
    let log = scratch.file("network.json");
    let mut command = browser(look, &scratch);
    command
        .arg(format!("--log-net-log={}", log.display()))
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("file://{}", page.display()));
    let output = super::proxy::output(&mut command);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    let complaints = told.lines().filter(|line| line.contains(":CONSOLE"));
    Visit {
        dom: String::from_utf8(output.stdout).expect("text"),
        requests: requests(&fs::read_to_string(&log).expect("the network log")),
        complaints: complaints.map(str::to_owned).collect(),
    }
}

/// Takes a picture of a page.
pub(crate) fn picture(page: &Path, look: Look, to: &Path) {
    let scratch = Scratch::new();
    let mut command = browser(look, &scratch);
    command
        .arg(format!("--screenshot={}", to.display()))
        .arg(format!("file://{}", page.display()));
    let output = super::proxy::output(&mut command);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(to.is_file(), "{command:?}: {told}");
}

fn browser(look: Look, scratch: &Scratch) -> Command {
    let mut command = Command::new(program());
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]);
    let profile = scratch.file("profile");
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.arg(format!("--window-size={},{}", look.width, look.height));
    // In the browser's own numbers: 0 is dark, 1 is light.
    let scheme = u8::from(!look.is_dark);
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
    command
}

fn program() -> PathBuf {
    let is_there = |program: &&&str| {
        let mut command = Command::new(program);
        command.arg("--version").stderr(Stdio::null());
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = PROGRAMS.iter().find(is_there);
    found
        .unwrap_or_else(|| panic!("none of {PROGRAMS:?} is installed: run tests/run once"))
        .into()
}

/// Addresses that a page asked for: of each request that began, if the browser's own wishes were
/// not the reason.
fn requests(log: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(log).expect("the network log is JSON");
    let begin = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    assert!(begin.is_u64(), "the network log has no requests");
    let events = log["events"].as_array().expect("events");
    let asked = events.iter().filter(|event| event["type"] == *begin);
    asked
        .map(|event| &event["params"])
        .filter(|params| params["url"].is_string() && params["initiator"] != "not an origin")
        .filter_map(|params| Some(params["url"].as_str()?.to_owned()))
        .collect()
}
