//! The `weft` binary.
//!
//! In: the command line. Out: what it asked for, or one text on standard error that says what is
//! wrong and what to do, and the exit code that `weft --help` lists. The story of a start is
//! `control::start::run`.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use engine::control::arguments::{Arguments, Command, Diff, Register};
use engine::control::doctor;
use engine::control::explain::{self, Question};
use engine::control::identity;
use engine::control::log::Log;
use engine::control::register;
use engine::control::secrets::{self, SecretError};
use engine::control::start::{self, Refusal};

fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let outcome = match &arguments.command {
        None => start::run(arguments.config.as_deref(), Log::new(arguments.log)),
        Some(Command::Check { config }) => check(config.as_deref()),
        Some(Command::Diff(sides)) => diff(sides),
        Some(Command::Doctor { config }) => diagnose(config.as_deref()),
        Some(Command::Identity { command }) => make_identity(command),
        Some(Command::Explain(question)) => explain(question),
        Some(Command::Register(order)) => register(order, Log::new(arguments.log)),
        Some(Command::HashKey) => print(secrets::hash_key()),
        Some(Command::HashPassword) => print(secrets::hash_password()),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: Option<&Path>) -> Result<u8, Refusal> {
    println!("{}", start::check(file)?);
    Ok(0)
}

fn diff(sides: &Diff) -> Result<u8, Refusal> {
    let old = sides
        .old_directory
        .as_deref()
        .unwrap_or_else(|| Path::new(""));
    let new = sides
        .new_directory
        .as_deref()
        .unwrap_or_else(|| Path::new(""));
    print!("{}", start::diff((&sides.old, old), (&sides.new, new))?);
    Ok(0)
}

fn print(hash: Result<String, SecretError>) -> Result<u8, Refusal> {
    println!("{}", hash.map_err(Refusal::Secret)?);
    Ok(0)
}

fn diagnose(file: Option<&Path>) -> Result<u8, Refusal> {
    let diagnosis = start::diagnose(file)?;
    print!("{}", doctor::report(&diagnosis));
    Ok(u8::from(!diagnosis.can_run()))
}

fn explain(question: &Question) -> Result<u8, Refusal> {
    let explanation = explain::run(question)?;
    print!("{}", explanation.text);
    Ok(explanation.code())
}

fn register(order: &Register, log: Log) -> Result<u8, Refusal> {
    register::run(&register::Order::of(order), log).map_err(Refusal::Register)
}

fn make_identity(command: &identity::Command) -> Result<u8, Refusal> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let made = identity::run(command, now.unwrap_or_default());
    print!("{}", made.map_err(Refusal::Identity)?);
    Ok(0)
}
