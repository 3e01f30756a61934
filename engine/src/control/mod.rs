//! Around the shards: command line, start, admin interface, dumps, signals.
//!
//! The control thread is an ordinary tokio current-thread runtime, pinned to no core. It never
//! touches a request; it talks to the shards by messages (`shard::ShardCommand`) and they answer
//! with copies. In: the running shards and the configuration. Out: the exit code of the process.
//!
//! Must stay true: nothing here can make a shard wait, and no failure here (a full disk, a slow
//! scrape) ends the process; only a signal, POST /drain or the death of a shard does.

pub mod admin;
pub mod arguments;
pub mod collect;
pub mod discovery;
pub mod doctor;
pub mod dump;
pub mod echo;
pub mod explain;
pub mod health;
pub mod identity;
pub mod jwks;
pub mod log;
pub mod passwords;
pub mod register;
pub mod reload;
pub mod secrets;
pub mod shortage;
pub mod signals;
pub mod start;
pub mod view;
pub mod welcome;
pub mod workload;

mod aside;

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flume::{Receiver, Sender};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use self::admin::Admin;
use self::collect::{Collector, PanicTeller};
use self::discovery::Opened;
use self::health::{Checker, HealthChecks};
use self::jwks::KeySets;
use self::log::Log;
use self::reload::generations::{Generations, Running};
use self::reload::wishes::Wishes;
use self::reload::{Reloader, Seen};
use self::signals::{Early, Lifecycle, Signal, Signals, Step};
use self::view::View;
use self::workload::Workload;
use crate::io::clock;
use crate::limits::{COLLECT_INTERVAL, DRAIN_GRACE, LAST_DUMP_PATIENCE, SCRAPE_PATIENCE};
use crate::proxy::ClusterPlan;
use crate::record::SeriesNames;
use crate::shard::{ShardCommand, ShardReport};

/// How often the control loop looks whether a shard has died.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// What the control thread is given.
#[derive(Debug)]
pub struct Charge {
    /// The generation that runs.
    pub running: Running,
    /// The files it was read from; without any there is nothing to read anew.
    pub seen: Option<Seen>,
    /// Built-in origins that run.
    pub origins: echo::Origins,
    /// The mailboxes of the shards, by number.
    pub shards: Vec<Sender<ShardCommand>>,
    /// What discovery has opened.
    pub discovery: Opened,
    /// The identity, if the Workload API gives it.
    pub workload: Option<Workload>,
    /// The admin interface's socket.
    pub admin: Option<Admin>,
    /// Addresses of key sets that lack a key.
    pub wanted_keys: Receiver<Arc<str>>,
    /// The event log.
    pub log: Log,
}

/// The running control thread.
#[derive(Debug)]
pub struct Control {
    thread: thread::JoinHandle<u8>,
    last_reports: oneshot::Sender<Vec<ShardReport>>,
}

impl Charge {
    /// Runs inside the `LocalSet`: discovery begins here.
    fn into_view(self) -> (Option<Admin>, Option<Reloader>, Rc<View>) {
        let (shards, running) = (self.shards.clone(), &self.running);
        let checker = Rc::new(Checker::default());
        let (config, snapshot) = (&running.config, &running.snapshot);
        let discovery = self
            .discovery
            .start(config, snapshot, shards, &checker, self.log);
        let checks = HealthChecks::new(checker, self.shards.clone(), self.log);
        let checks = Rc::new(checks);
        let following = Rc::clone(&checks);
        let follow = move |plan: &ClusterPlan| following.follow_cluster(plan);
        discovery.feed.connect(Box::new(follow));
        let names = SeriesNames::compile(&self.running.config);
        let view = View {
            checks,
            key_sets: Rc::new(KeySets::new(self.shards.clone(), self.log)),
            collector: Collector::new(self.shards, names),
            generations: Generations::new(self.running),
            is_accepting: Cell::new(false),
            lifecycle: Cell::new(Lifecycle::Serving),
            drain_bell: Notify::new(),
            started: (clock::wall(), clock::now()),
            discovery,
            workload: self.workload.map(Rc::new),
            log: self.log,
        };
        let view = Rc::new(view);
        let reloader = self
            .seen
            .map(|seen| Reloader::new(seen, Rc::clone(&view), self.origins));
        (self.admin, reloader, view)
    }
}

/// What the control thread stands on.
#[derive(Debug)]
pub struct Ground {
    runtime: Runtime,
    early: Early,
}

