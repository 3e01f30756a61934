//! The secrets with which sticky cookies are signed, read from their files.
//!
//! In: the configuration. Out: what each cluster's file holds, without the white space at its end;
//! or every problem with them, by field. They are read whenever a configuration is compiled, so a
//! reload takes a changed secret. Not here: what is signed with them (`balance`).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::{Config, Problem};
use crate::limits;

/// The secret of a cluster that has one.
pub(super) type CookieKey = Option<Box<[u8]>>;

/// The secrets of all clusters, in the order of the configuration.
pub(super) fn load(config: &Config) -> Result<Vec<CookieKey>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut keys = Vec::new();
    for (place, cluster) in config.clusters.iter().enumerate() {
        let Some(sticky) = &cluster.balancing.sticky else {
            keys.push(None);
            continue;
        };
        match read(&sticky.key_file) {
            Ok(key) => keys.push(Some(key.into())),
            Err(message) => problems.push(Problem {
                line: None,
                field: format!("clusters[{place}].sticky.key_file"),
                value: Some(format!("{:?}", sticky.key_file)),
                message,
            }),
        }
    }
    if problems.is_empty() {
        Ok(keys)
    } else {
        Err(problems)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut key = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut file = file.take(limits::COOKIE_KEY_BYTES_MAX);
    file.read_to_end(&mut key)
        .map_err(|error| error.to_string())?;
    key.truncate(key.trim_ascii_end().len());
    if key.len() < limits::COOKIE_KEY_BYTES_MIN {
        let least = limits::COOKIE_KEY_BYTES_MIN;
        return Err(format!(
            "holds {} bytes, expected at least {least}",
            key.len()
        ));
    }
    Ok(key)
}
