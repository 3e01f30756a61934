//! The words of the doctor: a sentence and a fix for each cause, and the report of `weft doctor`.
//!
//! In: what `judge` found. Out: text for a person at a terminal. A sentence says what is wrong
//! here, with the numbers; a fix is something to type. The same words go to the event log when a
//! start is refused.

use std::fmt::{self, Write as _};

use rustix::io::Errno;

use super::{Cause, Diagnosis, Needs, Shortfall};
use crate::io::probe::{KERNEL_MIN, Limit};
use crate::limits::MEMLOCK_MIN_BYTES;

impl Cause {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::KernelTooOld(_) | Self::MissingOperations(_) => {
                "Run it on Linux 6.1 or later; recv bundles need 6.10.".into()
            }
            Self::NotImplemented => "Use a kernel built with CONFIG_IO_URING=y (every large \
                distribution); gVisor and similar sandboxes need io_uring switched on."
                .into(),
            Self::DisabledForAll => "sysctl -w kernel.io_uring_disabled=0, and the same line in \
                /etc/sysctl.d/ to keep it."
                .into(),
            Self::DisabledForUnprivileged => "Put the user's group number into the sysctl \
                kernel.io_uring_group, or set kernel.io_uring_disabled=0, or give the process \
                CAP_SYS_ADMIN."
                .into(),
            Self::BlockedBySeccomp => "Allow io_uring_setup, io_uring_enter and \
                io_uring_register: docker run --security-opt seccomp=PROFILE.json (a profile \
                with these three calls added); Kubernetes: securityContext.seccompProfile \
                {type: Localhost}; systemd: SystemCallFilter=@system-service @aio."
                .into(),
            Self::BlockedByPolicy => "Allow io_uring for this process in the security module \
                (SELinux: the io_uring permission class, see `ausearch -m avc`; AppArmor: the \
                io_uring rule, see `dmesg`)."
                .into(),
            Self::MemlockTooSmall(_) => "Raise it: `ulimit -l unlimited`, systemd \
                LimitMEMLOCK=infinity, docker run --ulimit memlock=-1."
                .into(),
            Self::SetupFailed(Errno::NOMEM) => "Free memory, or raise the limit of the memory \
                control group (systemd MemoryMax=, docker run --memory)."
                .into(),
            Self::SetupFailed(Errno::MFILE | Errno::NFILE) => "Raise the limit of open files: \
                `ulimit -n`, systemd LimitNOFILE=, sysctl fs.file-max."
                .into(),
            Self::SetupFailed(_) => {
                "See io_uring_setup(2) for this error, and `dmesg` for what refused it.".into()
            }
            Self::DescriptorsTooFew(limit, needs) => descriptor_fix(*limit, *needs),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = KERNEL_MIN;
        match self {
            Self::KernelTooOld(release) => {
                write!(
                    f,
                    "The kernel is {release}; weft needs {major}.{minor} or later."
                )
            }
            Self::NotImplemented => {
                f.write_str("The kernel has no io_uring (io_uring_setup answers ENOSYS).")
            }
            Self::DisabledForAll => f.write_str(
                "io_uring is switched off for every process: kernel.io_uring_disabled is 2.",
            ),
            Self::DisabledForUnprivileged => f.write_str(
                "io_uring is switched off for this user: kernel.io_uring_disabled is 1, and the \
                 process is neither in kernel.io_uring_group nor privileged.",
            ),
            Self::BlockedBySeccomp => {
                f.write_str("A seccomp filter of the container or service blocks io_uring_setup.")
            }
            Self::BlockedByPolicy => f.write_str(
                "A security module refuses io_uring_setup (EPERM, with no sysctl or seccomp \
                 filter behind it).",
            ),
            Self::MemlockTooSmall(limit) => write!(
                f,
                "The limit of locked memory is {} bytes (hard limit {}); a shard needs {}.",
                limit.soft,
                Bound(limit.hard),
                MEMLOCK_MIN_BYTES
            ),
            Self::SetupFailed(errno) => write!(f, "io_uring_setup failed: {errno}."),
            Self::MissingOperations(names) => write!(
                f,
                "io_uring of this kernel lacks operations that weft submits: {}.",
                names.join(", ")
            ),
            Self::DescriptorsTooFew(limit, needs) => write!(
                f,
                "The limit of open files is {} (hard limit {}), but max_connections = {} on {} \
                 shards needs at least {}.",
                limit.soft,
                Bound(limit.hard),
                needs.max_connections,
                needs.shard_count,
                needs.descriptors_min()
            ),
        }
    }
}

