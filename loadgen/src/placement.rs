//! Which thread runs on which processor.

use crate::quantity;

/// A list of processors, in the order given.
#[derive(Clone, Debug)]
pub(crate) struct CpuList(pub Vec<usize>);

/// Parses a list of processors.
pub(crate) fn cpu_list(text: &str) -> Result<CpuList, String> {
    quantity::cpus(text).map(CpuList)
}

/// How many threads two options ask for together.
pub(crate) fn thread_count(
    threads: Option<usize>,
    cpus: Option<&CpuList>,
) -> Result<usize, String> {
    match (threads, cpus) {
        (Some(threads), Some(CpuList(cpus))) if threads != cpus.len() => Err(format!(
            "--threads {threads} and --cpus name different numbers of threads"
        )),
        (_, Some(CpuList(cpus))) => Ok(cpus.len()),
        (Some(0), None) => Err("--threads must not be zero".into()),
        (Some(threads), None) if threads > 1024 => Err("--threads goes up to 1024".into()),
        (threads, None) => Ok(threads.unwrap_or(1)),
    }
}

/// One processor to pin to, or none, for each thread.
pub(crate) fn of_threads(threads: Option<usize>, cpus: Option<&CpuList>) -> Vec<Option<usize>> {
    match cpus {
        Some(CpuList(cpus)) => cpus.iter().copied().map(Some).collect(),
        None => vec![None; threads.unwrap_or(1)],
    }
}
