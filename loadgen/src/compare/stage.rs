//! The origin and all entries, started and proved to answer rightly.
//!
//! Everything runs from the first round to the last, each program on its processors; entries that
//! are not being measured have nothing to do. The two entries of the peer that is entered twice are
//! two processes, so that their difference also shows what the placement in memory is worth.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::io::{Address, clock};

use super::child::{Launch, Running, Scratch};
use super::definitions::{self, Definitions};
use super::generator::Call;
use super::options::CompareOptions;
use super::peer::{self, Peers, of_socket};
use super::probe::{self, Answer};
use super::scenario::Scenario;
use super::template;
use super::tls_files::TlsFiles;
use crate::launch::ITSELF;
use crate::run::watched::tree;
use crate::target::{Field, Url};
use crate::traffic::request::Request;
use crate::transport::Protocol;
use crate::transport::options::TlsOptions;
use crate::transport::trust::Trust;
use crate::{placement::CpuList, quantity};

/// How long a program may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(15);
/// Between two attempts to get an answer.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(20);

/// Connections a proxy must have room for besides those of the load.
const SPARE_CONNECTIONS: usize = 100;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name in the table.
    pub name: String,
    /// The peer it is an instance of.
    pub peer: String,
    /// The first line of what it says its version is.
    pub version: String,
    /// Its program.
    pub program: PathBuf,
    /// Its configuration; of a generator, how it is called.
    pub configuration: String,
    /// Resident memory before the first round.
    pub resident_at_start: u64,
    /// What it does.
    pub part: Part,
}

/// What an entry does in a round.
#[derive(Debug)]
pub(crate) enum Part {
    /// Stands between the generator and the origin, all the time.
    Proxy {
        /// Where it listens.
        address: SocketAddr,
        /// The process.
        running: Running,
    },
    /// Asks the origin, in its rounds.
    Generator(Call),
}

/// All that runs.
#[derive(Debug)]
pub(crate) struct Stage {
    // Fields are dropped in this order: the origin outlives the proxies, the files all of them.
    /// The entries, in the order of the table.
    pub entries: Vec<Entry>,
    /// The origin.
    pub _origin: Running,
    /// What every right answer is like.
    pub answer: Answer,
    /// The certificate that proxies show, if they speak TLS.
    pub tls: Option<TlsFiles>,
    /// Files of this comparison.
    pub scratch: Scratch,
}

impl Stage {
    /// Starts everything.
    pub(crate) fn start(
        scenario: &Scenario,
        definitions: &Definitions,
        options: &CompareOptions,
        stop: &AtomicBool,
    ) -> Result<Self, String> {
        let cast = cast(scenario, definitions, options)?;
        let scratch = Scratch::create()?;
        let (origin, address) = start_origin(scenario, &options.load_cpus, &scratch)?;
        let tls = scenario
            .tls
            .then(|| TlsFiles::create(&scratch))
            .transpose()?;
        let trust = tls.as_ref().map(trust).transpose()?;
        let answer = answers(&origin, &address, scenario, None, stop)?;
        if answer.status != 200 {
            return Err(format!("the origin answers {}", answer.status));
        }
        let mut entries = Vec::new();
        for role in cast {
            entries.push(match definitions {
                Definitions::Proxies(peers) => {
                    let connections = scenario.load.connections;
                    let place = (&scratch, tls.as_ref());
                    start_proxy(role, peers, &address, options, place, connections)?
                }
                Definitions::Generators(generators) => {
                    let generator = definitions::find(generators, &role.peer)?;
                    let program = role.program.clone();
                    let call = Call::new(generator, program, &address, scenario, options)?;
                    let version = peer::version(&role.program, &generator.version);
                    role.enter(version, call.line(), Part::Generator(call))
                }
            });
        }
        for entry in &mut entries {
            let Part::Proxy { address, running } = &entry.part else {
                continue;
            };
            let listening = Address::Tcp(*address);
            let found = answers(running, &listening, scenario, trust.as_ref(), stop)?;
            if found != answer {
                return Err(running.complaint(&format!(
                    "answers wrongly: {found:?}, the origin {answer:?}"
                )));
            }
            entry.resident_at_start = resident_bytes(running.pid());
        }
        Ok(Self {
            entries,
            _origin: origin,
            answer,
            tls,
            scratch,
        })
    }
}

