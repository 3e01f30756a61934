//! Files with certificates, keys, authorities and revocations. What must hold for any bytes: no
//! panic, and whatever is refused is refused with a reason.

use std::time::Duration;

use engine::tls::inspect_pem;

/// Checks it for `bytes`; says of how many kinds they could be a file.
pub(crate) fn check(bytes: &[u8]) -> usize {
    let found = inspect_pem(bytes, Duration::from_secs(1_767_225_600));
    for reason in found.iter().filter_map(|found| found.as_ref().err()) {
        assert!(!reason.is_empty() && reason.len() < 1000, "{reason}");
    }
    found.iter().filter(|found| found.is_ok()).count()
}
