//! The `weft` binary.
//!
//! In: the command line. Out: what it asked for, or one text on standard error that says what is
//! wrong and what to do, and the exit code that `weft --help` lists. The story of a start is
//! `control::start::run`.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use engine::control::arguments::{Arguments, Command, Diff, Register};
use engine::control::doctor;
use engine::control::explain;
use engine::control::identity;
use engine::control::log::Log;
use engine::control::register;
use engine::control::secrets;
use engine::control::start::{self, Refusal};

fn main() -> ExitCode {
    let arguments = Arguments::of_process();
    let outcome = match &arguments.command {
        None => start::run(arguments.config.as_deref(), Log::new(arguments.log)).map(ended),
        Some(Command::Check { config }) => start::check(config.as_deref()).map(line),
        Some(Command::Diff(sides)) => diff(sides).map(text),
        Some(Command::Doctor { config }) => start::diagnose(config.as_deref())
            .map(|it| (doctor::report(&it), u8::from(!it.can_run()))),
        Some(Command::Identity { command }) => make_identity(command).map(text),
        Some(Command::Explain(question)) => explain::run(question).map(|it| {
            let code = it.code();
            (it.text, code)
        }),
        Some(Command::Register(order)) => register(order, Log::new(arguments.log)).map(ended),
        Some(Command::HashKey) => secrets::hash_key().map(line).map_err(Refusal::Secret),
        Some(Command::HashPassword) => secrets::hash_password().map(line).map_err(Refusal::Secret),
    };
    match outcome {
        Ok((text, code)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(code),
            Err(error) => fail(&format!("The output cannot be written: {error}.")),
        },
        Err(refusal) => fail(&refusal),
    }
}

/// What is printed, and the exit code.
type Outcome = (String, u8);

fn ended(code: u8) -> Outcome {
    (String::new(), code)
}

fn text(text: String) -> Outcome {
    (text, 0)
}

fn line(line: String) -> Outcome {
    (line + "\n", 0)
}

fn fail(why: &dyn Display) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    let _unreportable = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}

fn diff(sides: &Diff) -> Result<String, Refusal> {
    let old = sides
        .old_directory
        .as_deref()
        .unwrap_or_else(|| Path::new(""));
    let new = sides
        .new_directory
        .as_deref()
        .unwrap_or_else(|| Path::new(""));
    start::diff((&sides.old, old), (&sides.new, new))
}

fn register(order: &Register, log: Log) -> Result<u8, Refusal> {
    register::run(&register::Order::of(order), log).map_err(Refusal::Register)
}

fn make_identity(command: &identity::Command) -> Result<String, Refusal> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    identity::run(command, now.unwrap_or_default()).map_err(Refusal::Identity)
}
