//! A program that compare has started: on given processors, in a process group of its own, and
//! never left behind.
//!
//! Dropping it sends TERM to the group, and KILL to what is left after a while. Should this program
//! be killed itself, the kernel sends TERM in its place (`launch.rs`). The group is signalled only
//! before its leader has been reaped: until then its number cannot belong to anybody else.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io};

use engine::io::clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::launch::ITSELF;

/// How long a program may take to end by itself.
const END_LIMIT: Duration = Duration::from_secs(3);
/// How often a wait looks whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(50);
/// How much of a program's own words a complaint repeats.
const WORDS_MAX: usize = 1_000;

/// What to start.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// What complaints call it.
    pub name: &'a str,
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Where it may run.
    pub cpus: &'a [usize],
    /// Where its output and errors go.
    pub log: PathBuf,
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    end: OwnedFd,
    reaped: bool,
    log: PathBuf,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(launch: &Launch<'_>) -> Result<Self, String> {
        Self::spawn(launch, false)
    }

    /// Starts it and reads the first line it says.
    pub(crate) fn start_and_listen(launch: &Launch<'_>) -> Result<(Self, String), String> {
        let mut running = Self::spawn(launch, true)?;
        let mut line = String::new();
        if let Some(output) = running.child.stdout.take() {
            // An error leaves the line empty, which its reader complains about.
            let _ = BufReader::new(output).read_line(&mut line);
        }
        if line.is_empty() {
            return Err(running.complaint("said nothing"));
        }
        Ok((running, line.trim_end().to_owned()))
    }

    fn spawn(launch: &Launch<'_>, listens: bool) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot start {}: {error}", launch.name);
        let log = File::create(&launch.log).map_err(failed)?;
        let cpus: Vec<String> = launch.cpus.iter().map(ToString::to_string).collect();
        let child = Command::new(ITSELF)
            .arg0("loadgen")
            .args(["launch", "--parent", &std::process::id().to_string()])
            .args(["--cpus", &cpus.join(",")])
            .arg("--")
            .arg(launch.program)
            .args(launch.arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(match listens {
                true => Stdio::piped(),
                false => log.try_clone().map_err(failed)?.into(),
            })
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
            .map_err(|error| failed(error.into()))?;
        Ok(Self {
            name: launch.name.to_owned(),
            child,
            end,
            reaped: false,
            log: launch.log.clone(),
        })
    }

    /// What complaints call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits up to `limit`: true when it has ended.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut ends = [PollFd::new(&self.end, PollFlags::IN)];
        // A signal of ours interrupts the wait; the caller looks at it.
        poll(&mut ends, Some(&limit)).is_ok_and(|count| count > 0)
    }

    /// Waits until it ends by itself.
    ///
    /// *Errors:* the user wants to stop, or it takes longer than `limit`.
    pub(crate) fn wait(
        &mut self,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<ExitStatus, String> {
        let until = clock::now() + limit;
        while !self.ends_within(LOOK) {
            if stop.load(Ordering::Relaxed) {
                return Err("interrupted".into());
            }
            if clock::now() > until {
                return Err(self.complaint("does not end"));
            }
        }
        self.reaped = true;
        self.child
            .wait()
            .map_err(|error| format!("cannot wait for {}: {error}", self.name))
    }

    /// Sends a signal to it and all its children.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.reaped {
            // It may just have ended, which is what most signals are for.
            let _ = kill_process_group(Pid::from_child(&self.child), signal);
        }
    }

    /// A complaint with what the program itself said last.
    pub(crate) fn complaint(&self, what: &str) -> String {
        let mut words = Vec::new();
        if let Ok(mut log) = File::open(&self.log) {
            let _ = log.read_to_end(&mut words);
        }
        let words = String::from_utf8_lossy(&words);
        let words = words.trim();
        let start = words.len().saturating_sub(WORDS_MAX);
        let words = words.get(start..).unwrap_or(words);
        match words.is_empty() {
            true => format!("{} {what}", self.name),
            false => format!("{} {what}; it said:\n{words}", self.name),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.signal(Signal::TERM);
        let until = clock::now() + END_LIMIT;
        while !self.ends_within(LOOK) && clock::now() < until {}
        // Its children, if it left any, and itself if it did not listen.
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Creates one among the system's temporary files.
    pub(crate) fn create() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("loadgen-{}", std::process::id()));
        // A leftover of an earlier process with the same number is nobody's any more.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path)
            .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// A text that names files in it, without the folder.
    pub(crate) fn hide(&self, text: &str) -> String {
        text.replace(&*self.0.to_string_lossy(), "SCRATCH")
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
