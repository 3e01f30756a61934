//! What whoever makes a run says about it, for those who read its result later.
//!
//! A result is compared with others long after its target is gone, so it can carry the target's
//! configuration. The file is read before the run: what is missing is better known then.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

/// A configuration is for reading; what is longer is probably another file.
const CONFIGURATION_BYTES_MAX: usize = 1 << 20;

/// Options about the result.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AboutOptions {
    /// A sentence that the result carries: what is tried, and why.
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub note: Option<String>,
    /// The target's configuration, to be put into the result.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub target_config: Option<PathBuf>,
}

/// The same, read.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct About {
    /// The sentence.
    pub note: Option<String>,
    /// The configuration.
    pub target_configuration: Option<Configuration>,
}

/// A file for reading.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Configuration {
    /// Its name, without folders.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl AboutOptions {
    /// Reads the file, if one is named.
    pub(crate) fn read(&self) -> Result<About, String> {
        let target_configuration = match &self.target_config {
            None => None,
            Some(path) => {
                let shown = path.display();
                let text = fs::read_to_string(path)
                    .map_err(|error| format!("cannot read {shown}: {error}"))?;
                if text.len() > CONFIGURATION_BYTES_MAX {
                    return Err(format!("{shown} is larger than 1 MiB: not a configuration"));
                }
                let name = path.file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                Some(Configuration { name, text })
            }
        };
        Ok(About {
            note: self.note.clone(),
            target_configuration,
        })
    }
}