/// Who plays: name in the table, peer, program.
#[derive(Debug)]
struct Role {
    name: String,
    peer: String,
    program: PathBuf,
}

impl Role {
    fn enter(self, version: String, configuration: String, part: Part) -> Entry {
        Entry {
            name: self.name,
            peer: self.peer,
            version,
            program: self.program,
            configuration,
            resident_at_start: 0,
            part,
        }
    }
}

/// All entries, before anything is started: whatever is missing is said at once.
fn cast(
    scenario: &Scenario,
    definitions: &Definitions,
    options: &CompareOptions,
) -> Result<Vec<Role>, String> {
    let (mut roles, mut missing) = (Vec::new(), Vec::new());
    let mut add = |name: String, peer: &str, given: Option<PathBuf>| {
        let program = match given {
            Some(program) if program.is_file() => Ok(program),
            Some(program) => Err(format!("{name}: there is no {}", program.display())),
            None => definitions.program(peer),
        };
        match program {
            Ok(program) => roles.push(Role {
                name,
                peer: peer.to_owned(),
                program,
            }),
            Err(error) => missing.push(error),
        }
    };
    let given = |peer: &str| {
        let found = options.programs.iter().find(|(name, _)| name == peer);
        found.map(|(_, program)| program.clone())
    };
    for peer in &scenario.peers {
        add(peer.clone(), peer, given(peer));
    }
    for (name, peer, program) in &options.entries {
        add(name.clone(), peer, Some(program.clone()));
    }
    if let Some(peer) = &scenario.twice {
        add(format!("{peer} again"), peer, given(peer));
    }
    match missing.is_empty() {
        true => Ok(roles),
        false => Err(missing.join("\n")),
    }
}

fn start_origin(
    scenario: &Scenario,
    cpus: &CpuList,
    scratch: &Scratch,
) -> Result<(Running, Address), String> {
    let origin = &scenario.origin;
    let listen = match origin.unix {
        true => format!("unix:{}", scratch.file("origin.sock").display()),
        false => "127.0.0.1:0".into(),
    };
    let list: Vec<String> = cpus.0.iter().map(ToString::to_string).collect();
    let mut arguments = vec!["origin".to_owned(), "--listen".into(), listen];
    arguments.extend(["--cpus".into(), list.join(",")]);
    for (option, value) in [
        ("--body-size", &origin.body_size),
        ("--delay", &origin.delay),
    ] {
        if let Some(value) = value {
            arguments.extend([option.to_owned(), value.clone()]);
        }
    }
    let (running, line) = Running::start_and_listen(&Launch {
        name: "the origin",
        program: ITSELF.as_ref(),
        arguments: &arguments,
        cpus: &cpus.0,
        log: scratch.file("origin.log"),
    })?;
    let address = line.strip_prefix("listening on ").unwrap_or_default();
    let address = match address.strip_prefix("unix:") {
        Some(path) => {
            // Some proxies give up their privileges, and a socket is connected to by writing.
            fs::set_permissions(path, Permissions::from_mode(0o666))
                .map_err(|error| format!("cannot open {path} to all: {error}"))?;
            Address::Unix(path.into())
        }
        None => Address::Tcp(
            address
                .parse()
                .map_err(|_| running.complaint(&format!("said: {line}")))?,
        ),
    };
    Ok((running, address))
}