impl Shortfall {
    /// What would end it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::DeferredWork => "Linux 6.1 or later without a sandbox that filters ring \
                flags has them."
                .into(),
            Self::RecvBundles => "Linux 6.10 or later has them.".into(),
            Self::Memlock(_, needs) => format!(
                "Raise it to {} bytes or more: `ulimit -l unlimited`, systemd \
                 LimitMEMLOCK=infinity, docker run --ulimit memlock=-1.",
                needs.memlock_bytes()
            ),
            Self::Descriptors(limit, needs) => descriptor_fix(*limit, *needs),
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeferredWork => f.write_str(
                "The ring set-up flags of Linux 6.1 were refused; weft works without them, \
                 slower (about 3 us more per request).",
            ),
            Self::RecvBundles => f.write_str(
                "The kernel has no recv bundles; weft works without them, slower (about 8 % \
                 more CPU per 1 KB request).",
            ),
            Self::Memlock(limit, needs) => write!(
                f,
                "The limit of locked memory is {} bytes; {} shards may need {}, so the last of \
                 them may fail to start.",
                limit.soft,
                needs.shard_count,
                needs.memlock_bytes()
            ),
            Self::Descriptors(limit, needs) => write!(
                f,
                "The limit of open files is {} (hard limit {}); with all of max_connections = {} \
                 in use at once, {} would be needed, and requests beyond it get 503.",
                limit.soft,
                Bound(limit.hard),
                needs.max_connections,
                needs.descriptors()
            ),
        }
    }
}

fn descriptor_fix(limit: Limit, needs: Needs) -> String {
    let affordable = limit
        .hard
        .saturating_sub(needs.descriptors_min() - needs.max_connections)
        / 2;
    let or_fewer = match affordable {
        0 => String::new(),
        _ => format!("; or set max_connections = {affordable}"),
    };
    format!(
        "Raise it to {wanted} or more: `ulimit -n {wanted}`, systemd LimitNOFILE={wanted}, docker \
         run --ulimit nofile={wanted}{or_fewer}.",
        wanted = needs.descriptors()
    )
}

/// A limit in words.
struct Bound(u64);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u64::MAX {
            f.write_str("unlimited")
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// The report of `weft doctor`.
#[must_use]
pub fn report(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    let _infallible = write_report(&mut text, diagnosis);
    text
}

fn write_report(text: &mut String, diagnosis: &Diagnosis) -> fmt::Result {
    let facts = &diagnosis.facts;
    writeln!(text, "kernel         {}", facts.release)?;
    let ring = match &facts.ring {
        Ok(_) => "allowed".to_owned(),
        Err(code) => format!("refused ({})", Errno::from_raw_os_error(*code)),
    };
    writeln!(text, "io_uring       {ring}")?;
    if let Ok(ring) = &facts.ring {
        let (yes, no) = ("yes", "no (works without, slower)");
        let deferred = if ring.deferred_work { yes } else { no };
        writeln!(text, "deferred work  {deferred}")?;
        writeln!(
            text,
            "recv bundles   {}",
            if ring.recv_bundles { yes } else { no }
        )?;
    }
    let unlimited = if facts.may_lock_memory {
        " (CAP_IPC_LOCK: rings are not counted)"
    } else {
        ""
    };
    writeln!(
        text,
        "locked memory  {} bytes{unlimited}",
        Bound(facts.memlock.soft)
    )?;
    writeln!(text, "open files     {}", Bound(facts.descriptors.soft))?;
    for cause in &diagnosis.causes {
        write!(text, "\nERROR  {cause}\n  FIX  {}\n", cause.fix())?;
    }
    for shortfall in &diagnosis.shortfalls {
        write!(text, "\nNOTE   {shortfall}\n  FIX  {}\n", shortfall.fix())?;
    }
    let verdict = match (diagnosis.can_run(), diagnosis.shortfalls.is_empty()) {
        (true, true) => "weft can run here.",
        (true, false) => "weft can run here, with the notes above.",
        (false, _) => "weft cannot run here until the errors above are fixed.",
    };
    write!(text, "\n{verdict}\n")
}
