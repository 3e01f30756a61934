//! From a changed file to a new generation on every shard, or to a refusal that says why.
//!
//! In: wishes: SIGHUP, or a file that changed (`watch`). Each is one run of `Reloader::attempt`:
//! read, compare with what cannot change, bind new listeners, compile, prepare on all shards,
//! commit. Whatever is wrong on the way leaves everything as it was, and is told in the log, in the
//! metrics and on the admin interface. Out: [`generations::Generations`], which says what runs.
//!
//! Must stay true: nothing takes effect before all of it can; shards never wait for this side; one
//! attempt at a time. What takes long is done `aside`, so whatever else the control thread knows
//! may change during an attempt; what discovery finds meanwhile is told after it.

pub mod changes;
pub mod contents;
pub mod generations;
pub mod wishes;

pub(super) mod outputs;

mod files;
mod fixed;
mod swap;
mod watch;

use std::collections::HashSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_local};

use self::generations::{Cause, Rejection, Running};
use self::watch::Stamps;
use self::wishes::Wishes;
use super::admin::Admin;
use super::aside::aside;
use super::discovery::api::Access;
use super::signals::Lifecycle;
use super::view::View;
use super::{doctor, echo, start};
use crate::config::{Address, Config, Errors, Files, Problem, Sources};
use crate::limits::{PREPARE_PATIENCE, SCRAPE_PATIENCE};
use crate::proxy::{Predecessor, Snapshot};
use crate::record::{Numbers, SeriesNames};
use crate::shard::{Door, Doors};

/// What an attempt came to, if nothing was wrong.
enum Verdict {
    /// Everything is as it was.
    Unchanged,
    /// This generation runs now.
    Accepted(Rc<Running>),
}

/// A generation that no shard knows yet.
struct Compiled {
    snapshot: Arc<Snapshot>,
    config: Config,
    names: SeriesNames,
    numbers: Numbers,
}

/// The files that a start has read, and what they were before: the watch begins later, when sources
/// of endpoints have answered, and tells what has changed since.
#[derive(Debug)]
pub struct Seen {
    files: Files,
    stamps: Stamps,
}

impl Seen {
    /// Reads a configuration.
    pub(super) fn gather(main: &Path) -> (Sources, Self) {
        let mut stamps = watch::stamps([main.to_owned()]);
        let sources = Sources::gather(Some(main));
        let files = sources.files();
        for (file, stamp) in watch::stamps(files.read.iter().cloned()) {
            stamps.entry(file).or_insert(stamp);
        }
        (sources, Self { files, stamps })
    }

    /// Before the files are read that it names.
    pub(super) fn note(&mut self, config: &Config) {
        self.stamps.extend(watch::stamps(files::named(config)));
    }
}

/// Makes generations, one after the other.
pub(super) struct Reloader {
    /// What was read last, whether it was taken or not.
    files: Files,
    /// The files that it names, and what they were before they were read, whether it was taken or
    /// not: one that was refused for their sake is tried again when they change.
    named: Stamps,
    view: Rc<View>,
    origins: echo::Origins,
    /// The admin interface, if there is one.
    serving: Option<JoinHandle<()>>,
}

impl Reloader {
    /// Makes generations of what these files hold from now on.
    pub(super) fn new(seen: Seen, view: Rc<View>, origins: echo::Origins) -> Self {
        let Seen { files, stamps } = seen;
        view.generations.read_from(&files.read);
        Self {
            files,
            named: stamps,
            view,
            origins,
            serving: None,
        }
    }

    /// The same, with the admin interface that answers now, which a reload may replace.
    pub(super) fn behind(self, serving: Option<JoinHandle<()>>) -> Self {
        Self { serving, ..self }
    }

    /// Answers wishes as they come, until dropped.
    pub(super) async fn run(mut self, wishes: Rc<Wishes>) {
        let seen = std::mem::take(&mut self.named);
        let mut watch = watch::Watch::new(seen, self.view.log);
        loop {
            let config = self.view.config();
            let mut named = watch::stamps(files::named(&config));
            named.extend(self.named.clone());
            watch.follow(&self.files, named, config.watch);
            let cause = tokio::select! {
                cause = wishes.next() => cause,
                changed = watch.changed() => Cause::Files(changed),
            };
            if self.view.lifecycle.get() == Lifecycle::Serving {
                self.answer(cause).await;
            }
        }
    }

