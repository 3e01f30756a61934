//! File descriptors: a connection is one, and the usual soft limit of 1024 is too low.
//!
//! The soft limit is raised to the hard one, which needs no privilege; whether that is enough is
//! known before the first connection and said in one sentence.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors besides the connections: rings, channels, files, signals, listeners.
const OTHERS_MAX: u64 = 128;

/// Raises the limit as far as allowed; an error if `connections` are still too many.
pub(crate) fn reserve(connections: u64) -> Result<(), String> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it is refused the old limit stands, and the check below goes by that.
    let _ = setrlimit(Resource::Nofile, limit);
    enough(connections, getrlimit(Resource::Nofile).current)
}

/// `limit` of `None` is unlimited.
fn enough(connections: u64, limit: Option<u64>) -> Result<(), String> {
    match limit {
        Some(limit) if limit < connections + OTHERS_MAX => Err(format!(
            "{connections} connections need {} file descriptors, the limit is {limit}; \
             raise it (ulimit -Hn) or use fewer",
            connections + OTHERS_MAX
        )),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_connections_are_known_beforehand() {
        assert!(enough(1_000, None).is_ok());
        assert!(enough(1_000, Some(1_128)).is_ok());
        let error = enough(1_000, Some(1_127)).expect_err("too many");
        assert!(
            error.contains("need 1128") && error.contains("is 1127"),
            "{error}"
        );
    }
}
