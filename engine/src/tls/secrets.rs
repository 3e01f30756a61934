//! The TLS of a configuration, read from the files it names.
//!
//! In: a valid configuration. Out: what each listener and cluster needs for its handshakes, in the
//! order of the configuration; or every fault of every file, under the field that names it.

use super::files::Fault;
use super::{Acceptor, Connector};
use crate::config::{BUNDLE_FILE, Config, Identity, Problem, SVID_FILE};

/// What is read from certificates, keys and authorities.
#[derive(Debug)]
pub struct Secrets {
    /// By listener.
    pub acceptors: Vec<Option<Acceptor>>,
    /// By cluster.
    pub connectors: Vec<Option<Connector>>,
}

impl Secrets {
    /// Reads all files.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut note = |kind: &str, place: usize, faults: Vec<Fault>| {
            let problems_of = faults
                .into_iter()
                .map(|fault| problem(&format!("{kind}[{place}].tls"), fault));
            problems.extend(problems_of);
        };
        let listeners = config.listeners.iter().enumerate();
        let acceptors = listeners.map(|(place, listener)| {
            let loaded = Acceptor::load(listener.tls.as_ref()?);
            loaded
                .map_err(|faults| note("listeners", place, faults))
                .ok()
        });
        let acceptors = acceptors.collect();
        let clusters = config.clusters.iter().enumerate();
        let connectors = clusters.map(|(place, cluster)| {
            let loaded = Connector::load(cluster.tls.as_ref()?);
            loaded
                .map_err(|faults| note("clusters", place, faults))
                .ok()
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
            let directory = identity.directory.display();
            problem.field = "identity.directory".to_owned();
            problem.value = Some(format!("\"{directory}\""));
            problem.message = format!("{name} {}", problem.message);
            if !path.exists() {
                let make = format!("weft identity issue /NAME --directory {directory}");
                problem.message.push_str(&format!("; make it: {make}"));
            }
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