    /// One attempt, and what is told about it.
    async fn answer(&mut self, cause: Cause) {
        let (generations, log) = (&Rc::clone(&self.view).generations, self.view.log);
        let verdict = self.attempt(&cause).await;
        if let (Ok(_), Some(workload)) = (&verdict, &self.view.workload) {
            workload.placed_is_used();
        }
        match verdict {
            Ok(Verdict::Unchanged) => {
                generations.unchanged();
                let generation = generations.running().snapshot.generation;
                log.note(
                    "The configuration is what it was.",
                    &[("cause", &cause), ("generation", &generation)],
                );
            }
            Ok(Verdict::Accepted(running)) => log.note(
                "A new configuration is in effect.",
                &[
                    ("cause", &cause),
                    ("generation", &running.snapshot.generation),
                ],
            ),
            Err(errors) => {
                self.view.discovery.abandon();
                let generation = generations.running().snapshot.generation;
                for (file, line, problem) in errors.located() {
                    let line = line.map_or_else(String::new, |line| format!(":{line}"));
                    let place = format!("{}{line}", file.display());
                    log.error(
                        "The new configuration is refused.",
                        &[("file", &place), ("problem", problem)],
                    );
                }
                log.error(
                    "The configuration before it stays in effect.",
                    &[
                        ("cause", &cause),
                        ("generation", &generation),
                        ("problems", &errors.problems().len()),
                    ],
                );
                generations.rejected(Rejection::new(cause, errors));
            }
        }
        super::reopen_logs(&self.view);
    }

    async fn attempt(&mut self, cause: &Cause) -> Result<Verdict, Errors> {
        self.forget_freed().await;
        let running = self.view.generations.running();
        let (sources, written) = self.read(&running, cause).await;
        let written = written?;
        match self.change_to(&running, written, cause).await {
            Ok(verdict) => Ok(verdict),
            Err(problems) => Err(aside(move || sources.errors(problems)).await),
        }
    }

    /// What the files hold.
    async fn read(
        &mut self,
        running: &Running,
        cause: &Cause,
    ) -> (Sources, Result<Arc<Config>, Errors>) {
        let main = self.files.read.first().cloned();
        // Whatever the files are like by now: an identity that is not taken ends.
        let is_wanted = *cause != Cause::Identity;
        let (sources, config, named) = aside(move || {
            let sources = Sources::gather(main.as_deref());
            let config = is_wanted.then(|| sources.config());
            let named = config.iter().flatten().flat_map(files::named);
            let named = watch::stamps(named);
            (sources, config, named)
        })
        .await;
        let Some(config) = config else {
            return (sources, Ok(Arc::clone(&running.written)));
        };
        self.files = sources.files();
        self.named = named;
        (sources, config.map(Arc::new))
    }

    /// Has all shards run what is written there.
    async fn change_to(
        &mut self,
        running: &Running,
        written: Arc<Config>,
        cause: &Cause,
    ) -> Result<Verdict, Vec<Problem>> {
        fixed::unchanged(&running.written, &written)?;
        self.make_room(running, &written).await?;
        let mut config = Config::clone(&written);
        self.origins
            .place(&mut config)
            .map_err(|error| vec![whole(format!("builtin:echo: {error}"))])?;
        if let Some(workload) = &self.view.workload {
            workload.place(&mut config);
        }
        let meant = config.clone();
        self.view.discovery.prepare(&mut config).await;
        keep_ports(running, &mut config);
        let shards = self.view.collector.shards();
        let (config, doors) = new_doors(running, config, shards.len()).await;
        let doors = doors?;
        let admin = self.next_admin(running, &written)?;
        let access = next_access(&written)?;
        outputs::can_be_changed(&running.written, &written).await?;
        let Some(next) = self.compile(running, &written, config).await? else {
            self.give_access(access);
            self.view.generations.read_from(&self.files.read);
            return Ok(Verdict::Unchanged);
        };
        if self.view.lifecycle.get() != Lifecycle::Serving {
            return Err(vec![whole("the process has begun to drain".to_owned())]);
        }
        let (snapshot, mut names) = (next.snapshot, next.names);
        // Before any shard can count under the new names.
        self.view.collector.rename(names.clone());
        if let Err(silent) = swap::swap(shards, &snapshot, doors, PREPARE_PATIENCE).await {
            std::mem::swap(&mut names, &mut self.view.generations.names());
            self.view.collector.rename(names);
            let message = format!("shards {silent:?} did not prepare it in time");
            return Err(vec![whole(message)]);
        }
        self.view.discovery.commit(meant, &snapshot);
        let running = Running::new(written, next.config, snapshot, cause.clone());
        let running = self.view.generations.accepted(running, names, next.numbers);
        self.view.generations.read_from(&self.files.read);
        self.view.checks.follow(&running.snapshot);
        self.view.key_sets.follow(&running.config);
        self.give_access(access);
        if let Some(admin) = admin {
            self.serve(admin);
        }
        Ok(Verdict::Accepted(running))
    }

    /// The generation that follows what runs; none, if nothing has changed.
    async fn compile(
        &self,
        running: &Running,
        written: &Arc<Config>,
        config: Config,
    ) -> Result<Option<Compiled>, Vec<Problem>> {
        let (names, numbers) = self.view.generations.numbered(&config);
        let runs = self.view.discovery.feed.as_it_runs(&running.snapshot);
        let (before, written) = (Arc::clone(&running.written), Arc::clone(written));
        aside(move || {
            let after = Predecessor {
                snapshot: &runs,
                numbers: &numbers,
                series: names.counts(),
            };
            let snapshot = Snapshot::succeed(&config, &after)?;
            let is_same = written == before && snapshot.is_same(&runs);
            Ok((!is_same).then(|| Compiled {
                snapshot: Arc::new(snapshot),
                config,
                names,
                numbers,
            }))
        })
        .await
    }

