//! What the journal keeps of an instance, and what is told of a journal that was read back.
//!
//! Deadlines are instants of the monotonic clock while the process runs, and points of the wall
//! clock on the disk, where they have to mean something to the next process.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::journal::{Record, Recovered};
use super::registry::Instance;
use crate::control::log::Log;
use crate::io::Instant;
use crate::io::clock;

/// An instance as the journal keeps it.
pub(super) fn put(instance: &Instance) -> Record {
    Record::Put {
        registration: Arc::clone(&instance.registration),
        is_draining: instance.is_draining,
        until: until(instance.deadline, clock::now()),
    }
}

/// A deadline on the wall clock, in milliseconds since 1970.
pub(super) fn until(deadline: Instant, now: Instant) -> u64 {
    let left = u64::try_from(deadline.since(now).as_millis()).unwrap_or(u64::MAX);
    wall_millis().saturating_add(left)
}

/// Milliseconds since 1970.
pub(super) fn wall_millis() -> u64 {
    // A clock before 1970 makes every lease one that ran out: all get their grace.
    let since = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Tells what was found in the journal.
pub(super) fn tell(recovered: &Recovered, log: Log) {
    if recovered.is_torn {
        log.note(
            "The journal's last line was cut; its change had not been answered.",
            &[],
        );
    }
    if let Some(aside) = &recovered.aside {
        let lines = format!("{:?}", recovered.damaged);
        log.error(
            "The registry's journal was damaged. It was set aside; what could be read of it is in \
             effect. Instances whose last change is lost come back at their next heartbeat, or \
             leave when their lease runs out.",
            &[
                ("aside", &aside.display()),
                ("damaged_lines", &recovered.damaged_count),
                ("first", &lines),
                ("instances", &recovered.entries.len()),
            ],
        );
    }
}