impl Ground {
    /// Before anything else. From here on a signal that has the configuration read or the log
    /// opened anew ends no process that still starts: it is answered when the thread runs.
    ///
    /// # Errors
    /// When the runtime or the signals cannot be had.
    pub fn lay() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("weft-file")
            .build()?;
        let early = runtime.block_on(async { Early::new() })?;
        Ok(Self { runtime, early })
    }
}

impl Control {
    /// Starts the thread. From here on signals drain instead of killing.
    ///
    /// # Errors
    /// When the thread or the signals cannot be had.
    pub fn start(charge: Charge, ground: Ground) -> io::Result<Self> {
        let Ground { runtime, early } = ground;
        let signals = runtime.block_on(async { Signals::new(early) })?;
        let (last_reports, finished) = oneshot::channel();
        let log = charge.log;
        let control = move || {
            let code = LocalSet::new().block_on(&runtime, run(charge, signals, finished));
            // A disk that hangs must not hold up the end of the process.
            runtime.shutdown_background();
            code
        };
        let thread = thread::Builder::new()
            .name("weft-control".into())
            .spawn(move || {
                catch_unwind(AssertUnwindSafe(control)).unwrap_or_else(|_| {
                    // Nobody is left to hear a signal; better restarted than out of control.
                    log.error(
                        "The control thread failed; please report the panic above.",
                        &[],
                    );
                    std::process::exit(1)
                })
            })?;
        Ok(Self {
            thread,
            last_reports,
        })
    }

    /// Hands over what the shards recorded last, waits for the last dump, and returns the exit
    /// code of the process.
    #[must_use]
    pub fn finish(self, reports: Vec<ShardReport>) -> u8 {
        // The thread is gone only if it panicked, which the join tells.
        let _thread_is_gone = self.last_reports.send(reports);
        self.thread.join().unwrap_or(1)
    }
}

/// The control loop: until the shards have ended.
async fn run(
    charge: Charge,
    mut signals: Signals,
    mut finished: oneshot::Receiver<Vec<ShardReport>>,
) -> u8 {
    let log = charge.log;
    let wanted_keys = charge.wanted_keys.clone();
    let (admin, reloader, view) = charge.into_view();
    view.checks.follow(&view.generations.running().snapshot);
    view.key_sets.follow(&view.config());
    spawn_local(Rc::clone(&view.key_sets).answer(wanted_keys));
    let watched = Rc::clone(&view);
    let memory_max = move || watched.config().overload.max_memory;
    let shards = view.collector.shards().to_vec();
    spawn_local(shortage::watch(shards, memory_max, log));
    let collecting = Rc::clone(&view);
    spawn_local(async move { collecting.collector.run().await });
    let serving = admin.map(|admin| spawn_local(serve_admin(admin, Rc::clone(&view))));
    let reloader = reloader.map(|reloader| reloader.behind(serving));
    let wishes = Rc::new(Wishes::default());
    let granted = reloader.is_some().then(|| Rc::clone(&wishes));
    keep_identity(&view, &wishes);
    spawn_local(begin(Rc::clone(&view), reloader, wishes));
    let (end_dump, dump_ends) = oneshot::channel();
    let dump = spawn_local(dump::run(Rc::clone(&view), dump_ends));
    let mut watch = steady(WATCH_INTERVAL);
    let mut collect = steady(COLLECT_INTERVAL);
    let (mut code, mut panics_told) = (0, 0);
    let mut balancing_told = PanicTeller::default();
    let reports = loop {
        tokio::select! {
            reports = &mut finished => break reports.unwrap_or_default(),
            signal = signals.next() => {
                answer(signal, &mut signals, &view, granted.as_deref()).await;
            }
            () = view.drain_bell.notified() => drain(&view, "admin"),
            _ = collect.tick() => {
                let view = Rc::clone(&view);
                spawn_local(async move { view.collector.refresh(SCRAPE_PATIENCE).await });
            }
            _ = watch.tick() => {
                tell_panics(&view, &mut panics_told);
                balancing_told.tell(&view.collector, log);
                if let Some(shard) = died(&view) {
                    log.error("A shard has died; the others are drained.", &[("shard", &shard)]);
                    code = 1;
                    drain(&view, "shard death");
                }
            }
        }
    };
    let cut: usize = reports.iter().map(|report| report.connections).sum();
    if cut > 0 {
        log.warn(
            "The drain's deadline cut connections.",
            &[("connections", &cut)],
        );
    }
    reports
        .into_iter()
        .for_each(|report| view.collector.absorb(report));
    if end_dump.send(()).is_ok() {
        // A disk that takes longer than this has lost the last interval.
        let _too_slow = timeout(LAST_DUMP_PATIENCE, dump).await;
    }
    log.note("Stopped.", &[("exit_code", &code)]);
    code
}

