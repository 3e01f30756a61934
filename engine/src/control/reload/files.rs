//! The files that a configuration names: certificates, keys and the like.

use std::path::{Path, PathBuf};

use crate::config::{Config, Identity};

/// Every file that it names and whose change may change what is served.
pub(super) fn named(config: &Config) -> Vec<PathBuf> {
    let listeners = config.listeners.iter().filter_map(|it| it.tls.as_ref());
    let clusters = config.clusters.iter().filter_map(|it| it.tls.as_ref());
    let tls = listeners
        .flat_map(|tls| tls.files())
        .chain(clusters.flat_map(|tls| tls.files()));
    let keys = config.authentication.jwt.iter();
    let keys = keys.filter_map(|issuer| issuer.keys.file());
    // What is held in memory is no file.
    let tls = tls.filter(|file| !Identity::is_held(file));
    let sticky = config
        .clusters
        .iter()
        .filter_map(|it| it.balancing.sticky.as_ref());
    let cookies = sticky.map(|sticky| sticky.key_file.as_path());
    let registry = config.registry.iter();
    let tokens = registry.filter_map(|registry| registry.token_file.as_deref());
    let secrets = cookies.chain(tokens);
    tls.chain(keys).chain(secrets).map(Path::to_owned).collect()
}
