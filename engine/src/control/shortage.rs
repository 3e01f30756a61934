//! What the process runs short of: memory, descriptors.
//!
//! In: the kernel's figures, once in [`limits::SHORTAGE_INTERVAL`]. Out: a message to every shard
//! when a bound is reached, and another when there is room again, so that they refuse requests
//! before the kernel refuses them something. Half of the last twentieth has to be free again before
//! it is over, so that it does not come and go with each request.

use std::os::unix::fs::MetadataExt as _;

use flume::Sender;
use rustix::process::{Resource, getrlimit};
use tokio::time::sleep;

use super::log::Log;
use super::tell;
use crate::accept::Overloaded;
use crate::limits;
use crate::shard::ShardCommand;

/// What is left of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stock {
    used: u64,
    max: u64,
}

impl Stock {
    /// Nothing may be added to what is used. Easier to become than to cease to be.
    fn is_short(self, is_short_already: bool, percent: u64) -> bool {
        let spare = 100_u64.saturating_sub(percent) / 2;
        let percent = if is_short_already {
            percent.saturating_sub(spare)
        } else {
            percent
        };
        self.used >= self.max.saturating_mul(percent) / 100
    }
}

/// Watches until dropped. `memory_max`: bytes that the process may have resident.
pub(super) async fn watch(
    shards: Vec<Sender<ShardCommand>>,
    memory_max: impl Fn() -> Option<u64>,
    log: Log,
) {
    let mut shortage = None;
    loop {
        let found = look(shortage, memory_max());
        if found != shortage {
            shortage = found;
            match shortage {
                Some(what) => log.warn(
                    "Requests are refused: the process runs short.",
                    &[("of", &what.label())],
                ),
                None => log.note("Requests are taken again.", &[]),
            }
            tell(&shards, || ShardCommand::Shortage { shortage });
        }
        sleep(limits::SHORTAGE_INTERVAL).await;
    }
}

fn look(before: Option<Overloaded>, memory_max: Option<u64>) -> Option<Overloaded> {
    let is_short = |what: Overloaded, stock: Option<Stock>, percent| {
        let is_short_already = before == Some(what);
        stock.is_some_and(|stock| stock.is_short(is_short_already, percent))
    };
    if is_short(Overloaded::Memory, memory(memory_max), 100) {
        return Some(Overloaded::Memory);
    }
    let percent = limits::DESCRIPTORS_PERCENT_MAX;
    is_short(Overloaded::Descriptors, descriptors(), percent).then_some(Overloaded::Descriptors)
}

/// `proc_pid_statm(5)`: the second number is resident pages.
fn memory(max: Option<u64>) -> Option<Stock> {
    let max = max?;
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = rustix::param::page_size() as u64;
    Some(Stock {
        used: pages.saturating_mul(page),
        max,
    })
}

fn descriptors() -> Option<Stock> {
    let max = getrlimit(Resource::Nofile).current?;
    let used = descriptors_told().or_else(descriptors_listed)?;
    Some(Stock { used, max })
}

/// `proc_pid_fd(5)`: since Linux 6.2 the size of the folder is how many there are. One call,
/// however many that is: listing 10,000 of them takes milliseconds.
fn descriptors_told() -> Option<u64> {
    let size = std::fs::metadata("/proc/self/fd").ok()?.size();
    // Older kernels say 0; there is never none.
    (size > 0).then_some(size)
}

/// For older kernels.
fn descriptors_listed() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_easier_to_become_short_than_to_cease_to_be() {
        let stock = |used| Stock { used, max: 1000 };
        assert!(!stock(949).is_short(false, 95));
        assert!(stock(950).is_short(false, 95));
        assert!(stock(940).is_short(true, 95));
        assert!(!stock(929).is_short(true, 95));
    }

    #[test]
    fn the_kernel_tells_what_this_process_has() {
        assert!(memory(Some(u64::MAX)).is_some_and(|stock| stock.used > 1 << 20));
        assert!(descriptors().is_some_and(|stock| stock.used > 2 && stock.max > stock.used));
        assert_eq!(look(None, Some(1)), Some(Overloaded::Memory));
    }

    #[test]
    fn the_kernel_counts_descriptors_as_a_list_does() {
        // Other tests of this process open and close some meanwhile.
        let agree = || {
            let held: Vec<_> = (0..100)
                .filter_map(|_| std::fs::File::open("/").ok())
                .collect();
            assert_eq!(held.len(), 100);
            // The list has the descriptor that it is read by.
            let listed = descriptors_listed().map(|count| count.saturating_sub(1));
            match descriptors_told() {
                Some(told) => listed == Some(told) && told > 100,
                None => listed.is_some_and(|listed| listed > 100),
            }
        };
        assert!((0..100).any(|_| agree()));
    }
}
