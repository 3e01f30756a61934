//! JavaScript programs as readers that others wrote.
//!
//! The programs lie in `tests/node/`; their packages are in the folder that `tests/run` makes.

use std::{env, path::Path, path::PathBuf, process::Command};

/// Runs `tests/node/<program>` with arguments and gives back what it printed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = env::var_os("WEFT_TESTS_NODE")
        .map_or_else(|| folder.join("../target/node"), PathBuf::from)
        .join("node_modules");
    assert!(
        packages.is_dir(),
        "no {}: run tests/run once",
        packages.display()
    );
    let mut command = Command::new("node");
    command
        .env("NODE_PATH", packages)
        .arg(folder.join("node").join(program))
        .args(arguments);
    let output = super::proxy::output(&mut command);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{out}{err}",
        output.status
    );
    out.into_owned()
}