fn start_proxy(
    role: Role,
    peers: &Peers,
    origin: &Address,
    options: &CompareOptions,
    (scratch, tls): (&Scratch, Option<&TlsFiles>),
    connections: usize,
) -> Result<Entry, String> {
    let peer = peers.find(&role.peer)?;
    let address = free_port()?;
    let folder = scratch.file(&role.name.replace(' ', "-"));
    let failed = |error| format!("cannot prepare {}: {error}", role.name);
    fs::create_dir_all(&folder).map_err(failed)?;
    let ending = PathBuf::from(&peer.template);
    let file = folder
        .join("configuration")
        .with_extension(ending.extension().unwrap_or_default());
    let CpuList(cpus) = &options.proxy_cpus;
    let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    let [tls_listen, tls] = peer.tls(&role.peer, tls)?;
    let mut values = of_socket(address).to_vec();
    values.extend([
        ("origin", peer.origin(origin)?),
        ("tls_listen", tls_listen),
        ("tls", tls),
        ("shards", cpus.len().to_string()),
        ("connections", (connections + SPARE_CONNECTIONS).to_string()),
        ("cpus", list.join(",")),
        ("scratch", folder.display().to_string()),
        ("configuration", file.display().to_string()),
    ]);
    let configuration = template::fill(&peers.template(peer)?, &values)
        .map_err(|error| format!("{}: {error}", peer.template))?;
    fs::write(&file, &configuration).map_err(failed)?;
    let arguments: Result<Vec<_>, _> = peer
        .arguments
        .iter()
        .map(|argument| template::fill(argument, &values))
        .collect();
    let running = Running::start(&Launch {
        name: &role.name,
        program: &role.program,
        arguments: &arguments?,
        cpus,
        log: folder.join("said.log"),
    })?;
    let version = peer::version(&role.program, &peer.version);
    Ok(role.enter(version, configuration, Part::Proxy { address, running }))
}

/// The generator's trust in the proxies' certificate.
fn trust(files: &TlsFiles) -> Result<Trust, String> {
    let options = TlsOptions {
        cacert: Some(files.certificate.clone()),
        ..TlsOptions::default()
    };
    Trust::new(&options, "127.0.0.1", &[Protocol::Http1])
}

/// A port that was free a moment ago.
fn free_port() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0");
    listener
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port: {error}"))
}

/// Asks until there is an answer.
fn answers(
    running: &Running,
    address: &Address,
    scenario: &Scenario,
    trust: Option<&Trust>,
    stop: &AtomicBool,
) -> Result<Answer, String> {
    let (request, body) = request(scenario)?;
    let until = clock::now() + START_LIMIT;
    loop {
        let complaint = match probe::ask(address, &request, &body, trust) {
            // A proxy may listen before it can reach its origin.
            Ok(answer) if !matches!(answer.status, 502..=504) => return Ok(answer),
            Ok(answer) => format!("answers {}", answer.status),
            Err(error) => error,
        };
        if running.ends_within(ATTEMPT_PAUSE) {
            return Err(running.complaint("ended at its start"));
        }
        if stop.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
        if clock::now() > until {
            return Err(running.complaint(&complaint));
        }
    }
}

/// The request of the scenario, made as the generator makes it, and its content.
fn request(scenario: &Scenario) -> Result<(Request, Vec<u8>), String> {
    let asked = &scenario.request;
    let url = Url::parse(&format!("http://127.0.0.1{}", asked.path))?;
    let fields: Result<Vec<_>, _> = asked
        .fields
        .iter()
        .map(|field| Field::parse(field))
        .collect();
    let body = match &asked.body_size {
        Some(size) => {
            let size = usize::try_from(quantity::size(size)?).map_err(|_| "body_size")?;
            Some(vec![b'x'; size])
        }
        None => None,
    };
    let has_content = body.is_some();
    let request = Request::new(&url, &asked.method, url.path(), &fields?, has_content);
    Ok((request, body.unwrap_or_default()))
}

/// Resident memory of a process and its children.
fn resident_bytes(pid: u32) -> u64 {
    tree(pid)
        .into_iter()
        .map(crate::run::watched::resident_bytes)
        .sum()
}
