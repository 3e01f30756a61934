//! `weft register`: an application that is registered for as long as it runs.
//!
//! Starts the command; registers it once its check passes; renews its lease; registers it anew when
//! the proxy has forgotten it, and goes on trying while the proxy is away. On SIGTERM, SIGINT or
//! SIGQUIT, by which some programs end gracefully, it drains first, leaves after the time that
//! requests under way may take, and only then passes the signal on. Out: the exit code of the
//! command, or 128 and the signal that ended it.

mod client;

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal as ToSend, kill_process};
use serde_json::{Map, Value, json};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Source, SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::arguments::Register;
use super::discovery::check::target;
use super::discovery::registry::{FieldError, Probe, Registration};
use super::health::probe;
use super::log::Log;
use crate::config::Address;
use client::Client;

/// Between two attempts at reaching the proxy, or at a check that does not pass.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a check before the registration may take.
const CHECK_PATIENCE: Duration = Duration::from_secs(2);

/// What to run, and as what.
#[derive(Debug)]
pub struct Order {
    /// The proxy's admin interface.
    pub admin: Address,
    /// The file with a token, which is not there if none is asked for.
    pub token_file: PathBuf,
    /// The service.
    pub service: String,
    /// What is registered, as the API takes it.
    pub document: Map<String, Value>,
    /// What has to work first.
    pub check: Option<(Address, Probe)>,
    /// How long requests under way may take after the drain.
    pub drain: Duration,
    /// The program and its arguments.
    pub command: Vec<String>,
}

impl Order {
    /// What a command line says.
    #[must_use]
    pub fn of(told: &Register) -> Self {
        let mut document = Map::new();
        document.insert("address".into(), json!(told.address));
        document.insert("weight".into(), json!(told.weight));
        document.insert("ttl".into(), json!(told.ttl));
        if let Some(id) = &told.id {
            document.insert("id".into(), json!(id));
        }
        if let Some(locality) = &told.locality {
            document.insert("locality".into(), json!(locality));
        }
        let pairs = told.metadata.iter();
        let pairs = pairs.map(|(key, value)| (key.clone(), json!(value)));
        document.insert("metadata".into(), Value::Object(pairs.collect()));
        Self {
            admin: told.admin.clone(),
            token_file: told.token_file.clone(),
            service: told.service.clone(),
            document,
            check: told.check.clone(),
            drain: told.drain,
            command: told.command.clone(),
        }
    }
}

/// Why nothing was run.
#[derive(Debug)]
pub enum Fault {
    /// What would be registered is wrong.
    Field(FieldError),
    /// The program cannot be started.
    Program(String, io::Error),
    /// The signals or the runtime cannot be had.
    System(io::Error),
}

/// The signals that are passed on; the first three after the farewell.
struct Signals {
    terminate: Source,
    interrupt: Source,
    quit: Source,
    hang_up: Source,
    user_1: Source,
    user_2: Source,
}

/// Runs the command to its end.
///
/// # Errors
/// What kept it from being started.
pub fn run(order: &Order, log: Log) -> Result<u8, Fault> {
    let document = Value::Object(order.document.clone());
    let registration = Registration::read(&order.service, None, &document).map_err(Fault::Field)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::System)?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(Fault::System)?;
        let (program, arguments) = order.command.split_first().ok_or_else(|| {
            let nothing = io::Error::from(io::ErrorKind::InvalidInput);
            Fault::Program(String::new(), nothing)
        })?;
        // In a group of its own: what a terminal sends comes here first.
        let mut child = Command::new(program)
            .args(arguments)
            .process_group(0)
            .spawn()
            .map_err(|error| Fault::Program(program.clone(), error))?;
        let client = Client::new(order, &registration);
        let mut announced = Announced::default();
        let ended = tokio::select! {
            ended = attend(&mut child, &mut signals) => ended,
            () = keep_registered(order, &client, registration.ttl, &mut announced, log) => {
                Attended::Ended(child.wait().await)
            }
        };
        let status = match ended {
            Attended::Ended(status) => {
                if announced.may_be_known {
                    client.leave(log).await;
                }
                status
            }
            Attended::Stopped(first) => {
                if announced.may_be_known {
                    if client.drain(log).await {
                        // A second signal, or the end of the command, cuts it short.
                        let _cut = timeout(order.drain, attend(&mut child, &mut signals)).await;
                    }
                    client.leave(log).await;
                }
                send(&child, first);
                loop {
                    match attend(&mut child, &mut signals).await {
                        Attended::Ended(status) => break status,
                        Attended::Stopped(next) => send(&child, next),
                    }
                }
            }
        };
        Ok(code(status.map_err(Fault::System)?))
    })
}

