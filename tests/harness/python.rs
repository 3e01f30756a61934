//! Python programs as clients and readers that others wrote.
//!
//! The programs lie in `tests/python/`; their packages are in the environment that `tests/run`
//! makes. A program ends with status 0 or says on stderr what was wrong.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::running::Running;

/// Runs `tests/python/<program>` with arguments and gives back what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = super::proxy::output(command(program).args(arguments));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{out}{err}",
        output.status
    );
    out
}

/// Starts `tests/python/<program>` and leaves it running, with its stdout to be read.
pub(crate) fn start(program: &str, arguments: &[&str]) -> Running {
    let mut command = command(program);
    Running::start(
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn command(program: &str) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = env::var_os("WEFT_TESTS_PYTHON")
        .map_or_else(|| folder.join("../target/python/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "no {}: run tests/run once",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(folder.join("python").join(program));
    command
}
