//! What a scenario's entries are instances of: proxies or generators, by name.
//!
//! Which of the two is for the scenario to say. Programs are found in the same way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::generator::{self, Generator};
use super::peer::{Peers, located};
use super::scenario::Compares;

/// The definitions beside a scenario.
#[derive(Clone, Debug)]
pub(crate) enum Definitions {
    /// Proxies in front of the origin.
    Proxies(Peers),
    /// Generators that ask the origin.
    Generators(BTreeMap<String, Generator>),
}

impl Definitions {
    /// Reads those that `compares` asks for.
    pub(crate) fn read(compares: Compares, scenarios: &Path) -> Result<Self, String> {
        match compares {
            Compares::Proxies => Peers::read(scenarios).map(Self::Proxies),
            Compares::Generators => generator::read(scenarios).map(Self::Generators),
        }
    }

    /// The program of `name`.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, String> {
        match self {
            Self::Proxies(peers) => peers.find(name)?.program(name),
            Self::Generators(generators) => {
                let generator = find(generators, name)?;
                located(name, &generator.programs, &generator.install)
            }
        }
    }
}

/// The generator called `name`.
pub(crate) fn find<'a>(
    generators: &'a BTreeMap<String, Generator>,
    name: &str,
) -> Result<&'a Generator, String> {
    generators.get(name).ok_or_else(|| {
        let known: Vec<_> = generators.keys().map(String::as_str).collect();
        format!(
            "there is no generator {name}; there are {}",
            known.join(", ")
        )
    })
}
