//! Three origins, and what is done to the first of them.
//!
//! A fault that `loadgen origin` commits itself is begun by putting another process in the place of
//! the healthy one, at the same address: its connections are cut, as they are when a program is
//! replaced by a broken version of itself.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench::process::{free_port, local, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take until it listens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What happens to an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its process dies, and another comes later.
    Killed,
    /// Its process stands still; the kernel still accepts.
    Stopped,
    /// Every answer takes longer than one try may.
    Slowed,
    /// It closes its connections in order and takes no more.
    Refusing,
    /// It accepts and never answers.
    Silent,
    /// What it answers is no HTTP.
    Garbage,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] = [
        Self::Killed,
        Self::Stopped,
        Self::Slowed,
        Self::Refusing,
        Self::Silent,
        Self::Garbage,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::Slowed => "slowed",
            Self::Refusing => "refusing",
            Self::Silent => "silent",
            Self::Garbage => "garbage",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == word)
    }
}

/// The three origins.
pub(crate) struct Origins {
    loadgen: PathBuf,
    ports: [u16; 3],
    children: Vec<Child>,
}

impl Origins {
    pub(crate) fn start(loadgen: PathBuf) -> Result<Self, String> {
        let mut origins = Self {
            loadgen,
            ports: [free_port()?, free_port()?, free_port()?],
            children: Vec::new(),
        };
        for port in origins.ports {
            let child = origins.spawn(port, &[])?;
            origins.children.push(child);
        }
        Ok(origins)
    }

    pub(crate) fn ports(&self) -> [u16; 3] {
        self.ports
    }

    fn spawn(&self, port: u16, arguments: &[&str]) -> Result<Child, String> {
        let listen = format!("127.0.0.1:{port}");
        let mut command = Command::new(&self.loadgen);
        command
            .args(["origin", "--listen", &listen, "--body-size", "1KiB"])
            .args(["--drain", "100ms"])
            .args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", self.loadgen.display()))?;
        wait_for(local(port), PATIENCE)?;
        Ok(child)
    }

    /// Does it to the first.
    pub(crate) fn fail(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Killed => self.end(Signal::KILL),
            Fault::Refusing => self.end(Signal::TERM),
            Fault::Stopped => {
                self.signal(Signal::STOP);
                Ok(())
            }
            Fault::Slowed => self.replace(&["--delay", "500ms"]),
            Fault::Silent => self.replace(&["--fault", "stall"]),
            Fault::Garbage => self.replace(&["--fault", "bad-status"]),
        }
    }

    /// Undoes it.
    pub(crate) fn recover(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Stopped => {
                self.signal(Signal::CONT);
                Ok(())
            }
            Fault::Killed | Fault::Refusing => self.replace(&[]),
            Fault::Slowed | Fault::Silent | Fault::Garbage => {
                self.check_alive()?;
                self.replace(&[])
            }
        }
    }

    /// An origin that ended by itself has not committed its fault, and every proxy would look well.
    fn check_alive(&mut self) -> Result<(), String> {
        let ended = self.children[0].try_wait().map_err(|it| it.to_string())?;
        ended.map_or(Ok(()), |status| {
            Err(format!("the origin with the fault has ended: {status}"))
        })
    }

    fn replace(&mut self, arguments: &[&str]) -> Result<(), String> {
        self.end(Signal::KILL)?;
        self.children[0] = self.spawn(self.ports[0], arguments)?;
        Ok(())
    }

    fn end(&mut self, signal: Signal) -> Result<(), String> {
        self.signal(signal);
        let ended = self.children[0].wait();
        ended.map(drop).map_err(|error| error.to_string())
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.children[0].id()).ok();
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // One that has ended needs no signal.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Origins {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
