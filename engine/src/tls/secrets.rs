//! The TLS of a configuration, read from the files it names.
//!
//! In: a valid configuration. Out: what each listener and cluster needs for its handshakes, in the
//! order of the configuration; or every fault of every file, under the field that names it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use super::files::{Fault, Files};
use super::{Acceptor, Connector};
use crate::config::{BUNDLE_FILE, Config, Identity, IdentitySource, Problem, SVID_FILE};

/// What is read from certificates, keys and authorities.
#[derive(Debug)]
pub struct Secrets {
    /// By listener.
    pub acceptors: Vec<Option<Arc<Acceptor>>>,
    /// By cluster.
    pub connectors: Vec<Option<Arc<Connector>>>,
}

/// What is in use already. Where neither its settings nor what its files hold have changed, it is
/// not made anew: sessions can be resumed, and connections are worth keeping.
#[derive(Debug, Default)]
pub struct InUse<'a> {
    /// By the names of listeners.
    pub acceptors: HashMap<&'a str, &'a Arc<Acceptor>>,
    /// By the names of clusters.
    pub connectors: HashMap<&'a str, &'a Arc<Connector>>,
}

/// Settings, and a digest of what the files held that they name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source<T> {
    pub(super) tls: T,
    contents: [u8; SHA256_OUTPUT_LEN],
}

impl Secrets {
    /// Reads all files.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(config: &Config, in_use: &InUse<'_>) -> Result<Self, Vec<Problem>> {
        let mut listeners = config.listeners.iter();
        let mut clusters = config.clusters.iter();
        if listeners.any(|it| it.tls.is_some()) || clusters.any(|it| it.tls.is_some()) {
            // The first random byte takes 40 ms (the library measures the jitter of the processor):
            // not in the middle of a shard's first handshake.
            let _drawn = aws_lc_rs::rand::fill(&mut [0]);
        }
        let mut problems = Vec::new();
        let files = Files(config.identity.as_ref());
        let mut note = |kind: &str, place: usize, faults: Vec<Fault>| {
            let problems_of = faults
                .into_iter()
                .map(|fault| problem(&format!("{kind}[{place}].tls"), fault));
            problems.extend(problems_of);
        };
        let listeners = config.listeners.iter().enumerate();
        let acceptors = listeners.map(|(place, listener)| {
            let source = Source::of(listener.tls.as_ref()?, files, |tls| tls.files());
            let known = in_use.acceptors.get(&*listener.name);
            if let Some(known) = known.filter(|known| known.source == source) {
                return Some(Arc::clone(known));
            }
            Acceptor::load(source, files)
                .map_err(|faults| note("listeners", place, faults))
                .ok()
                .map(Arc::new)
        });
        let acceptors = acceptors.collect();
        let clusters = config.clusters.iter().enumerate();
        let connectors = clusters.map(|(place, cluster)| {
            let source = Source::of(cluster.tls.as_ref()?, files, |tls| tls.files());
            let known = in_use.connectors.get(&*cluster.name);
            if let Some(known) = known.filter(|known| known.source == source) {
                return Some(Arc::clone(known));
            }
            Connector::load(source, files)
                .map_err(|faults| note("clusters", place, faults))
                .ok()
                .map(Arc::new)
        });
        let connectors = connectors.collect();
        if let Some(identity) = &config.identity {
            problems = about_identity(identity, problems);
        }
        match problems.is_empty() {
            true => Ok(Self {
                acceptors,
                connectors,
            }),
            false => Err(problems),
        }
    }
}

impl<T: Clone> Source<T> {
    /// Looks at the files before they are loaded: one that changes in between differs the next
    /// time.
    pub(super) fn of(tls: &T, files: Files<'_>, named: impl FnOnce(&T) -> Vec<&Path>) -> Self {
        let mut contents = Context::new(&SHA256);
        for file in named(tls) {
            let held = files.read(file);
            let (mark, held) = match &held {
                Ok(held) => (b'+', held.as_slice()),
                Err(why) => (b'-', why.as_bytes()),
            };
            contents.update(&[mark]);
            contents.update(&(held.len() as u64).to_be_bytes());
            contents.update(held);
        }
        let mut digest = [0; SHA256_OUTPUT_LEN];
        digest.copy_from_slice(contents.finish().as_ref());
        Self {
            tls: tls.clone(),
            contents: digest,
        }
    }
}

/// Says of an identity's files once, under the key that names their folder, what was found in every
/// table that they are a default of.
fn about_identity(identity: &Identity, problems: Vec<Problem>) -> Vec<Problem> {
    let (svid, bundle) = (identity.svid().chain, identity.bundle());
    let mut told = Vec::new();
    for mut problem in problems {
        let value = problem.value.as_deref();
        let file = [(&svid, SVID_FILE), (&bundle, BUNDLE_FILE)]
            .into_iter()
            .find(|(path, _)| value == Some(&*format!("\"{}\"", path.display())));
        if let Some((path, name)) = file {
            problem.message = format!("{name} {}", problem.message);
            let (field, value) = match &identity.source {
                IdentitySource::Directory { directory } => {
                    let directory = directory.display();
                    if !path.exists() {
                        let make = format!("weft identity issue /NAME --directory {directory}");
                        problem.message.push_str(&format!("; make it: {make}"));
                    }
                    ("identity.directory", directory.to_string())
                }
                IdentitySource::WorkloadApi(api) => {
                    ("identity.workload_api", api.endpoint.to_string())
                }
            };
            problem.field = field.to_owned();
            problem.value = Some(format!("\"{value}\""));
        }
        if !told.contains(&problem) {
            told.push(problem);
        }
    }
    told
}

fn problem(table: &str, fault: Fault) -> Problem {
    let field = match fault.field.as_str() {
        "" => table.to_owned(),
        field => format!("{table}.{field}"),
    };
    Problem {
        line: None,
        field,
        value: Some(format!("\"{}\"", fault.file)).filter(|_| !fault.file.is_empty()),
        message: fault.message,
    }
}
