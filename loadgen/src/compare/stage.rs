//! The origin, and all entries, each started once and proved to answer rightly.
//!
//! The origin runs from the first round to the last; every run of an entry has a process of its own
//! (`proxy.rs`), which must answer as the origin does before anything is measured.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::io::{Address, clock};

use super::child::{Launch, Running, Scratch};
use super::definitions::{self, Definitions};
use super::generator::Call;
use super::options::CompareOptions;
use super::peer;
use super::probe::{self, Answer};
use super::proxy::{Proxy, Start};
use super::scenario::Scenario;
use super::tls_files::TlsFiles;
use crate::launch::ITSELF;
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
    /// Resident memory after its first answer.
    pub resident_at_start: u64,
    /// What it does.
    pub part: Part,
}

/// What an entry does in a round.
#[derive(Debug)]
pub(crate) enum Part {
    /// Stands between the generator and the origin; how it is started.
    Proxy(Start),
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
    pub origin: Running,
    /// What every right answer is like.
    pub answer: Answer,
    /// The certificate that proxies show, if they speak TLS.
    pub tls: Option<TlsFiles>,
    /// The trust in it.
    trust: Option<Trust>,
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
        let mut stage = Self {
            entries: Vec::new(),
            origin,
            answer,
            tls,
            trust,
            scratch,
        };
        for role in cast {
            let entry = match definitions {
                Definitions::Proxies(peers) => {
                    let folder = stage.scratch.file(&role.name.replace(' ', "-"));
                    let start = Start::new(
                        (&role.name, &role.peer, role.program.clone()),
                        peers,
                        &address,
                        options,
                        (folder, stage.tls.as_ref()),
                        scenario.load.connections,
                    )?;
                    let version = &peers.find(&role.peer)?.version;
                    let version = peer::version(&role.program, version);
                    let proxy = stage.open(&start, scenario, stop)?;
                    let words = (version, proxy.configuration.clone());
                    role.enter(words, proxy.resident_bytes(), Part::Proxy(start))
                }
                Definitions::Generators(generators) => {
                    let generator = definitions::find(generators, &role.peer)?;
                    let program = role.program.clone();
                    let call = Call::new(generator, program, &address, scenario, options)?;
                    let version = peer::version(&role.program, &generator.version);
                    role.enter((version, call.line()), 0, Part::Generator(call))
                }
            };
            stage.entries.push(entry);
        }
        Ok(stage)
    }

    /// Starts a proxy and waits until it answers rightly.
    pub(crate) fn open(
        &self,
        start: &Start,
        scenario: &Scenario,
        stop: &AtomicBool,
    ) -> Result<Proxy, String> {
        let proxy = start.start()?;
        let listening = Address::Tcp(proxy.address);
        let trust = self.trust.as_ref();
        let found = answers(&proxy.running, &listening, scenario, trust, stop)?;
        if found != self.answer {
            return Err(proxy.running.complaint(&format!(
                "answers wrongly: {found:?}, the origin {:?}",
                self.answer
            )));
        }
        Ok(proxy)
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
    fn enter(
        self,
        (version, configuration): (String, String),
        resident_at_start: u64,
        part: Part,
    ) -> Entry {
        Entry {
            name: self.name,
            peer: self.peer,
            version,
            program: self.program,
            configuration,
            resident_at_start,
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
            // The peer that is entered twice is missing once.
            Err(error) if missing.contains(&error) => {}
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

/// The generator's trust in the proxies' certificate.
fn trust(files: &TlsFiles) -> Result<Trust, String> {
    let options = TlsOptions {
        cacert: Some(files.certificate.clone()),
        ..TlsOptions::default()
    };
    Trust::new(&options, "127.0.0.1", &[Protocol::Http1])
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
