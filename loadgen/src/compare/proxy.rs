//! How a proxy is started, and one that runs.
//!
//! Every run has a process of its own. Two processes of one program differ by a few percent for
//! all their lives (where their memory lies), so runs of the same process are not independent, and
//! an interval over them is too narrow. It also means that only the entry which is measured is
//! alive.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use engine::io::Address;

use super::child::{Launch, Running};
use super::options::CompareOptions;
use super::peer::{Peers, of_socket};
use super::template;
use super::tls_files::TlsFiles;
use crate::placement::CpuList;
use crate::run::watched::{self, tree};

/// Connections a proxy must have room for besides those of the load.
const SPARE_CONNECTIONS: usize = 100;

/// How one entry's proxy is started.
#[derive(Debug)]
pub(crate) struct Start {
    name: String,
    program: PathBuf,
    /// Its arguments, templates.
    arguments: Vec<String>,
    /// Name and text of the template of its configuration.
    template: (String, String),
    /// What the templates name, but for the address.
    values: Vec<(&'static str, String)>,
    /// Where it may run.
    cpus: Vec<usize>,
    /// Its folder.
    folder: PathBuf,
    /// Its configuration.
    file: PathBuf,
}

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub running: Running,
    /// What its configuration says.
    pub configuration: String,
}

impl Start {
    /// The start of `program` as `peer`, in front of `origin`, with its files in `folder`.
    pub(crate) fn new(
        (name, peer, program): (&str, &str, PathBuf),
        peers: &Peers,
        origin: &Address,
        options: &CompareOptions,
        (folder, tls): (PathBuf, Option<&TlsFiles>),
        connections: usize,
    ) -> Result<Self, String> {
        let found = peers.find(peer)?;
        let failed = |error| format!("cannot prepare {name}: {error}");
        fs::create_dir_all(&folder).map_err(failed)?;
        let ending = PathBuf::from(&found.template);
        let file = folder
            .join("configuration")
            .with_extension(ending.extension().unwrap_or_default());
        let CpuList(cpus) = &options.proxy_cpus;
        let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        let [tls_listen, tls] = found.tls(peer, tls)?;
        let values = vec![
            ("origin", found.origin(origin)?),
            ("tls_listen", tls_listen),
            ("tls", tls),
            ("shards", cpus.len().to_string()),
            ("connections", (connections + SPARE_CONNECTIONS).to_string()),
            ("cpus", list.join(",")),
            ("scratch", folder.display().to_string()),
            ("configuration", file.display().to_string()),
        ];
        Ok(Self {
            name: name.to_owned(),
            program,
            arguments: found.arguments.clone(),
            template: (found.template.clone(), peers.template(found)?),
            values,
            cpus: cpus.clone(),
            folder,
            file,
        })
    }

    /// Starts a process, which may not listen yet.
    pub(crate) fn start(&self) -> Result<Proxy, String> {
        // A port of its own each time: that of the one before may be a client's by now.
        let address = free_port()?;
        let mut values = of_socket(address).to_vec();
        values.extend(self.values.iter().cloned());
        let (name, text) = &self.template;
        let configuration =
            template::fill(text, &values).map_err(|error| format!("{name}: {error}"))?;
        fs::write(&self.file, &configuration)
            .map_err(|error| format!("cannot prepare {}: {error}", self.name))?;
        let arguments = self.arguments.iter();
        let arguments = arguments.map(|argument| template::fill(argument, &values));
        let running = Running::start(&Launch {
            name: &self.name,
            program: &self.program,
            arguments: &arguments.collect::<Result<Vec<_>, _>>()?,
            cpus: &self.cpus,
            log: self.folder.join("said.log"),
        })?;
        Ok(Proxy {
            address,
            running,
            configuration,
        })
    }
}

impl Proxy {
    /// Resident memory of the process and its children.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let processes = tree(self.running.pid()).into_iter();
        processes.map(watched::resident_bytes).sum()
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0");
    listener
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port: {error}"))
}
