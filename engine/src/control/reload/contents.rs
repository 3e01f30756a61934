//! What the files hold that two configurations name: the second half of `weft diff`.
//!
//! In: two configurations, and the folders in which their relative paths stand. Out: a line for
//! each place in the configuration that names another file than before, with other content, and
//! for each that is new. What is secret is compared and never told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::authenticate::KeySet;
use crate::config::{CertificateFiles, Config, Endpoint, Identity, JwtKeys};
use crate::limits;
use crate::tls::{FileKind, describe_file};

/// Endpoints that are told of one file.
const ENDPOINTS_TOLD_MAX: usize = 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tls(FileKind),
    KeySet,
    Endpoints,
    Secret,
}

/// Files by the field that names them.
type Named = BTreeMap<String, (Kind, PathBuf)>;

/// The differences, one line each; empty when there is none. Relative paths begin in the folder
/// beside each configuration.
#[must_use]
pub fn describe(old: (&Config, &Path), new: (&Config, &Path)) -> String {
    let (before, after) = (named(old.0), named(new.0));
    let mut text = String::new();
    for (field, (kind, path)) in &after {
        let path = new.1.join(path);
        let former = before.get(field).filter(|(former, _)| former == kind);
        let Some((_, former)) = former else {
            // Text cannot fail to be written.
            let _ = writeln!(text, "+ {field} holds: {}", held(*kind, &path));
            continue;
        };
        let former = old.1.join(former);
        if former != path
            && let Some(change) = change(*kind, &former, &path)
        {
            let _ = writeln!(text, "~ {field} holds: {change}");
        }
    }
    text
}

/// Every file that a configuration names, but for those that it writes.
fn named(config: &Config) -> Named {
    let mut named = Named::new();
    let mut note = |field: String, kind: Kind, path: &Path| {
        // What is held in memory is no file.
        if !Identity::is_held(path) {
            named.insert(field, (kind, path.to_owned()));
        }
    };
    for listener in &config.listeners {
        let Some(tls) = &listener.tls else { continue };
        let at = format!("listeners[{}].tls", listener.name);
        for (place, files) in tls.certificates.iter().enumerate() {
            certificate(&mut note, &format!("{at}.certificates[{place}]"), files);
        }
        authorities(
            &mut note,
            &format!("{at}.client_"),
            tls.client_ca.as_deref(),
            &tls.client_crls,
        );
    }
    for cluster in &config.clusters {
        let at = format!("clusters[{}]", cluster.name);
        if let Some(tls) = &cluster.tls {
            let at = format!("{at}.tls");
            if let Some(files) = &tls.certificate {
                certificate(&mut note, &format!("{at}.certificate"), files);
            }
            authorities(&mut note, &format!("{at}."), tls.ca.as_deref(), &tls.crls);
        }
        if let Some(file) = &cluster.discovery.file {
            note(format!("{at}.discovery.file"), Kind::Endpoints, file);
        }
        if let Some(sticky) = &cluster.balancing.sticky {
            note(
                format!("{at}.sticky.key_file"),
                Kind::Secret,
                &sticky.key_file,
            );
        }
    }
    if let Some(tokens) = config.registry.iter().find_map(|it| it.token_file.as_ref()) {
        note("registry.token_file".to_owned(), Kind::Secret, tokens);
    }
    for issuer in &config.authentication.jwt {
        let at = format!("authentication.jwt[{}].keys", issuer.name);
        match &issuer.keys {
            JwtKeys::File { file } => note(format!("{at}.file"), Kind::KeySet, file),
            JwtKeys::Url { ca: Some(ca), .. } => {
                note(format!("{at}.ca"), Kind::Tls(FileKind::Authorities), ca);
            }
            JwtKeys::Url { .. } => {}
        }
    }
    named
}

fn certificate(note: &mut impl FnMut(String, Kind, &Path), at: &str, files: &CertificateFiles) {
    note(
        format!("{at}.chain"),
        Kind::Tls(FileKind::Chain),
        &files.chain,
    );
    note(format!("{at}.key"), Kind::Tls(FileKind::Key), &files.key);
    if let Some(ocsp) = &files.ocsp {
        note(format!("{at}.ocsp"), Kind::Tls(FileKind::Ocsp), ocsp);
    }
}

fn authorities(
    note: &mut impl FnMut(String, Kind, &Path),
    at: &str,
    ca: Option<&Path>,
    crls: &[PathBuf],
) {
    if let Some(ca) = ca {
        note(format!("{at}ca"), Kind::Tls(FileKind::Authorities), ca);
    }
    for (place, crl) in crls.iter().enumerate() {
        note(
            format!("{at}crls[{place}]"),
            Kind::Tls(FileKind::Revocations),
            crl,
        );
    }
}

/// What a file holds.
fn held(kind: Kind, path: &Path) -> String {
    match kind {
        Kind::Tls(kind) => describe_file(path, kind),
        Kind::KeySet => match read(path, limits::KEY_SET_BYTES_MAX as u64 + 1) {
            Ok(json) => key_set(&json),
            Err(why) => why,
        },
        Kind::Endpoints => match endpoints(path) {
            Ok(endpoints) => counted(endpoints.len(), "endpoint"),
            Err(why) => why,
        },
        Kind::Secret => match secret(path) {
            Ok(_) => "a secret".to_owned(),
            Err(why) => why,
        },
    }
}

