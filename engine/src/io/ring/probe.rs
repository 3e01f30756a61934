//! What the kernel lets this process do with io_uring, found by asking it.
//!
//! In: nothing but the running kernel. Out: `Facts`, plain values that `control::doctor` judges
//! and puts into sentences; nothing is decided here. One small ring is created with the set-up
//! flags of a shard, asked for its operations and features, and closed again, so an answer takes
//! well under a millisecond and leaves nothing behind. It also raises the soft resource limits,
//! because the facts after that are the ones the process runs with.
//!
//! Must stay true: never fails, never panics, and reads only what a container may read too (a
//! missing `/proc` file makes a fact unknown, not an error).

use std::fs;
use std::io;

use io_uring::{IoUring, Probe, opcode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Everything the start needs to know about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `uname -r`, as the kernel says it.
    pub release: String,
    /// Major and minor number of `release`; `None` when it has another form.
    pub kernel: Option<(u32, u32)>,
    /// The trial ring, or the errno that refused it.
    pub ring: Result<RingFacts, Errno>,
    /// `kernel.io_uring_disabled` (0, 1, 2); `None` before Linux 6.6 or without `/proc/sys`.
    pub io_uring_disabled: Option<u8>,
    /// A seccomp filter is installed on this process.
    pub seccomp_filter: bool,
    /// The process may lock memory without limit (CAP_IPC_LOCK).
    pub may_lock_memory: bool,
    /// RLIMIT_MEMLOCK, bytes.
    pub memlock: Limit,
    /// RLIMIT_NOFILE, descriptors.
    pub descriptors: Limit,
}

/// What a ring of this kernel can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingFacts {
    /// All set-up flags of a shard were accepted; without them a ring costs more per request.
    pub deferred_work: bool,
    /// One completion may report several received buffers (Linux 6.10).
    pub recv_bundles: bool,
    /// Operations that a shard submits and this kernel does not have.
    pub missing_operations: Vec<&'static str>,
}

/// An operating system error number.
pub type Errno = i32;

/// A soft and a hard resource limit; `u64::MAX` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What the kernel enforces now.
    pub soft: u64,
    /// What the process may raise the soft limit to.
    pub hard: u64,
}

/// The least kernel on which a shard runs: `SINGLE_ISSUER` with `DEFER_TASKRUN` came with it.
pub const KERNEL_MIN: (u32, u32) = (6, 1);

/// Entries of the trial ring; large enough for the kernel to accept, small enough to cost nothing.
const TRIAL_ENTRIES: u32 = 8;

/// CAP_SYS_ADMIN and CAP_IPC_LOCK as bits of `CapEff`.
const CAP_IPC_LOCK: u64 = 1 << 14;

/// Asks the kernel. Cost: one ring created and closed, two files of `/proc` read.
#[must_use]
pub fn probe() -> Facts {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status_field(&status, "CapEff:")
        .and_then(|bits| u64::from_str_radix(bits, 16).ok())
        .unwrap_or(0);
    Facts {
        kernel: parse_release(&release),
        release,
        ring: try_ring(),
        io_uring_disabled: fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        seccomp_filter: status_field(&status, "Seccomp:") == Some("2"),
        may_lock_memory: capabilities & CAP_IPC_LOCK != 0,
        memlock: limit(Resource::Memlock),
        descriptors: limit(Resource::Nofile),
    }
}

/// Raises the soft limit of open descriptors to at least `wanted` if the hard limit, or the right
/// to raise that too, allows it; otherwise as far as it goes. Never lowers it. Returns the limit
/// that holds afterwards.
pub fn raise_descriptors(wanted: u64) -> Limit {
    raise(Resource::Nofile, wanted)
}

/// The same for locked memory, in bytes.
pub fn raise_memlock(wanted: u64) -> Limit {
    raise(Resource::Memlock, wanted)
}

fn raise(resource: Resource, wanted: u64) -> Limit {
    let now = limit(resource);
    if now.soft >= wanted {
        return now;
    }
    if now.hard < wanted {
        // Only with CAP_SYS_RESOURCE; a refusal is answered by the attempt below.
        set_limit(
            resource,
            Limit {
                soft: wanted,
                hard: wanted,
            },
        );
    }
    let now = limit(resource);
    if now.soft < wanted {
        set_limit(
            resource,
            Limit {
                soft: now.hard.min(wanted),
                hard: now.hard,
            },
        );
    }
    limit(resource)
}

fn limit(resource: Resource) -> Limit {
    let Rlimit { current, maximum } = getrlimit(resource);
    Limit {
        soft: current.unwrap_or(u64::MAX),
        hard: maximum.unwrap_or(u64::MAX),
    }
}

/// A refusal is not an error here: the caller reads the limit back.
fn set_limit(resource: Resource, limit: Limit) {
    let bounded = |value: u64| (value != u64::MAX).then_some(value);
    let wanted = Rlimit {
        current: bounded(limit.soft),
        maximum: bounded(limit.hard),
    };
    let _refused_shows_on_reading_back = setrlimit(resource, wanted);
}

fn try_ring() -> Result<RingFacts, Errno> {
    let shard_flags = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .build(TRIAL_ENTRIES);
    let (ring, deferred_work) = match shard_flags {
        Ok(ring) => (ring, true),
        // EINVAL is how a kernel refuses a flag it does not know.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
            (IoUring::new(TRIAL_ENTRIES).map_err(errno)?, false)
        }
        Err(error) => return Err(errno(error)),
    };
    let mut operations = Probe::new();
    ring.submitter()
        .register_probe(&mut operations)
        .map_err(errno)?;
    Ok(RingFacts {
        deferred_work,
        recv_bundles: ring.params().is_feature_recvsend_bundle(),
        missing_operations: OPERATIONS
            .iter()
            .filter(|(code, _)| !operations.is_supported(*code))
            .map(|(_, name)| *name)
            .collect(),
    })
}

/// The operations a shard submits.
const OPERATIONS: [(u8, &str); 11] = [
    (opcode::Accept::CODE, "ACCEPT"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
    (opcode::Timeout::CODE, "TIMEOUT"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::Close::CODE, "CLOSE"),
];

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().unwrap_or(0)
}

fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// `6.18.4-generic` is `(6, 18)`.
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_numbers_are_read_from_distribution_forms() {
        for (release, expected) in [
            ("6.18.44-fc-v657", Some((6, 18))),
            ("6.1.0-18-amd64", Some((6, 1))),
            ("5.15.0-1051-aws", Some((5, 15))),
            ("6.10-rc3", Some((6, 10))),
            ("7.0+", Some((7, 0))),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(parse_release(release), expected, "{release}");
        }
    }

    #[test]
    fn status_fields_are_found_by_their_name() {
        let status = "Name:\tweft\nCapEff:\t000001ffffffffff\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!(status_field(status, "Seccomp:"), Some("2"));
        assert_eq!(status_field(status, "CapEff:"), Some("000001ffffffffff"));
        assert_eq!(status_field(status, "NoNewPrivs:"), None);
    }

    #[test]
    fn probing_answers_on_any_machine_and_raising_never_lowers() {
        let facts = probe();
        assert!(facts.descriptors.soft > 0 && facts.descriptors.soft <= facts.descriptors.hard);
        assert!(!facts.release.is_empty());
        let raised = raise_descriptors(facts.descriptors.soft.saturating_add(1));
        assert!(raised.soft >= facts.descriptors.soft);
        assert_eq!(raise_descriptors(1), raised);
    }
}
