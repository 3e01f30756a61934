//! The identity of the process, from the file to the model: one source of it, and how it is asked.

use crate::config::file::Section;
use crate::config::model::{Identity, IdentitySource, WorkloadApi, WorkloadEndpoint};
use crate::config::read::cluster::discovery::built_with;
use crate::config::read::path_in;
use crate::limits;

const SOURCE: &str = "the path of a folder, or `workload_api` instead";
const ENDPOINT: &str = "a socket such as \"unix:///run/spire/agent.sock\", \
    \"tcp://127.0.0.1:8000\" on this machine, or \"environment\" for SPIFFE_ENDPOINT_SOCKET";
const HINT: &str = "the hint of an identity, such as \"internal\"";

/// The identity of the process.
pub(in crate::config::read) fn identity(section: &mut Section<'_>) -> Option<Identity> {
    let (has_api, has_directory) = (section.has("workload_api"), section.has("directory"));
    if has_api && has_directory {
        section.refuse(
            "directory",
            "has no use beside `workload_api`: keep one of them",
        );
    }
    let directory = section.field("directory").and_then(|field| path_in(&field));
    let endpoint = section.field("workload_api").and_then(|field| {
        built_with(&field, cfg!(feature = "spiffe"), "spiffe")?;
        field.parse(ENDPOINT, WorkloadEndpoint::parse)
    });
    let is_hint = |text: &&str| (1..=limits::WORKLOAD_HINT_BYTES_MAX).contains(&text.len());
    let hint = section
        .field("hint")
        .and_then(|field| field.parse(HINT, |text| Some(text).filter(is_hint)));
    let start_timeout = section.duration("start_timeout", limits::WORKLOAD_START_TIMEOUT_DEFAULT);
    if !has_api {
        for key in ["hint", "start_timeout"] {
            if section.has(key) {
                section.refuse(key, "has no use without `workload_api`");
            }
        }
    }
    if !has_api && !has_directory {
        section.missing("directory", SOURCE);
    }
    match endpoint {
        None => directory.map(Identity::in_directory),
        Some(endpoint) => Some(Identity {
            source: IdentitySource::WorkloadApi(WorkloadApi {
                endpoint,
                hint: hint.map(Into::into),
                start_timeout,
            }),
            held: None,
        }),
    }
}
