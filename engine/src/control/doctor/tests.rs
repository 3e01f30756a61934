//! Every cause, from facts that only a broken machine would have.

use super::*;
use crate::io::probe::RingFacts;

const NEEDS: Needs = Needs {
    shard_count: 4,
    max_connections: 10_000,
};

fn healthy() -> Facts {
    Facts {
        release: "6.12.0-amd64".into(),
        kernel: Some((6, 12)),
        ring: Ok(RingFacts {
            deferred_work: true,
            recv_bundles: true,
            missing_operations: Vec::new(),
        }),
        io_uring_disabled: Some(0),
        seccomp_filter: false,
        may_lock_memory: false,
        memlock: Limit {
            soft: 8 << 20,
            hard: 8 << 20,
        },
        descriptors: Limit {
            soft: 524_288,
            hard: 524_288,
        },
    }
}

fn refused(errno: Errno) -> Facts {
    Facts {
        ring: Err(errno.raw_os_error()),
        ..healthy()
    }
}

#[test]
fn a_healthy_machine_has_nothing_to_fix() {
    let diagnosis = judge(healthy(), NEEDS);
    assert!(
        diagnosis.can_run() && diagnosis.shortfalls.is_empty(),
        "{diagnosis:?}"
    );
    assert!(report(&diagnosis).ends_with("\nweft can run here.\n"));
}

#[test]
fn every_refusal_of_a_ring_is_told_by_its_own_cause() {
    let seccomp = |facts| Facts {
        seccomp_filter: true,
        ..facts
    };
    let sysctl = |value| Facts {
        io_uring_disabled: Some(value),
        ..refused(Errno::PERM)
    };
    for (facts, expected, said) in [
        (refused(Errno::NOSYS), Cause::NotImplemented, "no io_uring"),
        (
            seccomp(refused(Errno::NOSYS)),
            Cause::BlockedBySeccomp,
            "seccomp",
        ),
        (
            seccomp(refused(Errno::PERM)),
            Cause::BlockedBySeccomp,
            "seccomp",
        ),
        (
            refused(Errno::PERM),
            Cause::BlockedByPolicy,
            "security module",
        ),
        (
            sysctl(1),
            Cause::DisabledForUnprivileged,
            "kernel.io_uring_disabled is 1",
        ),
        (
            sysctl(2),
            Cause::DisabledForAll,
            "kernel.io_uring_disabled is 2",
        ),
        (
            seccomp(sysctl(2)),
            Cause::DisabledForAll,
            "kernel.io_uring_disabled is 2",
        ),
        (
            refused(Errno::NOMEM),
            Cause::SetupFailed(Errno::NOMEM),
            "memory",
        ),
        (
            refused(Errno::MFILE),
            Cause::SetupFailed(Errno::MFILE),
            "open files",
        ),
    ] {
        let diagnosis = judge(facts, NEEDS);
        assert_eq!(diagnosis.causes, [expected]);
        let text = report(&diagnosis);
        assert!(text.contains(said), "{said:?} is not in:\n{text}");
        assert!(text.contains("ERROR") && text.contains("FIX"), "{text}");
        assert!(text.contains("weft cannot run here"), "{text}");
    }
}

#[test]
fn an_old_kernel_is_told_once_whatever_else_it_lacks() {
    let mut facts = healthy();
    facts.release = "5.15.0-1051-aws".into();
    facts.kernel = Some((5, 15));
    facts.ring = Ok(RingFacts {
        deferred_work: false,
        recv_bundles: false,
        missing_operations: vec!["SEND_ZC"],
    });
    let diagnosis = judge(facts, NEEDS);
    assert_eq!(
        diagnosis.causes,
        [Cause::KernelTooOld("5.15.0-1051-aws".into())]
    );
    assert!(diagnosis.shortfalls.is_empty());
    assert!(report(&diagnosis).contains("The kernel is 5.15.0-1051-aws; weft needs 6.1"));
}

#[test]
fn missing_features_are_shortfalls_and_missing_operations_are_causes() {
    let mut facts = healthy();
    facts.ring = Ok(RingFacts {
        deferred_work: false,
        recv_bundles: false,
        missing_operations: Vec::new(),
    });
    let diagnosis = judge(facts.clone(), NEEDS);
    assert!(diagnosis.can_run());
    assert_eq!(
        diagnosis.shortfalls,
        [Shortfall::DeferredWork, Shortfall::RecvBundles]
    );
    assert!(report(&diagnosis).contains("works without them, slower"));

    facts.ring = Ok(RingFacts {
        deferred_work: true,
        recv_bundles: true,
        missing_operations: vec!["ACCEPT", "CONNECT"],
    });
    let diagnosis = judge(facts, NEEDS);
    assert_eq!(
        diagnosis.causes,
        [Cause::MissingOperations(vec!["ACCEPT", "CONNECT"])]
    );
    assert!(report(&diagnosis).contains("ACCEPT, CONNECT"));
}

#[test]
fn locked_memory_is_judged_by_the_least_and_by_all_shards() {
    let with = |bytes, may_lock_memory| {
        let memlock = Limit {
            soft: bytes,
            hard: bytes,
        };
        judge(
            Facts {
                memlock,
                may_lock_memory,
                ..healthy()
            },
            NEEDS,
        )
    };
    let small = Limit {
        soft: 64 << 10,
        hard: 64 << 10,
    };
    let diagnosis = with(64 << 10, false);
    assert_eq!(diagnosis.causes, [Cause::MemlockTooSmall(small)]);
    assert!(report(&diagnosis).contains("65536 bytes"));
    let tight = Limit {
        soft: 1 << 20,
        hard: 1 << 20,
    };
    assert_eq!(
        with(1 << 20, false).shortfalls,
        [Shortfall::Memlock(tight, NEEDS)]
    );
    assert!(with(1 << 20, true).shortfalls.is_empty());
    assert!(with(8 << 20, false).shortfalls.is_empty());
    // glommio reads the limit itself and asks nobody for capabilities.
    assert_eq!(with(64 << 10, true).causes, [Cause::MemlockTooSmall(small)]);

    let mut facts = refused(Errno::NOMEM);
    facts.memlock = small;
    assert_eq!(judge(facts, NEEDS).causes, [Cause::MemlockTooSmall(small)]);
}

#[test]
fn open_files_are_checked_against_max_connections() {
    let with = |count| {
        let descriptors = Limit {
            soft: count,
            hard: count,
        };
        judge(
            Facts {
                descriptors,
                ..healthy()
            },
            NEEDS,
        )
    };
    let (least, enough) = (NEEDS.descriptors_min(), NEEDS.descriptors());
    assert_eq!((least, enough), (10_384, 20_384));
    assert!(with(enough).shortfalls.is_empty());
    assert!(matches!(
        with(enough - 1).shortfalls[..],
        [Shortfall::Descriptors(..)]
    ));
    assert!(with(least).can_run());
    assert!(matches!(
        with(least - 1).causes[..],
        [Cause::DescriptorsTooFew(..)]
    ));
    let text = report(&with(1_024));
    for number in [
        "is 1024",
        "max_connections = 10000",
        "at least 10384",
        "ulimit -n 20384",
    ] {
        assert!(text.contains(number), "{number:?} is not in:\n{text}");
    }
}
