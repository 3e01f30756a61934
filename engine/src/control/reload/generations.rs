//! Which generation runs, which ones are still in use, and what was refused last.
//!
//! A generation is alive as long as a shard or one of its requests holds it. The ids of what no
//! living generation names are given back. Single-threaded: it lives on the control thread.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use tokio::sync::Notify;

use crate::config::{Config, Errors};
use crate::io::clock;
use crate::proxy::Snapshot;
use crate::record::{FreedIds, Numbers, SeriesNames};

/// Why a generation was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The process started.
    Start,
    /// SIGHUP.
    Signal,
    /// These files changed.
    Files(Vec<PathBuf>),
    /// The Workload API gave another identity.
    Identity,
}

/// The generation that new requests go by.
#[derive(Debug)]
pub struct Running {
    /// The configuration as it was meant.
    pub written: Arc<Config>,
    /// The same with the ports and the built-in origins that it got.
    pub config: Arc<Config>,
    /// The same, compiled.
    pub snapshot: Arc<Snapshot>,
    /// Since when it runs.
    pub since: SystemTime,
    /// Why it was made.
    pub cause: Cause,
}

/// A configuration that was not taken.
#[derive(Debug)]
pub struct Rejection {
    /// When.
    pub at: SystemTime,
    /// Why it was looked at.
    pub cause: Cause,
    /// What is wrong with it.
    pub errors: Errors,
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadCounts {
    /// A new generation took effect.
    pub accepted: u64,
    /// A configuration was refused.
    pub rejected: u64,
    /// There was nothing new.
    pub unchanged: u64,
}

/// A generation that may still be in use.
#[derive(Debug)]
struct Alive {
    snapshot: Weak<Snapshot>,
    numbers: Numbers,
}

/// All generations.
#[derive(Debug)]
pub struct Generations {
    running: RefCell<Rc<Running>>,
    files: RefCell<Vec<PathBuf>>,
    alive: RefCell<Vec<Alive>>,
    names: RefCell<SeriesNames>,
    last_rejection: RefCell<Option<Rc<Rejection>>>,
    counts: Cell<ReloadCounts>,
    /// Rung when another generation runs.
    renewed: Notify,
}

impl Running {
    pub(super) fn new(
        written: Arc<Config>,
        config: Config,
        snapshot: Arc<Snapshot>,
        cause: Cause,
    ) -> Self {
        Self {
            written,
            config: Arc::new(config),
            snapshot,
            since: clock::wall(),
            cause,
        }
    }
}

impl Rejection {
    pub(super) fn new(cause: Cause, errors: Errors) -> Self {
        Self {
            at: clock::wall(),
            cause,
            errors,
        }
    }
}

impl Generations {
    /// The first generation.
    #[must_use]
    pub fn new(running: Running) -> Self {
        let mut names = SeriesNames::default();
        let numbers = names.number(&running.config);
        let alive = Alive {
            snapshot: Arc::downgrade(&running.snapshot),
            numbers,
        };
        Self {
            running: RefCell::new(Rc::new(running)),
            files: RefCell::default(),
            alive: RefCell::new(vec![alive]),
            names: RefCell::new(names),
            last_rejection: RefCell::default(),
            counts: Cell::default(),
            renewed: Notify::new(),
        }
    }

    /// What runs.
    #[must_use]
    pub fn running(&self) -> Rc<Running> {
        Rc::clone(&self.running.borrow())
    }

    /// The files that hold what runs, in the order in which they are joined; none when it is part
    /// of the binary.
    pub fn files(&self) -> Ref<'_, [PathBuf]> {
        Ref::map(self.files.borrow(), Vec::as_slice)
    }

    /// What runs was read from these files.
    pub(super) fn read_from(&self, files: &[PathBuf]) {
        self.files.replace(files.to_vec());
    }

    /// What was refused last.
    #[must_use]
    pub fn last_rejection(&self) -> Option<Rc<Rejection>> {
        self.last_rejection.borrow().clone()
    }

    /// How often what happened.
    #[must_use]
    pub const fn counts(&self) -> ReloadCounts {
        self.counts.get()
    }

    /// How many generations requests still go by, the one that runs included.
    #[must_use]
    pub fn alive(&self) -> usize {
        let alive = self.alive.borrow();
        let is_alive = |it: &&Alive| it.snapshot.strong_count() > 0;
        alive.iter().filter(is_alive).count()
    }

    /// The names with those of `config` added, and its numbers. Nothing is taken over yet.
    pub(super) fn numbered(&self, config: &Config) -> (SeriesNames, Numbers) {
        let mut names = self.names.borrow().clone();
        let numbers = names.number(config);
        (names, numbers)
    }

    /// The names that are in use.
    pub(super) fn names(&self) -> RefMut<'_, SeriesNames> {
        self.names.borrow_mut()
    }

    /// This runs now.
    pub(super) fn accepted(
        &self,
        running: Running,
        names: SeriesNames,
        numbers: Numbers,
    ) -> Rc<Running> {
        self.alive.borrow_mut().push(Alive {
            snapshot: Arc::downgrade(&running.snapshot),
            numbers,
        });
        self.names.replace(names);
        let running = Rc::new(running);
        self.running.replace(Rc::clone(&running));
        self.renewed.notify_one();
        self.count(|counts| counts.accepted = counts.accepted.saturating_add(1));
        running
    }

    /// Resolves when another generation runs than when it was asked last. For one that asks.
    pub async fn renewed(&self) {
        self.renewed.notified().await;
    }

    /// This was refused.
    pub(super) fn rejected(&self, rejection: Rejection) {
        self.last_rejection.replace(Some(Rc::new(rejection)));
        self.count(|counts| counts.rejected = counts.rejected.saturating_add(1));
    }

    /// There was nothing new.
    pub(super) fn unchanged(&self) {
        self.count(|counts| counts.unchanged = counts.unchanged.saturating_add(1));
    }

    fn count(&self, change: impl FnOnce(&mut ReloadCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// The generations that nobody uses any more, if there are any. Everything that was counted
    /// for them is told after this.
    pub(super) fn dead(&self) -> Option<Vec<usize>> {
        let alive = self.alive.borrow();
        let places = alive.iter().enumerate();
        let is_dead = |(_, it): &(usize, &Alive)| it.snapshot.strong_count() == 0;
        let dead: Vec<usize> = places.filter(is_dead).map(|(place, _)| place).collect();
        (!dead.is_empty()).then_some(dead)
    }

    /// Forgets dead generations. Gives the names that are left, and the ids given back.
    pub(super) fn bury(&self, dead: Vec<usize>) -> (SeriesNames, FreedIds) {
        let mut alive = self.alive.borrow_mut();
        for place in dead.into_iter().rev() {
            alive.remove(place);
        }
        let mut names = self.names.borrow_mut();
        let freed = names.keep(alive.iter().map(|it| &it.numbers));
        (names.clone(), freed)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Signal => f.write_str("SIGHUP"),
            Self::Identity => f.write_str("another identity"),
            Self::Files(files) => {
                f.write_str("changed:")?;
                files
                    .iter()
                    .try_for_each(|file| write!(f, " {}", file.display()))
            }
        }
    }
}