/// Whether the proxy knows of the instance.
#[derive(Debug, Default)]
struct Announced {
    /// As far as it has said.
    is_registered: bool,
    /// It has been told, and may not have said so yet: a signal can come before its answer.
    may_be_known: bool,
}

/// Registers when the check passes, and renews for ever.
async fn keep_registered(
    order: &Order,
    client: &Client,
    ttl: Duration,
    announced: &mut Announced,
    log: Log,
) {
    let mut told = String::new();
    if let Some((address, what)) = &order.check {
        let target = target(address, what, PAUSE, CHECK_PATIENCE);
        while let Err(why) = probe(&target).await {
            let why = why.to_string();
            if told != why {
                log.note("The check does not pass yet.", &[("error", &why)]);
                told = why;
            }
            sleep(PAUSE).await;
        }
    }
    told.clear();
    loop {
        let asked = if announced.is_registered {
            client.renew().await
        } else {
            announced.may_be_known = true;
            client.register().await
        };
        match asked {
            Ok(200 | 201) => {
                if !announced.is_registered {
                    log.note("Registered.", &[("service", &order.service)]);
                }
                announced.is_registered = true;
                told.clear();
                sleep(ttl / 3).await;
                continue;
            }
            // The proxy has forgotten it.
            Ok(404 | 410) if announced.is_registered => {
                announced.is_registered = false;
                continue;
            }
            Ok(status) => tell(&mut told, format!("the answer was {status}"), log),
            Err(why) => tell(&mut told, why, log),
        }
        sleep(PAUSE).await;
    }
}

/// Says why the proxy cannot be told, once for each reason.
fn tell(told: &mut String, why: String, log: Log) {
    if *told != why {
        log.warn("The proxy cannot be told; trying on.", &[("error", &why)]);
        *told = why;
    }
}

/// What happened to the command.
enum Attended {
    /// It has ended.
    Ended(io::Result<ExitStatus>),
    /// It is to be stopped by this signal.
    Stopped(ToSend),
}

/// Waits for the end of the command or a signal that asks for it; passes the others on.
async fn attend(child: &mut Child, signals: &mut Signals) -> Attended {
    loop {
        let signal = tokio::select! {
            status = child.wait() => return Attended::Ended(status),
            _ = signals.terminate.recv() => return Attended::Stopped(ToSend::TERM),
            _ = signals.interrupt.recv() => return Attended::Stopped(ToSend::INT),
            _ = signals.quit.recv() => return Attended::Stopped(ToSend::QUIT),
            _ = signals.hang_up.recv() => ToSend::HUP,
            _ = signals.user_1.recv() => ToSend::USR1,
            _ = signals.user_2.recv() => ToSend::USR2,
        };
        send(child, signal);
    }
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }
}

fn send(child: &Child, signal: ToSend) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // Fails when it has ended, which is what the caller waits for.
        let _ended = kill_process(pid, signal);
    }
}

/// The exit code as a shell tells it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128_i32.saturating_add(signal)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// `http://10.0.0.1:80/healthz` as an address and a question.
#[must_use]
pub fn parse_check(text: &str) -> Option<(Address, Probe)> {
    let rest = text.strip_prefix("http://")?;
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let authority = authority.replace("localhost", "127.0.0.1");
    let address = authority.parse().ok().map(Address::Tcp)?;
    Some((address, Probe::Http(path.to_owned())))
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(error) => {
                let value = error.value.as_deref().unwrap_or("missing");
                write!(
                    out,
                    "{} is {value}; expected {}.",
                    error.field, error.expected
                )
            }
            Self::Program(program, error) => write!(out, "{program} cannot be started: {error}."),
            Self::System(error) => write!(out, "weft register cannot run: {error}."),
        }
    }
}
