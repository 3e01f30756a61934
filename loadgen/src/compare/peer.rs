//! The proxies that can be compared: how each is started, configured and asked for its version.
//!
//! `peers/peers.toml` beside the scenarios defines them, so that another proxy needs no code: a
//! program, its arguments and a template. A program is looked for beside this one (`@beside@`) and
//! on the path; a program that is not there is an error that says what was looked for.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine::io::Address;
use serde::Deserialize;

use super::template;
use super::tls_files::TlsFiles;

/// How a proxy is started.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    /// Where its program may be; the first that exists is taken. A bare name is looked for on the
    /// path.
    pub programs: Vec<String>,
    /// Its arguments, a template.
    pub arguments: Vec<String>,
    /// Arguments that make it print its version.
    pub version: Vec<String>,
    /// The template of its configuration, a file beside the definition.
    pub template: String,
    /// How its configuration writes the address of a TCP origin, a template.
    pub origin_tcp: String,
    /// How its configuration writes the path of a Unix origin, a template.
    pub origin_unix: String,
    /// What its configuration says where it listens with TLS, a template.
    #[serde(default)]
    pub tls_listen: String,
    /// What it says of certificate and key, a template; empty when it cannot.
    #[serde(default)]
    pub tls: String,
    /// What to do when no program is there.
    pub install: String,
}

/// The definitions beside the scenarios.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    folder: PathBuf,
    by_name: BTreeMap<String, Peer>,
}

impl Peers {
    /// Reads `peers/peers.toml` in the folder of the scenario.
    pub(crate) fn read(scenarios: &Path) -> Result<Self, String> {
        let folder = scenarios.join("peers");
        let path = folder.join("peers.toml");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let by_name =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { folder, by_name })
    }

    /// The definition of `name`.
    pub(crate) fn find(&self, name: &str) -> Result<&Peer, String> {
        self.by_name.get(name).ok_or_else(|| {
            let known: Vec<_> = self.by_name.keys().map(String::as_str).collect();
            format!("there is no peer {name}; there are {}", known.join(", "))
        })
    }

    /// The text of its template.
    pub(crate) fn template(&self, peer: &Peer) -> Result<String, String> {
        let path = self.folder.join(&peer.template);
        fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    }
}

impl Peer {
    /// Its program.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, String> {
        located(name, &self.programs, &self.install)
    }

    /// What its configuration says of TLS: where it listens, and of certificate and key.
    pub(crate) fn tls(&self, name: &str, files: Option<&TlsFiles>) -> Result<[String; 2], String> {
        let Some(files) = files else {
            return Ok(Default::default());
        };
        if self.tls.is_empty() && self.tls_listen.is_empty() {
            return Err(format!("{name} has no `tls` in its definition"));
        }
        let values = files.values();
        Ok([
            template::fill(&self.tls_listen, &values)?,
            template::fill(&self.tls, &values)?,
        ])
    }

    /// How its configuration writes the origin.
    pub(crate) fn origin(&self, origin: &Address) -> Result<String, String> {
        match origin {
            Address::Tcp(address) => template::fill(&self.origin_tcp, &of_socket(*address)),
            Address::Unix(path) => {
                template::fill(&self.origin_unix, &[("path", path.display().to_string())])
            }
        }
    }
}

/// The first of `programs` that is there.
pub(crate) fn located(name: &str, programs: &[String], install: &str) -> Result<PathBuf, String> {
    let itself = std::env::current_exe().unwrap_or_default();
    let beside = itself
        .parent()
        .unwrap_or_else(|| Path::new(""))
        .display()
        .to_string();
    let values = [("beside", beside)];
    let mut looked = Vec::new();
    for program in programs {
        let program = template::fill(program, &values)?;
        if let Some(found) = find(&program) {
            return Ok(found);
        }
        looked.push(program);
    }
    Err(format!(
        "{name} is not installed (looked for {}): {install}, or leave it out with --peers",
        looked.join(", "),
    ))
}

/// What a program says its version is, told `arguments`: the first line.
pub(crate) fn version(program: &Path, arguments: &[String]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        return String::new();
    };
    // nginx says it on stderr.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    // Envoy begins with the path it was called by.
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    line.replace(&*program.to_string_lossy(), &name)
}

/// The values of an address in a template.
pub(crate) fn of_socket(address: SocketAddr) -> [(&'static str, String); 2] {
    [
        ("ip", address.ip().to_string()),
        ("port", address.port().to_string()),
    ]
}

/// A path as it is; a bare name on the path, and where only root's path leads.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Peers {
        Peers::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios"))
            .expect("the definitions")
    }

    #[test]
    fn the_definitions_of_the_repository_have_their_templates() {
        let peers = repository();
        for name in ["weft", "nginx", "haproxy", "envoy"] {
            let peer = peers.find(name).expect(name);
            assert!(!peers.template(peer).expect(name).is_empty());
            let tcp = peer
                .origin(&Address::Tcp(([127, 0, 0, 1], 81).into()))
                .expect(name);
            assert!(tcp.contains("127.0.0.1") && tcp.contains("81"), "{tcp}");
            let unix = peer.origin(&Address::Unix("a/b".into())).expect(name);
            assert!(unix.contains("a/b"), "{unix}");
        }
        let error = peers.find("squid").expect_err("unknown");
        assert!(error.contains("squid") && error.contains("weft"), "{error}");
    }

    #[test]
    fn a_missing_program_is_said_clearly() {
        let peers = repository();
        let mut peer = peers.find("nginx").expect("nginx").clone();
        peer.programs = vec!["no-such-proxy".into(), "@beside@/neither".into()];
        let error = peer.program("nginx").expect_err("not there");
        for part in [
            "nginx is not installed",
            "no-such-proxy",
            "/neither",
            "--peers",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
    }
}
