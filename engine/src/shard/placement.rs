//! Which processor each shard is pinned to.
//!
//! Pure but for [`allowed`], which asks the kernel. Shards are dealt to the processors in order;
//! with more shards than processors, some share one (useful for tests, not for speed).

use rustix::thread::{CpuSet, sched_getaffinity};

/// The processors that this process may run on, in ascending order.
///
/// *Errors:* the kernel does not tell (more processors than `CpuSet` has places).
pub(super) fn allowed() -> std::io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect())
}

/// One processor for each shard: those `wanted`, else those `allowed`; as many shards as `count`
/// says, else one for each processor.
///
/// *Errors:* the first wanted processor that is not allowed.
pub(super) fn assign(
    count: Option<usize>,
    wanted: Option<&[usize]>,
    allowed: &[usize],
) -> Result<Vec<usize>, usize> {
    if let Some(missing) = wanted.and_then(|cpus| cpus.iter().find(|cpu| !allowed.contains(cpu))) {
        return Err(*missing);
    }
    let cpus = wanted.unwrap_or(allowed);
    Ok(cpus
        .iter()
        .copied()
        .cycle()
        .take(count.unwrap_or(cpus.len()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_dealt_to_the_processors_in_order() {
        let allowed = [0, 2, 3];
        for (count, wanted, expected) in [
            (None, None, Ok(vec![0, 2, 3])),
            (Some(2), None, Ok(vec![0, 2])),
            (Some(4), None, Ok(vec![0, 2, 3, 0])),
            (None, Some(&[3][..]), Ok(vec![3])),
            (Some(2), Some(&[3][..]), Ok(vec![3, 3])),
            (None, Some(&[2, 1][..]), Err(1)),
        ] {
            assert_eq!(
                assign(count, wanted, &allowed),
                expected,
                "{count:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed().expect("affinity").is_empty());
    }
}
