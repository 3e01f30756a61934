//! Puts the commit into `--version` of release builds of weft and loadgen, when there is one to
//! know, and says when the sources were not those of the commit.
//!
//! `WEFT_COMMIT` in the environment wins (packagers build from archives); a debug build does not
//! ask git, so that a commit does not recompile the engine.

use std::process::Command;

/// What the programs are made of, from a package's folder.
const SOURCES: [&str; 4] = ["src", "../engine/src", "../Cargo.toml", "../Cargo.lock"];

fn main() {
    println!("cargo::rerun-if-changed=../engine/build.rs");
    println!("cargo::rerun-if-env-changed=WEFT_COMMIT");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = std::env::var("WEFT_COMMIT").ok().or_else(commit_of_release);
    match commit.filter(|commit| !commit.is_empty()) {
        Some(commit) => println!("cargo::rustc-env=WEFT_VERSION={version} (commit {commit})"),
        None => println!("cargo::rustc-env=WEFT_VERSION={version}"),
    }
}

fn commit_of_release() -> Option<String> {
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--path-format=absolute", "--git-path", file])?;
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let arguments = [&["status", "--porcelain", "--"], &SOURCES[..]].concat();
    match git(&arguments)?.is_empty() {
        true => Some(commit),
        false => Some(format!("{commit}, modified")),
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
