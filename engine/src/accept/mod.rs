//! Step 1, from listening socket to connection: may this connection come in?
//!
//! In: a socket that the kernel accepted. Out: an [`Admitted`] token that is held as long as the
//! connection lives, or a [`Refused`] with its reason.
//!
//! Invariant: the number of living [`Admitted`] tokens never exceeds the limit, over all shards.
//! The count itself is shared between shards and therefore lives with them; this module sees it
//! as a [`ConnectionCount`].
//!
//! A refused connection is closed at once, without an answer (Envoy's connection limit does the
//! same): answering would mean reading a request first, and a proxy that is full must spend less
//! on those it cannot take, not more.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::rc::Rc;

/// How many connections the process has, counted over all shards.
pub trait ConnectionCount {
    /// Counts one more connection unless `max` are there already; says whether it did.
    fn enter(&self, max: usize) -> bool;

    /// Counts one less.
    fn leave(&self);
}

/// The door of one shard.
#[derive(Clone)]
pub struct Admission {
    count: Rc<dyn ConnectionCount>,
    connections_max: usize,
}

/// Permission to be connected; gives the place back when dropped.
pub struct Admitted {
    count: Rc<dyn ConnectionCount>,
}

/// Why a connection was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The process already has as many connections as the configuration allows.
    ConnectionLimit,
    /// The process is draining and takes nothing new.
    Draining,
}

impl Refused {
    /// The reason as a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectionLimit => "connection_limit",
            Self::Draining => "draining",
        }
    }
}

impl Admission {
    /// A door that lets in at most `connections_max` connections, counted in `count`.
    pub fn new(count: Rc<dyn ConnectionCount>, connections_max: usize) -> Self {
        Self {
            count,
            connections_max,
        }
    }

    /// Lets one connection in, or says why not.
    ///
    /// *Errors:* [`Refused::ConnectionLimit`] when the process is full, [`Refused::Draining`]
    /// when `draining`.
    pub fn admit(&self, draining: bool) -> Result<Admitted, Refused> {
        if draining {
            return Err(Refused::Draining);
        }
        if !self.count.enter(self.connections_max) {
            return Err(Refused::ConnectionLimit);
        }
        Ok(Admitted {
            count: Rc::clone(&self.count),
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.count.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Default)]
    struct Count(Cell<usize>);

    impl ConnectionCount for Count {
        fn enter(&self, max: usize) -> bool {
            let open = self.0.get() < max;
            self.0.set(self.0.get() + usize::from(open));
            open
        }

        fn leave(&self) {
            self.0.set(self.0.get() - 1);
        }
    }

    #[test]
    fn the_place_of_a_closed_connection_is_free_again() {
        let count = Rc::new(Count::default());
        let admission = Admission::new(count.clone(), 2);
        let first = admission.admit(false).ok();
        let second = admission.admit(false).ok();
        assert!(first.is_some() && second.is_some());
        assert_eq!(admission.admit(false).err(), Some(Refused::ConnectionLimit));
        drop(first);
        assert_eq!(count.0.get(), 1);
        assert!(admission.admit(false).is_ok());
    }

    #[test]
    fn nothing_comes_in_while_draining() {
        let admission = Admission::new(Rc::new(Count::default()), 2);
        assert_eq!(admission.admit(true).err(), Some(Refused::Draining));
    }
}