/// What is in `after` instead of what is in `before`; nothing when it is the same.
fn change(kind: Kind, before: &Path, after: &Path) -> Option<String> {
    match kind {
        Kind::Secret => {
            let (one, other) = (secret(before), secret(after));
            match (one, other) {
                (Ok(one), Ok(other)) => (one != other).then(|| "another secret".to_owned()),
                (_, Err(why)) => Some(why),
                (Err(_), Ok(_)) => Some("a secret".to_owned()),
            }
        }
        Kind::Endpoints => match (endpoints(before), endpoints(after)) {
            (Ok(one), Ok(other)) => {
                let text = |endpoints: Vec<Endpoint>| -> BTreeSet<String> {
                    endpoints.iter().map(endpoint).collect()
                };
                moved(&text(one), &text(other))
            }
            (_, Err(why)) => Some(why),
            (Err(_), Ok(other)) => Some(counted(other.len(), "endpoint")),
        },
        Kind::Tls(_) | Kind::KeySet => {
            let (one, other) = (held(kind, before), held(kind, after));
            (one != other).then(|| format!("{one} -> {other}"))
        }
    }
}

#[cfg(feature = "endpoint-files")]
fn endpoints(path: &Path) -> Result<Vec<Endpoint>, String> {
    crate::control::discovery::files::read(path)
}

#[cfg(not(feature = "endpoint-files"))]
fn endpoints(_: &Path) -> Result<Vec<Endpoint>, String> {
    Err("this build reads no endpoint files".to_owned())
}

fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint.weight {
        1 => endpoint.address.to_string(),
        weight => format!("{} (weight {weight})", endpoint.address),
    }
}

/// What came and what left, as far as it fits.
fn moved(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Option<String> {
    let came = after.difference(before).map(|it| format!("+ {it}"));
    let left = before.difference(after).map(|it| format!("- {it}"));
    let mut changes: Vec<String> = came.chain(left).collect();
    let more = changes.len().saturating_sub(ENDPOINTS_TOLD_MAX);
    changes.truncate(ENDPOINTS_TOLD_MAX);
    if more > 0 {
        changes.push(format!("and {more} more"));
    }
    (!changes.is_empty()).then(|| changes.join(", "))
}

fn key_set(json: &[u8]) -> String {
    let Ok(set) = KeySet::parse(json) else {
        return "no usable keys".to_owned();
    };
    let ids = set.ids();
    let ids: Vec<&str> = ids.map(|id| id.unwrap_or("without an id")).collect();
    let keys = counted(set.len(), "key");
    format!(
        "{keys} ({}), version {:016x}",
        ids.join(", "),
        set.version()
    )
}

fn secret(path: &Path) -> Result<Vec<u8>, String> {
    let mut secret = read(path, limits::COOKIE_KEY_BYTES_MAX)?;
    secret.truncate(secret.trim_ascii_end().len());
    Ok(secret)
}

/// The first `bytes_max` of a file.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut content = Vec::new();
    file.take(bytes_max)
        .read_to_end(&mut content)
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(content)
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::config;

    /// A folder with a certificate, its key and an endpoint file.
    fn release(name: &str, endpoints: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("weft-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["shop.test".to_owned()]).expect("parameters");
        let certificate = params.self_signed(&key).expect("a certificate");
        let key_text = key.serialize_pem();
        for (file, text) in [
            ("site.pem", &*certificate.pem()),
            ("site.key", &key_text),
            ("app.json", endpoints),
            ("cookie.key", &key_text),
        ] {
            fs::write(folder.join(file), text).expect("written");
        }
        folder
    }

    #[test]
    fn what_files_hold_is_compared_and_secrets_are_not_told() {
        let text = r#"
            [[listeners]]
            name = "web"
            address = "127.0.0.1:1"
            tls = { certificates = [{ chain = "site.pem", key = "site.key" }] }
            virtual_hosts = [{ hosts = ["*"], routes = [{ forward = "app" }] }]
            [[clusters]]
            name = "app"
            discovery = { file = "app.json" }
            sticky = { cookie = "at", key_file = "cookie.key" }
        "#;
        let config = config::parse(text, "f".as_ref()).unwrap_or_else(|errors| panic!("{errors}"));
        let old = release("old", r#"["10.0.0.1:80", "10.0.0.2:80"]"#);
        let new = release(
            "new",
            r#"["10.0.0.2:80", {"address": "10.0.0.3:80", "weight": 2}]"#,
        );
        let told = describe((&config, &old), (&config, &new));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 4, "{told}");
        assert_eq!(
            lines[0],
            "~ clusters[app].discovery.file holds: + 10.0.0.3:80 (weight 2), - 10.0.0.1:80"
        );
        assert_eq!(
            lines[1],
            "~ clusters[app].sticky.key_file holds: another secret"
        );
        let chain = "~ listeners[web].tls.certificates[0].chain holds: shop.test; 1 certificate, ";
        assert!(
            lines[2].starts_with(chain) && lines[2].contains(" -> shop.test; 1 "),
            "{told}"
        );
        assert!(
            lines[3].contains("key holds: a key for ECDSA, its public half"),
            "{told}"
        );
        assert_eq!(describe((&config, &old), (&config, &old)), "");
        fs::remove_file(new.join("app.json")).expect("removed");
        let told = describe((&config, &old), (&config, &new));
        assert!(
            told.contains("discovery.file holds: cannot be opened"),
            "{told}"
        );
        for folder in [old, new] {
            fs::remove_dir_all(folder).expect("removed");
        }
    }
}
