//! Starts a program tied to its parent: on its processors, and ended when the parent dies.
//!
//! What has to happen between fork and exec needs unsafe code in the parent; a program that sets
//! itself up and then becomes another one does not. `loadgen launch` is that program: it sets the
//! parent-death signal (kept over exec, prctl(2)) and the affinity (inherited by all children),
//! then executes. It is not meant to be called by hand and does not show in `--help`.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::placement::{CpuList, cpu_list};

/// This very program, also when its file has been replaced since.
pub(crate) const ITSELF: &str = "/proc/self/exe";

/// Options of `loadgen launch`.
#[derive(Debug, Args)]
pub(crate) struct LaunchOptions {
    /// The process whose end ends the program.
    #[arg(long)]
    pub parent: i32,
    /// Processors the program may use.
    #[arg(long, value_parser = cpu_list)]
    pub cpus: CpuList,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// Becomes the program.
///
/// *Errors:* always, when it returns.
pub(crate) fn launch(options: &LaunchOptions) -> Result<(), String> {
    // TERM, not KILL: a program with children of its own has to end those.
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| format!("cannot follow the parent's end: {error}"))?;
    // The parent may have ended before the line above.
    if getppid() != Pid::from_raw(options.parent) {
        return Err("the parent has ended".into());
    }
    let mut set = CpuSet::new();
    let CpuList(cpus) = &options.cpus;
    cpus.iter().for_each(|&cpu| set.set(cpu));
    sched_setaffinity(None, &set)
        .map_err(|error| format!("cannot run on processors {cpus:?}: {error}"))?;
    let program = &options.program;
    let mut command = Command::new(program);
    if program == Path::new(ITSELF) {
        command.arg0("loadgen");
    }
    let error = command.args(&options.arguments).exec();
    Err(format!("cannot run {}: {error}", program.display()))
}