/// Has the shards accept as soon as clusters have endpoints, and generations made from then on.
async fn begin(view: Rc<View>, reloader: Option<Reloader>, wishes: Rc<Wishes>) {
    let config = view.config();
    view.discovery.begin(&config).await;
    let shards = view.collector.shards();
    for shard in shards {
        // A shard that has ended is found out by itself.
        let _ended = shard.send_async(ShardCommand::Accept).await;
    }
    view.is_accepting.set(true);
    if view.lifecycle.get() == Lifecycle::Serving {
        start::announce(&config, shards.len(), view.log);
    }
    if let Some(reloader) = reloader {
        reloader.run(wishes).await;
    }
}

fn steady(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Keeps the identity up to date, if the Workload API gives it.
fn keep_identity(view: &View, wishes: &Rc<Wishes>) {
    #[cfg(feature = "spiffe")]
    if let Some(workload) = &view.workload {
        spawn_local(Rc::clone(workload).keep(Rc::clone(wishes)));
    }
    #[cfg(not(feature = "spiffe"))]
    let _unused = (view, wishes);
}

async fn serve_admin(admin: Admin, view: Rc<View>) {
    let Err(error) = admin.serve(Rc::clone(&view)).await;
    view.log
        .error("The admin interface failed.", &[("error", &error)]);
}

/// Tells every shard, without waiting: a full mailbox delays it, an ended shard needs none.
fn tell(shards: &[Sender<ShardCommand>], command: impl Fn() -> ShardCommand) {
    for shard in shards {
        let (shard, command) = (shard.clone(), command());
        spawn_local(async move { shard.send_async(command).await.is_ok() });
    }
}

/// Has every shard open its access log anew. The histogram dump opens its file for each interval.
fn reopen_logs(view: &View) {
    tell(view.collector.shards(), || ShardCommand::ReopenLog);
}

/// A shard that ended without being told to.
fn died(view: &View) -> Option<usize> {
    let is_serving = view.lifecycle.get() == Lifecycle::Serving;
    view.ended().first().copied().filter(|_| is_serving)
}

/// A panic is a bug that cost one connection; the connections beside it go on.
fn tell_panics(view: &View, told: &mut u64) {
    let panics = view.collector.task_panics();
    if panics > *told {
        *told = panics;
        view.log.error(
            "A connection was lost to a bug in weft; please report the panic above.",
            &[("panics", &panics)],
        );
    }
}

async fn answer(signal: Signal, signals: &mut Signals, view: &Rc<View>, wishes: Option<&Wishes>) {
    match view.lifecycle.get().on(signal) {
        Step::Drain => {
            signals.settle().await;
            drain(view, "signal");
        }
        Step::Reload => match wishes {
            Some(wishes) => wishes.signal(),
            None => view.log.warn(
                "SIGHUP is ignored: the embedded configuration cannot change.",
                &[],
            ),
        },
        Step::Ignore => view
            .log
            .warn("SIGHUP is ignored: the process is draining.", &[]),
        Step::Reopen => reopen_logs(view),
        Step::Exit(code) => {
            view.log
                .warn("Second signal: exiting at once.", &[("exit_code", &code)]);
            std::process::exit(code.into());
        }
    }
}

/// Tells every shard to drain, once, and bounds how long that may take.
fn drain(view: &Rc<View>, cause: &str) {
    if view.lifecycle.replace(Lifecycle::Draining) == Lifecycle::Draining {
        return;
    }
    let deadline = view.config().drain;
    view.log.note(
        "Draining: no connection is accepted any more.",
        &[
            ("cause", &cause),
            ("deadline_seconds", &deadline.as_secs_f64()),
        ],
    );
    tell(view.collector.shards(), || ShardCommand::Drain { deadline });
    let log = view.log;
    spawn_local(async move {
        sleep(deadline + DRAIN_GRACE).await;
        log.error(
            "A shard did not end after the drain's deadline; exiting.",
            &[],
        );
        std::process::exit(1);
    });
}
