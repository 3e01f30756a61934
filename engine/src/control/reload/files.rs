//! The files that a configuration consists of: its own, and those that it names.

use std::path::{Path, PathBuf};

use crate::config::{Config, Identity};

/// Every file whose change may change what is served.
pub(super) fn named(file: &Path, config: &Config) -> Vec<PathBuf> {
    let listeners = config.listeners.iter().filter_map(|it| it.tls.as_ref());
    let clusters = config.clusters.iter().filter_map(|it| it.tls.as_ref());
    let tls = listeners
        .flat_map(|tls| tls.files())
        .chain(clusters.flat_map(|tls| tls.files()));
    let keys = config.authentication.jwt.iter();
    let keys = keys.filter_map(|issuer| issuer.keys.file());
    // What is held in memory is no file.
    let tls = tls.filter(|file| !Identity::is_held(file));
    let mut files: Vec<PathBuf> = tls.chain(keys).map(Path::to_owned).collect();
    files.push(file.to_owned());
    files.sort();
    files.dedup();
    files
}
