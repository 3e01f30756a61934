//! The processors: their model, which of them this process may use, and for how long.
//!
//! A control group can limit the CPU time of a container without taking processors away. The limit
//! is in `cpu.max` of the group or of one above it (version 2), or in `cpu.cfs_quota_us` (version
//! 1); the lowest one holds.

use std::fs;
use std::path::Path;

/// Model of the first processor, from `/proc/cpuinfo`; empty if it does not say.
pub(super) fn model(cpuinfo: &str) -> String {
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("", |(_, model)| model).trim().into()
}

/// The processors a process may run on, from `/proc/PID/status`.
pub(super) fn allowed(status: &str) -> String {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.unwrap_or_default().trim().into()
}

/// Policy and, in real time, priority of a process, from `/proc/PID/stat`: its fields 41 and 40
/// (proc_pid_stat(5)). Whoever starts others hands both on to them.
pub(super) fn scheduling(stat: &str) -> String {
    // The name of the program, field 2, may hold spaces and parentheses.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_ascii_whitespace().skip(37);
    let (priority, policy) = (fields.next().unwrap_or_default(), fields.next());
    match policy {
        Some("0") => "normal".into(),
        Some("1") => format!("fifo {priority}"),
        Some("2") => format!("round robin {priority}"),
        Some("3") => "batch".into(),
        Some("5") => "idle".into(),
        Some("6") => "deadline".into(),
        Some(other) => format!("policy {other}"),
        None => String::new(),
    }
}

/// How many processors' worth of time the control groups of this process allow.
pub(super) fn limit() -> Option<f64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut limits = Vec::new();
    for (controllers, group) in groups.lines().filter_map(membership) {
        if controllers.is_empty() {
            for folder in upwards(group, Path::new("/sys/fs/cgroup")) {
                let file = fs::read_to_string(folder.join("cpu.max"));
                limits.extend(file.ok().and_then(|text| share(&text)));
            }
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            for folder in upwards(group, Path::new("/sys/fs/cgroup/cpu")) {
                let read = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
                let (quota, period) = (read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"));
                limits.extend(share(&format!("{} {}", quota.trim(), period.trim())));
            }
        }
    }
    limits.into_iter().min_by(f64::total_cmp)
}

/// `0::/a/b` or `1:cpu,cpuacct:/a`: controllers and group.
fn membership(line: &str) -> Option<(&str, &str)> {
    line.split_once(':')?.1.split_once(':')
}

/// The folder of a group and of each above it.
fn upwards(group: &str, root: &Path) -> Vec<std::path::PathBuf> {
    let group = Path::new(group.trim_start_matches('/'));
    group.ancestors().map(|part| root.join(part)).collect()
}

/// `200000 100000` is two processors; `max` and a negative quota are no limit.
fn share(text: &str) -> Option<f64> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<f64>);
    let (quota, period) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_and_lists_are_found() {
        assert_eq!(model("processor : 0\nmodel name\t: A B \n"), "A B");
        assert_eq!(model("processor : 0\n"), "");
        assert_eq!(allowed("Name:\tx\nCpus_allowed_list:\t0-1,4\n"), "0-1,4");
    }

    #[test]
    fn policies_and_priorities_are_found() {
        let stat = |priority: &str, policy: &str| {
            let before = "0 ".repeat(36);
            format!("7 (a) b) S {before}{priority} {policy} 0 0 0")
        };
        assert_eq!(scheduling(&stat("0", "0")), "normal");
        assert_eq!(scheduling(&stat("1", "1")), "fifo 1");
        assert_eq!(scheduling("7 (a) S 0"), "");
    }

    #[test]
    fn limits_of_both_versions() {
        assert_eq!(share("150000 100000\n"), Some(1.5));
        assert_eq!(share("max 100000"), None);
        assert_eq!(share("-1 100000"), None);
        assert_eq!(share(" "), None);
    }

    #[test]
    fn groups_above_count_too() {
        assert_eq!(membership("0::/a/b"), Some(("", "/a/b")));
        assert_eq!(membership("4:cpu,cpuacct:/a"), Some(("cpu,cpuacct", "/a")));
        let folders = upwards("/a/b", Path::new("root"));
        assert_eq!(folders, ["root/a/b", "root/a", "root/"].map(Path::new));
    }
}
