//! Which thread runs on which processor.

use std::fs;

use crate::quantity;

/// A list of processors, in the order given.
#[derive(Clone, Debug)]
pub(crate) struct CpuList(pub Vec<usize>);

/// Parses a list of processors of this machine.
pub(crate) fn cpu_list(text: &str) -> Result<CpuList, String> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    among(quantity::cpus(text)?, list.trim())
}

/// `cpus`, if each is `online`; where that cannot be read, the kernel will say.
fn among(cpus: Vec<usize>, online: &str) -> Result<CpuList, String> {
    let known = quantity::cpus(online).unwrap_or_else(|_| cpus.clone());
    match cpus.iter().find(|cpu| !known.contains(cpu)) {
        Some(cpu) => Err(format!("there is no processor {cpu}, there are {online}")),
        None => Ok(CpuList(cpus)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_those_of_the_machine() {
        let list = |text: &str, online| {
            let list = among(quantity::cpus(text).expect("a list"), online);
            list.map(|CpuList(cpus)| cpus)
        };
        assert_eq!(list("1,3", "0-3"), Ok(vec![1, 3]));
        assert_eq!(
            list("0,4", "0-3"),
            Err("there is no processor 4, there are 0-3".into())
        );
        assert_eq!(list("4095", ""), Ok(vec![4095]));
        assert!(cpu_list("4095").is_err_and(|error| error.contains("4095")));
    }
}