    /// Raises the limits of the process when there may be more connections than before.
    async fn make_room(&self, running: &Running, next: &Config) -> Result<(), Vec<Problem>> {
        if next.max_connections <= running.written.max_connections {
            return Ok(());
        }
        let (needs, log) = (start::needs(next), self.view.log);
        let examined = aside(move || start::examine(needs, log)).await;
        examined.map_err(|diagnosis| {
            let problem = |cause: &doctor::Cause| Problem {
                line: None,
                field: "max_connections".to_owned(),
                value: Some(next.max_connections.to_string()),
                message: format!("{cause} {}", cause.fix()),
            };
            diagnosis.causes.iter().map(problem).collect()
        })
    }

    /// The admin interface that takes the place of the one that runs, or none, if that changes.
    fn next_admin(
        &self,
        running: &Running,
        next: &Config,
    ) -> Result<Option<Option<Admin>>, Vec<Problem>> {
        if running.written.admin == next.admin {
            return Ok(None);
        }
        let admin = start::listen_for_admin(next, self.view.log);
        admin.map(Some).map_err(|(address, error)| {
            vec![Problem {
                line: None,
                field: "admin.address".to_owned(),
                value: Some(format!("\"{address}\"")),
                message: format!("cannot be listened on: {error}"),
            }]
        })
    }

    /// Answers at another place from now on. What the one before has begun, it finishes.
    fn serve(&mut self, admin: Option<Admin>) {
        if let Some(before) = self.serving.take() {
            before.abort();
        }
        let serve = |admin| spawn_local(super::serve_admin(admin, Rc::clone(&self.view)));
        self.serving = admin.map(serve);
    }

    /// Who may change the registry from now on.
    fn give_access(&self, access: Option<Access>) {
        if let (Some(api), Some(access)) = (&self.view.discovery.api, access) {
            api.give_access(access);
        }
    }

    /// Gives back the ids of what was removed and is not in use any more. What was counted of it is
    /// forgotten once all of it has been told.
    async fn forget_freed(&self) {
        let Some(dead) = self.view.generations.dead() else {
            return;
        };
        let collector = &self.view.collector;
        // Twice: what answers the first may have been asked, and told, before they were dead.
        for _ in 0..2 {
            if !collector.refresh(SCRAPE_PATIENCE).await.is_empty() {
                return;
            }
        }
        let (names, freed) = self.view.generations.bury(dead);
        collector.rename(names);
        collector.forget(&freed);
    }
}

/// Sockets for the listeners that are not open yet, for each shard.
async fn new_doors(
    running: &Running,
    mut config: Config,
    shard_count: usize,
) -> (Config, Result<Vec<Vec<Door>>, Vec<Problem>>) {
    let open = running.config.listeners.iter();
    let open: HashSet<Address> = open.map(|listener| listener.address.clone()).collect();
    let (config, doors) = aside(move || {
        let doors = Doors::add(&mut config, shard_count, &open);
        (config, doors)
    })
    .await;
    let doors = doors.map_err(|error| {
        vec![Problem {
            line: None,
            field: format!("listeners[{}].address", error.place),
            value: Some(format!("\"{}\"", error.address)),
            message: format!(
                "listener {} cannot have it: {}",
                error.listener, error.error
            ),
        }]
    });
    (config, doors)
}

/// Who may change the registry, if there is one. A file of tokens that is gone is not made again:
/// who has one could not know the new one.
fn next_access(next: &Config) -> Result<Option<Access>, Vec<Problem>> {
    let access = next.registry.as_ref().map(Access::read).transpose();
    access.map_err(|error| {
        vec![Problem {
            line: None,
            field: "registry.token_file".to_owned(),
            value: None,
            message: error.to_string(),
        }]
    })
}

/// A problem with the file as a whole.
fn whole(message: String) -> Problem {
    Problem {
        line: None,
        field: String::new(),
        value: None,
        message,
    }
}

/// A listener whose port the kernel chose keeps it as long as the configuration asks for the same.
fn keep_ports(running: &Running, config: &mut Config) {
    for listener in &mut config.listeners {
        let mut known = running
            .written
            .listeners
            .iter()
            .zip(&running.config.listeners);
        let same = known.find(|(written, _)| {
            written.name == listener.name && written.address == listener.address
        });
        if let Some((_, bound)) = same {
            listener.address.clone_from(&bound.address);
        }
    }
}

/// The generation of the start.
pub(crate) fn first(written: Config, config: Config, snapshot: Arc<Snapshot>) -> Running {
    Running::new(Arc::new(written), config, snapshot, Cause::Start)
}
