//! From flags to a running process: configuration, machine, limits, shards, signals.
//!
//! `run` is the whole story of a start, in order; `check` is its first half. Whatever stops a
//! start is a `Refusal`, which says what is wrong and what to do, and is printed by `main`.

use std::env;
use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use rustix::thread::sched_getaffinity;

use super::admin::Admin;
use super::discovery::{self, Opened};
use super::doctor::{self, Diagnosis, Needs};
use super::log::Log;
use super::reload::{self, Seen};
use super::secrets::SecretError;
use super::welcome::{Running, welcome};
use super::workload::{self, Workload};
use super::{Charge, Control, Ground, echo, explain, identity, passwords, register};
use crate::config::{self, Address, Config, Sources};
use crate::proxy::{Errands, Snapshot};
use crate::shard::{Doors, Shards, StartError, remedy};

/// Why weft did not start.
#[derive(Debug)]
pub enum Refusal {
    /// The configuration has errors.
    Config(config::Errors),
    /// The machine cannot run it.
    Machine(Box<Diagnosis>),
    /// The admin interface cannot listen.
    Admin(Address, io::Error),
    /// The built-in origins cannot start.
    Origins(io::Error),
    /// Discovery cannot start.
    Discovery(discovery::Fault),
    /// An application cannot be run and registered.
    Register(register::Fault),
    /// The shards cannot start.
    Shards(StartError),
    /// The control thread cannot start.
    Control(io::Error),
    /// The Workload API gives no identity.
    Workload(workload::Fault),
    /// An identity cannot be made.
    Identity(identity::Fault),
    /// A secret cannot be hashed.
    Secret(SecretError),
    /// A request cannot be explained.
    Question(explain::Unanswerable),
}

/// Runs until drained. Returns the exit code.
///
/// # Errors
/// What kept it from starting.
pub fn run(file: Option<&Path>, log: Log) -> Result<u8, Refusal> {
    let ground = Ground::lay().map_err(Refusal::Control)?;
    let (sources, mut seen) = match file.map(Seen::gather) {
        Some((sources, seen)) => (sources, Some(seen)),
        None => (Sources::gather(None), None),
    };
    let written = sources.config().map_err(Refusal::Config)?;
    if let Some(seen) = &mut seen {
        seen.note(&written);
    }
    examine(needs(&written), log).map_err(Refusal::Machine)?;
    reload::outputs::can_be_written(&written)
        .map_err(|problems| Refusal::Config(sources.errors(problems)))?;
    let workload = Workload::open(&written, log).map_err(Refusal::Workload)?;
    let mut config = written.clone();
    if let Some(workload) = &workload {
        workload.place(&mut config);
    }
    let mut origins = echo::Origins::default();
    let origin_count = origins.place(&mut config).map_err(Refusal::Origins)?;
    let admin = listen_for_admin(&config, log)
        .map_err(|(address, error)| Refusal::Admin(address, error))?;
    let doors = Doors::open(&mut config).map_err(Refusal::Shards)?;
    let discovery = Opened::open(&mut config).map_err(Refusal::Discovery)?;
    let snapshot = Arc::new(compile(&config, &sources)?);
    let (errands, queues) = Errands::new();
    passwords::start(queues.passwords).map_err(Refusal::Control)?;
    let shards = Shards::start(Arc::clone(&snapshot), doors, &errands).map_err(Refusal::Shards)?;
    drop(errands);
    let running = reload::first(written, config, snapshot);
    let config = Arc::clone(&running.config);
    let charge = Charge {
        running,
        seen,
        origins,
        shards: shards.senders().to_vec(),
        discovery,
        workload,
        admin,
        wanted_keys: queues.keys,
        log,
    };
    let control = Control::start(charge, ground).map_err(Refusal::Control)?;
    if file.is_none() {
        let loadgen = loadgen();
        let shard_count = shards.count();
        say(&welcome(&Running {
            config: &config,
            shard_count,
            origin_count,
            loadgen: &loadgen,
        }));
    }
    Ok(control.finish(shards.join()))
}

/// What `weft check` prints about a configuration that is valid.
///
/// # Errors
/// Every problem of the configuration.
pub fn check(file: Option<&Path>) -> Result<String, Refusal> {
    let sources = Sources::gather(file);
    let config = config_to_try(&sources)?;
    let _compiles = compile(&config, &sources)?;
    if let Some(registry) = &config.registry {
        discovery::examine(registry).map_err(Refusal::Discovery)?;
    }
    let files = match sources.files().read.len() {
        0 | 1 => String::new(),
        count => format!("{}, ", Count(count, "file")),
    };
    let routes = config
        .listeners
        .iter()
        .flat_map(|listener| &listener.virtual_hosts);
    Ok(format!(
        "{}: ok: {files}{}, {}, {}, {}",
        file.map_or_else(|| "(embedded)".into(), Path::to_string_lossy),
        Count(config.listeners.len(), "listener"),
        Count(routes.map(|host| host.routes.len()).sum(), "route"),
        Count(config.clusters.len(), "cluster"),
        Count(
            config
                .clusters
                .iter()
                .map(|cluster| cluster.endpoints.len())
                .sum(),
            "endpoint"
        ),
    ))
}

