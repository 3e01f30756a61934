//! Can this machine run weft? One sentence per cause, each with its fix.
//!
//! In: `io::probe::Facts` and what the configuration needs. Out: a `Diagnosis`, the causes that
//! stop a start and the shortfalls it works with. `weft doctor` prints all of it; every start
//! runs the same code, stops at a cause and logs the shortfalls. `judge` is pure, so that each
//! cause is tested without a kernel that has it.
//!
//! Must stay true: a cause names the one thing that is wrong here (not a list of guesses), and
//! its fix is something the reader can type.

mod sentences;
#[cfg(test)]
mod tests;

use rustix::io::Errno;

use crate::io::probe::{self, Facts, KERNEL_MIN, Limit};
use crate::limits::{
    DESCRIPTORS_PROCESS, DESCRIPTORS_SHARD, MEMLOCK_MIN_BYTES, MEMLOCK_SHARD_BYTES,
};

pub use sentences::report;

/// What a configuration asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Shards to start.
    pub shard_count: u64,
    /// `max_connections` of the configuration.
    pub max_connections: u64,
}

impl Needs {
    /// Descriptors with which every client connection can have an upstream connection too.
    #[must_use]
    pub const fn descriptors(self) -> u64 {
        self.descriptors_min().saturating_add(self.max_connections)
    }

    /// Descriptors with which every client connection can at least be accepted.
    #[must_use]
    pub const fn descriptors_min(self) -> u64 {
        DESCRIPTORS_PROCESS
            .saturating_add(DESCRIPTORS_SHARD.saturating_mul(self.shard_count))
            .saturating_add(self.max_connections)
    }

    /// Locked memory of all shards, in bytes.
    #[must_use]
    pub const fn memlock_bytes(self) -> u64 {
        MEMLOCK_SHARD_BYTES.saturating_mul(self.shard_count)
    }
}

/// Why weft cannot run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel is older than `KERNEL_MIN`; holds its release.
    KernelTooOld(String),
    /// The kernel, or the sandbox that plays one, has no io_uring (ENOSYS).
    NotImplemented,
    /// `kernel.io_uring_disabled` is 2.
    DisabledForAll,
    /// `kernel.io_uring_disabled` is 1 and this process has not the right.
    DisabledForUnprivileged,
    /// A seccomp filter answers EPERM: what container runtimes do by default.
    BlockedBySeccomp,
    /// EPERM with neither sysctl nor filter: a security module.
    BlockedByPolicy,
    /// Less locked memory than a shard can start with.
    MemlockTooSmall(Limit),
    /// The trial ring failed in a way that has no sentence of its own.
    SetupFailed(Errno),
    /// Operations that a shard submits are missing.
    MissingOperations(Vec<&'static str>),
    /// `max_connections` cannot even be accepted.
    DescriptorsTooFew(Limit, Needs),
}

/// What weft works without, slower or with a lower bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// The ring flags of Linux 6.1 were refused.
    DeferredWork,
    /// No recv bundles: Linux before 6.10.
    RecvBundles,
    /// Locked memory may not suffice for all shards.
    Memlock(Limit, Needs),
    /// All clients fit, but not with an upstream connection each.
    Descriptors(Limit, Needs),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The machine, after the limits were raised.
    pub facts: Facts,
    /// Each of them stops the start.
    pub causes: Vec<Cause>,
    /// None of them does.
    pub shortfalls: Vec<Shortfall>,
}

/// Raises the limits as far as allowed, asks the kernel and judges the answer.
#[must_use]
pub fn examine(needs: Needs) -> Diagnosis {
    probe::raise_descriptors(needs.descriptors());
    probe::raise_memlock(needs.memlock_bytes());
    judge(probe::probe(), needs)
}

/// The causes and shortfalls that `facts` amount to. Pure.
#[must_use]
pub fn judge(facts: Facts, needs: Needs) -> Diagnosis {
    let mut causes = Vec::new();
    let mut shortfalls = Vec::new();
    let kernel_too_old = facts.kernel.is_some_and(|kernel| kernel < KERNEL_MIN);
    if kernel_too_old {
        causes.push(Cause::KernelTooOld(facts.release.clone()));
    }
    // glommio compares the limit itself, whatever the process may lock.
    let memlock_too_small = facts.memlock.soft < MEMLOCK_MIN_BYTES;
    if memlock_too_small {
        causes.push(Cause::MemlockTooSmall(facts.memlock));
    } else if !facts.may_lock_memory && facts.memlock.soft < needs.memlock_bytes() {
        shortfalls.push(Shortfall::Memlock(facts.memlock, needs));
    }
    match &facts.ring {
        Err(code) => {
            let errno = Errno::from_raw_os_error(*code);
            // Out of memory under a small limit is that limit, told above.
            if !(errno == Errno::NOMEM && memlock_too_small) {
                causes.push(refusal(&facts, errno));
            }
        }
        // An old kernel lacks all of these; it was told once.
        Ok(_) if kernel_too_old => {}
        Ok(ring) => {
            if !ring.missing_operations.is_empty() {
                causes.push(Cause::MissingOperations(ring.missing_operations.clone()));
            }
            if !ring.deferred_work {
                shortfalls.push(Shortfall::DeferredWork);
            }
            if !ring.recv_bundles {
                shortfalls.push(Shortfall::RecvBundles);
            }
        }
    }
    if facts.descriptors.soft < needs.descriptors_min() {
        causes.push(Cause::DescriptorsTooFew(facts.descriptors, needs));
    } else if facts.descriptors.soft < needs.descriptors() {
        shortfalls.push(Shortfall::Descriptors(facts.descriptors, needs));
    }
    Diagnosis {
        facts,
        causes,
        shortfalls,
    }
}

/// Who refused the trial ring. The sysctl is asked before the filter because it is certain, while
/// a filter may be there for other calls.
fn refusal(facts: &Facts, errno: Errno) -> Cause {
    match (errno, facts.io_uring_disabled, facts.seccomp_filter) {
        (Errno::NOSYS, _, false) => Cause::NotImplemented,
        // Docker answers ENOSYS for calls that its profile does not know.
        (Errno::NOSYS, _, true) => Cause::BlockedBySeccomp,
        (Errno::PERM, Some(2), _) => Cause::DisabledForAll,
        (Errno::PERM, Some(1), _) => Cause::DisabledForUnprivileged,
        (Errno::PERM | Errno::ACCESS, _, true) => Cause::BlockedBySeccomp,
        (Errno::PERM | Errno::ACCESS, _, false) => Cause::BlockedByPolicy,
        (other, _, _) => Cause::SetupFailed(other),
    }
}

impl Diagnosis {
    /// No cause was found: weft starts.
    #[must_use]
    pub fn can_run(&self) -> bool {
        self.causes.is_empty()
    }
}
