//! The keys of issuers that are in files.
//!
//! In: the configured issuers. Out: the methods with their keys, or every fault of every file under
//! the field that names it. Read when a configuration is compiled, never on a request.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::authenticate::{KeySet, Methods};
use crate::config::{Config, JwtKeys, Problem};
use crate::limits;

/// The methods of a configuration.
///
/// *Errors:* everything that is wrong with the files of keys.
pub(in super::super) fn compile(config: &Config) -> Result<Arc<Methods>, Vec<Problem>> {
    let mut problems = Vec::new();
    let issuers = config.authentication.jwt.iter().enumerate();
    let keys = issuers.map(|(place, issuer)| match &issuer.keys {
        JwtKeys::Url { .. } => None,
        JwtKeys::File { file } => match read(file) {
            Ok(keys) => Some(Arc::new(keys)),
            Err(message) => {
                problems.push(Problem {
                    line: None,
                    field: format!("authentication.jwt[{place}].keys.file"),
                    value: Some(format!("\"{}\"", file.display())),
                    message,
                });
                None
            }
        },
    });
    let keys = keys.collect();
    match problems.is_empty() {
        true => Ok(Arc::new(Methods::compile(&config.authentication, keys))),
        false => Err(problems),
    }
}

fn read(path: &Path) -> Result<KeySet, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut json = Vec::new();
    let bound = limits::KEY_SET_BYTES_MAX as u64;
    file.take(bound.saturating_add(1))
        .read_to_end(&mut json)
        .map_err(|error| format!("cannot be read: {error}"))?;
    KeySet::parse(&json).map_err(|error| error.to_string())
}
