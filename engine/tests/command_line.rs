//! The binary's command line: what it prints where, and with which code it exits.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn weft(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(arguments)
        .output()
        .expect("weft runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code, no signal")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file with this text, removed when dropped.
struct TextFile(PathBuf);

impl TextFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weft-{}-{name}", std::process::id()));
        fs::write(&path, text).expect("a file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.0);
    }
}

const VALID: &str = r#"
[[listeners]]
name = "web"
address = "127.0.0.1:18080"

[[listeners.virtual_hosts]]
hosts = ["*"]

[[listeners.virtual_hosts.routes]]
name = "all"
forward = "origin"

[[clusters]]
name = "origin"
endpoints = ["127.0.0.1:18081", "127.0.0.1:18082"]
"#;

#[test]
fn version_and_help_go_to_standard_output() {
    let version = weft(&["--version"]);
    assert_eq!(code(&version), 0);
    assert!(stdout(&version).starts_with(concat!("weft ", env!("CARGO_PKG_VERSION"))));
    let help = weft(&["--help"]);
    assert_eq!(code(&help), 0);
    for part in [
        "weft check --config",
        "weft doctor",
        "SIGTERM",
        "Exit codes:",
    ] {
        assert!(stdout(&help).contains(part), "{part:?} is not in the help");
    }
}

#[test]
fn a_wrong_command_line_exits_2() {
    let output = weft(&["--no-such-flag"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--no-such-flag"));
}

#[test]
fn check_sums_up_a_valid_configuration() {
    let file = TextFile::new("valid.toml", VALID);
    let output = weft(&["check", "--config", file.path()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let expected = "ok: 1 listener, 1 route, 1 cluster, 2 endpoints\n";
    assert_eq!(stdout(&output), format!("{}: {expected}", file.path()));
    assert_eq!(code(&weft(&["check"])), 0);
}

#[test]
fn check_and_start_report_the_same_errors_all_at_once() {
    let text = VALID
        .replace("127.0.0.1:18080", "nowhere")
        .replace("forward = \"origin\"", "forward = \"other\"");
    let file = TextFile::new("invalid.toml", &text);
    let check = weft(&["check", "--config", file.path()]);
    assert_eq!(code(&check), 1);
    assert!(stdout(&check).is_empty());
    for part in [file.path(), "nowhere", "other", "2 errors"] {
        assert!(
            stderr(&check).contains(part),
            "{part:?} is not in:\n{}",
            stderr(&check)
        );
    }
    let start = weft(&["--config", file.path()]);
    assert_eq!((code(&start), stderr(&start)), (1, stderr(&check)));
}

#[test]
fn a_missing_file_is_named() {
    let output = weft(&["--config", "/no/such/file.toml"]);
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("/no/such/file.toml"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_doctor_judges_the_limits_by_the_configuration() {
    let output = weft(&["doctor"]);
    let text = stdout(&output);
    let can_run = code(&output) == 0;
    assert_eq!(can_run, text.contains("weft can run here"), "{text}");
    assert!(
        text.contains("kernel ") && text.contains("open files "),
        "{text}"
    );

    let many = format!("max_connections = 4000000000\n{VALID}");
    let file = TextFile::new("many.toml", &many);
    let output = weft(&["doctor", "--config", file.path()]);
    let text = stdout(&output);
    assert_eq!(code(&output), 1, "{text}");
    assert!(text.contains("max_connections = 4000000000"), "{text}");
    assert!(text.contains("LimitNOFILE="), "{text}");
    // The start asks the same machine the same questions.
    let output = weft(&["--config", file.path()]);
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("max_connections = 4000000000"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_admin_address_in_use_stops_the_start_with_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let text = format!("[admin]\naddress = \"{address}\"\n{VALID}");
    let file = TextFile::new("taken.toml", &text);
    let output = weft(&["--config", file.path()]);
    assert_eq!(code(&output), 1);
    let expected = format!("The admin interface cannot listen on {address}");
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}

#[test]
fn an_identity_is_made_and_what_stands_in_the_way_is_told() {
    let folder = std::env::temp_dir().join(format!("weft-{}-mesh", std::process::id()));
    let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let (authority, identity) = (place("authority"), place("orders"));
    let init = ["identity", "init", "--trust-domain", "example.org"];
    let init = [&init[..], &["--authority", &authority]].concat();
    let made = weft(&init);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    assert!(stdout(&made).contains("Next: weft identity issue"));
    let again = weft(&init);
    assert_eq!((code(&again), stdout(&again).as_str()), (1, ""));
    assert!(stderr(&again).contains("\n  FIX  "), "{}", stderr(&again));
    let places = ["--authority", &authority, "--directory", &identity];
    let issued = weft(&[&["identity", "issue", "/orders"], &places[..]].concat());
    assert_eq!(code(&issued), 0, "{}", stderr(&issued));
    assert!(stdout(&issued).starts_with("Issued spiffe://example.org/orders, valid until 20"));
    for wrong in [
        &["identity"][..],
        &["identity", "issue"],
        &["identity", "init"],
    ] {
        assert_eq!(code(&weft(wrong)), 2, "{wrong:?}");
    }
    let help = weft(&["identity", "issue", "--help"]);
    assert!(
        stdout(&help).contains("--renew-before 8h"),
        "{}",
        stdout(&help)
    );
    fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_no_panic() {
    for arguments in [&["check"][..], &["doctor"]] {
        let full = fs::File::options().write(true).open("/dev/full");
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.args(arguments).stdout(full.expect("a full disk"));
        let output = command.output().expect("weft runs");
        let told = stderr(&output);
        assert_eq!(code(&output), 1, "{told}");
        assert!(told.starts_with("The output cannot be written: "), "{told}");
    }
}

#[test]
fn an_authority_lasts_a_year_at_most() {
    for validity in ["366d", "9999999d", "59s"] {
        let init = ["identity", "init", "--trust-domain", "example.org"];
        let output = weft(&[&init[..], &["--validity", validity]].concat());
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(
            stderr(&output).contains("expected at "),
            "{}",
            stderr(&output)
        );
    }
}