/// A configuration that is compiled, and not served with. Where a Workload API would give the
/// identity, it is not asked: a machine that only checks has none.
pub(super) fn config_to_try(sources: &Sources) -> Result<Config, Refusal> {
    let mut config = sources.config().map_err(Refusal::Config)?;
    if let Some(identity) = &mut config.identity
        && identity.workload_api().is_some()
    {
        let stand_in = identity::stand_in().map_err(Refusal::Identity)?;
        identity.held = Some(Arc::new(stand_in));
    }
    Ok(config)
}

pub(super) fn compile(config: &Config, sources: &Sources) -> Result<Snapshot, Refusal> {
    let snapshot = Snapshot::compile(config);
    snapshot.map_err(|problems| Refusal::Config(sources.errors(problems)))
}

/// What `weft diff` prints: what a reload from `old` to `new` would change. Relative paths in each
/// begin in the folder beside it.
///
/// # Errors
/// Every problem of the first that has one.
pub fn diff(old: (&Path, &Path), new: (&Path, &Path)) -> Result<String, Refusal> {
    let load = |file: &Path| config::load(Some(file)).map_err(Refusal::Config);
    let (before, after) = (load(old.0)?, load(new.0)?);
    let contents = reload::contents::describe((&before, old.1), (&after, new.1));
    Ok(reload::changes::describe(&before, &after) + &contents)
}

/// The machine, judged by the needs of a configuration.
///
/// # Errors
/// Every problem of the configuration.
pub fn diagnose(file: Option<&Path>) -> Result<Diagnosis, Refusal> {
    let config = config::load(file).map_err(Refusal::Config)?;
    Ok(doctor::examine(needs(&config)))
}

pub(super) fn needs(config: &Config) -> Needs {
    let allowed = || sched_getaffinity(None).map_or(1, |cpus| cpus.count() as usize);
    let cpus = config.shards.cpus.as_ref().map(Vec::len);
    let shard_count = config.shards.count.or(cpus).unwrap_or_else(allowed);
    Needs {
        shard_count: shard_count as u64,
        max_connections: u64::from(config.max_connections),
    }
}

/// Asks the machine for what is needed, and says what it has less of.
///
/// *Errors:* it cannot be done with what it has.
pub(super) fn examine(needs: Needs, log: Log) -> Result<(), Box<Diagnosis>> {
    let diagnosis = doctor::examine(needs);
    for shortfall in &diagnosis.shortfalls {
        log.warn(
            "The machine falls short.",
            &[("cause", shortfall), ("fix", &shortfall.fix())],
        );
    }
    if diagnosis.can_run() {
        Ok(())
    } else {
        Err(Box::new(diagnosis))
    }
}

/// The admin interface, listening, if there is one; or where it cannot listen, and why.
pub(super) fn listen_for_admin(
    config: &Config,
    log: Log,
) -> Result<Option<Admin>, (Address, io::Error)> {
    let Some(settings) = &config.admin else {
        return Ok(None);
    };
    let registry = config.registry.as_ref();
    let is_for_others = registry.is_some_and(|registry| !registry.uids.is_empty());
    let admin = Admin::bind(&settings.address, is_for_others)
        .map_err(|error| (settings.address.clone(), error))?;
    if admin.is_exposed() {
        log.warn(
            "Other machines reach the admin interface, which asks for no password.",
            &[("address", &settings.address)],
        );
    }
    Ok(Some(admin))
}

/// Tells that connections are accepted.
pub(super) fn announce(config: &Config, shard_count: usize, log: Log) {
    for listener in &config.listeners {
        log.note(
            "Listening.",
            &[("listener", &listener.name), ("address", &listener.address)],
        );
    }
    if let Some(admin) = &config.admin {
        log.note("Admin interface.", &[("address", &admin.address)]);
    }
    log.note(
        "Started.",
        &[
            ("shards", &shard_count),
            ("version", &super::arguments::VERSION),
        ],
    );
}

/// The load generator that was built beside this binary, or the one in the path.
fn loadgen() -> String {
    let beside = env::current_exe()
        .ok()
        .map(|weft| weft.with_file_name("loadgen"));
    let found = beside.filter(|path| path.is_file());
    found.map_or_else(|| "loadgen".into(), |path| path.display().to_string())
}

/// Prints to standard output. Nobody listening there is no reason to end.
fn say(text: &str) {
    let _nobody_listens = io::stdout().write_all(text.as_bytes());
}

/// `1 route`, `2 routes`.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}{}",
            self.0,
            self.1,
            if self.0 == 1 { "" } else { "s" }
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::Machine(diagnosis) => {
                for cause in &diagnosis.causes {
                    writeln!(f, "{cause}\n  FIX  {}", cause.fix())?;
                }
                f.write_str("`weft doctor` shows all that was asked.")
            }
            Self::Admin(address, error) => write!(
                f,
                "The admin interface cannot listen on {address}: {error}.\n  FIX  {}",
                remedy(address, error)
            ),
            Self::Origins(error) => {
                write!(f, "The built-in echo endpoints cannot start: {error}.")
            }
            Self::Discovery(fault) => fault.fmt(f),
            Self::Register(fault) => fault.fmt(f),
            Self::Shards(error) => error.fmt(f),
            Self::Identity(fault) => fault.fmt(f),
            Self::Workload(fault) => fault.fmt(f),
            Self::Secret(error) => error.fmt(f),
            Self::Question(why) => why.fmt(f),
            Self::Control(error) => write!(f, "The control thread cannot start: {error}."),
        }
    }
}
