//! curl as a client: the one of the machine, told to keep quiet, to use no other proxy and not to
//! wait for ever.
//!
//! What a test asks of it is its own business; what it printed is read as text.

use std::process::{Command, Output};

/// Arguments that have curl print nothing but the status.
pub(crate) const ONLY_STATUS: [&str; 4] = ["--output", "/dev/null", "--write-out", "%{http_code}"];

/// Runs curl to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        "60",
    ]);
    super::proxy::output(command.args(arguments))
}

/// What a successful curl printed.
pub(crate) fn text(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {err}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
