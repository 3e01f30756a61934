//! The machine a comparison ran on, how it was divided, and what else it had to do.
//!
//! The environment is read before anything is started: afterwards origin and generator press on
//! each other by design.

use serde::{Deserialize, Serialize};

use crate::environment::{Environment, Meanwhile, Meter};

/// The machine, and how it was divided.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Machine {
    /// The environment of every result.
    #[serde(flatten)]
    pub environment: Environment,
    /// Processors of the proxies.
    pub proxy_cpus: Vec<usize>,
    /// Processors of origin and generator.
    pub load_cpus: Vec<usize>,
    /// What the machine did from the first round to the last.
    #[serde(default)]
    pub meanwhile: Meanwhile,
    #[serde(skip)]
    meter: Option<Meter>,
}

impl Machine {
    /// Looks around.
    pub(crate) fn read(proxy_cpus: &[usize], load_cpus: &[usize]) -> Self {
        Self {
            environment: Environment::read(),
            proxy_cpus: proxy_cpus.to_vec(),
            load_cpus: load_cpus.to_vec(),
            meanwhile: Meanwhile::default(),
            meter: None,
        }
    }

    /// The first round begins.
    pub(crate) fn begin(&mut self) {
        self.meter = Some(Meter::begin());
    }

    /// The last round has ended.
    pub(crate) fn end(&mut self) {
        self.meanwhile = self
            .meter
            .take()
            .map(|meter| meter.end())
            .unwrap_or_default();
    }

    /// What a reader should be warned of.
    pub(crate) fn remarks(&self) -> Vec<String> {
        [self.environment.remarks(), self.meanwhile.remarks()].concat()
    }
}
