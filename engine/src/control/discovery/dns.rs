//! DNS: names whose addresses are endpoints, and SRV records that say where endpoints are.
//!
//! A task for each name asks when its records are no longer valid (RFC 1035 §3.2.1), within the
//! bounds of the configuration. IPv4 and IPv6 are asked for apart, and each keeps its last good
//! answer. A name that has addresses of one kind and none of the other is in order; one that has
//! neither any more (NXDOMAIN, or no records), that is not answered in time, or whose server fails
//! keeps what it had: an empty cluster would be worse than an old one. So does each target of SRV
//! records, and one that cannot be resolved keeps none of the others from coming and going.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::sleep;

use super::directory::{Directory, Source};
use crate::config::{Dns, Endpoint, EndpointAddress, HostName};
use crate::control::aside::Task;
use crate::control::log::Log;
use crate::io::clock;
use crate::limits;

/// What a resolved name is now, and for how long.
#[derive(Debug)]
struct Answer {
    endpoints: Vec<Endpoint>,
    ttl: Duration,
    /// Records that are not used, for there are too many.
    left_out: usize,
}

/// Addresses of one kind, and how long they are valid.
type Addresses = (Vec<IpAddr>, Duration);

/// The last good answers of a name.
#[derive(Debug, Default)]
struct Known {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

/// The targets of a name's SRV records.
#[derive(Debug, Default)]
struct Targets {
    known: HashMap<HostName, Known>,
    /// Those that could not be resolved, and why.
    failing: BTreeMap<HostName, String>,
}

/// An SRV record.
struct Record {
    weight: u16,
    port: u16,
    target: HostName,
}

struct Names {
    resolver: TokioResolver,
    /// Questions under way, each of which takes a descriptor or two.
    at_once: Semaphore,
    settings: Dns,
    directory: Rc<Directory>,
    log: Log,
}

/// Resolves the names that the directory wants, until the future is dropped.
pub(super) async fn run(directory: Rc<Directory>, settings: Dns, log: Log) {
    let mut names: Option<Rc<Names>> = None;
    let mut following: HashMap<Source, Task> = HashMap::new();
    loop {
        let changed = directory.changed();
        let wanted = directory.wanted().into_iter().filter(is_name);
        let wanted: HashSet<Source> = wanted.collect();
        following.retain(|source, _| wanted.contains(source));
        if names.is_none() && !wanted.is_empty() {
            names = open(&directory, &settings, log).map(Rc::new);
            if names.is_none() {
                // The system's list of servers may be written along with our start.
                tokio::select! {
                    () = sleep(settings.ttl_min) => {}
                    () = changed => {}
                }
                continue;
            }
        }
        if let Some(names) = &names {
            for source in wanted {
                let follow = |source: &Source| Rc::clone(names).follow(source.clone());
                following
                    .entry(source)
                    .or_insert_with_key(|source| Task(spawn_local(follow(source))));
            }
        }
        changed.await;
    }
}

fn is_name(source: &Source) -> bool {
    matches!(source, Source::Name(_) | Source::Srv(_))
}

fn open(directory: &Rc<Directory>, settings: &Dns, log: Log) -> Option<Names> {
    match resolver(settings) {
        Ok(resolver) => Some(Names {
            resolver,
            at_once: Semaphore::new(limits::DNS_QUESTIONS_AT_ONCE),
            settings: settings.clone(),
            directory: Rc::clone(directory),
            log,
        }),
        Err(error) => {
            let (wanted, why) = (directory.wanted(), error.to_string());
            let names = wanted.iter().filter(|source| is_name(source));
            if names.fold(false, |is_new, source| {
                directory.failed(source, &why) | is_new
            }) {
                log.error("Names cannot be resolved.", &[("error", &why)]);
            }
            None
        }
    }
}

fn resolver(settings: &Dns) -> Result<TokioResolver, NetError> {
    let mut builder = if settings.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = settings.servers.iter().map(|server| at(*server));
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = settings.timeout;
    options.attempts = 1;
    // How long an answer is good is decided here.
    options.cache_size = 0;
    builder.build()
}

/// A name's server: UDP, and TCP for answers that were cut.
fn at(server: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = server.port();
    tcp.port = server.port();
    NameServerConfig::new(server.ip(), true, vec![udp, tcp])
}

impl Names {
    /// Follows one name until the future is dropped.
    async fn follow(self: Rc<Self>, source: Source) {
        let (mut known, mut targets) = (Known::default(), Targets::default());
        let mut retry = limits::DNS_FIRST_RETRY;
        loop {
            let answer = match &source {
                Source::Name(named) => {
                    let port = named.address.port;
                    let endpoints = self.addresses(&named.address.host, &mut known).await;
                    endpoints.map(|(addresses, ttl)| Answer {
                        endpoints: addresses
                            .into_iter()
                            .map(|ip| endpoint(ip, port, named.weight))
                            .collect(),
                        ttl,
                        left_out: 0,
                    })
                }
                Source::Srv(name) => self.service(name, &mut targets).await,
                Source::Registry(_) | Source::File(_) => return,
            };
            let wait = self.tell(&source, answer, &mut retry);
            sleep(wait).await;
        }
    }

    /// Gives an answer to the directory; how long until the next question. Until the first good
    /// answer, a start or a reload may be waiting for it: `retry` is how long after a failure.
    fn tell(
        &self,
        source: &Source,
        answer: Result<Answer, String>,
        retry: &mut Duration,
    ) -> Duration {
        let (least, most) = (self.settings.ttl_min, self.settings.ttl_max);
        match answer {
            Ok(answer) => {
                let (endpoints, ttl) = (answer.endpoints, answer.ttl);
                let left_out = self.directory.found(source, endpoints, clock::now());
                let left_out = left_out.saturating_add(answer.left_out);
                if left_out > 0 {
                    self.log.warn(
                        "A name has more endpoints than are used.",
                        &[("source", source), ("left_out", &left_out)],
                    );
                }
                ttl.clamp(least, most)
            }
            Err(why) => {
                if self.directory.failed(source, &why) {
                    self.log.warn(
                        "A name cannot be resolved; its last good answer stays in effect.",
                        &[("source", source), ("error", &why)],
                    );
                }
                if self.directory.has_answered(source) {
                    return least;
                }
                let wait = (*retry).min(least);
                *retry = retry.saturating_mul(2);
                wait
            }
        }
    }

    /// The addresses of a host; of each kind what is known last.
    async fn addresses(&self, host: &HostName, known: &mut Known) -> Result<Addresses, String> {
        let (v4, v6) = tokio::join!(
            self.lookup(host, RecordType::A),
            self.lookup(host, RecordType::AAAA)
        );
        let (v4, v6) = match (v4, v6) {
            (Ok(None), Ok(None)) => return Err("it has no addresses any more".to_owned()),
            (Err(why), Ok(None)) | (Ok(None), Err(why)) | (Err(why), Err(_)) => return Err(why),
            answers => answers,
        };
        let mut ttl = self.settings.ttl_max;
        for (kept, answer) in [(&mut known.v4, v4), (&mut known.v6, v6)] {
            match answer {
                Ok(Some((addresses, valid))) => {
                    *kept = addresses;
                    ttl = ttl.min(valid);
                }
                Ok(None) => kept.clear(),
                // This kind keeps what it had, and is asked for again soon.
                Err(_) => ttl = self.settings.ttl_min,
            }
        }
        Ok((known.all().copied().collect(), ttl))
    }

    /// Addresses of one kind; none when the name has none of this kind.
    async fn lookup(&self, host: &HostName, kind: RecordType) -> Result<Option<Addresses>, String> {
        // It is never closed.
        let _place = self.at_once.acquire().await;
        let lookup = match self.resolver.lookup(&*host.0, kind).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let mut ttl = u32::MAX;
        // In one order, so that an answer that was merely turned round is no change.
        let mut addresses = BTreeSet::new();
        for record in lookup.answers() {
            ttl = ttl.min(record.ttl);
            match &record.data {
                RData::A(address) => addresses.insert(IpAddr::V4(address.0)),
                RData::AAAA(address) => addresses.insert(IpAddr::V6(address.0)),
                _ => false,
            };
        }
        if addresses.is_empty() {
            return Ok(None);
        }
        let addresses = addresses.into_iter().collect();
        Ok(Some((addresses, Duration::from_secs(ttl.into()))))
    }

    /// Where the endpoints of a service are (RFC 2782): of the best priority, with their weights.
    async fn service(
        self: &Rc<Self>,
        name: &HostName,
        targets: &mut Targets,
    ) -> Result<Answer, String> {
        let mut answer = Answer {
            endpoints: Vec::new(),
            ttl: self.settings.ttl_max,
            left_out: 0,
        };
        let records = self.records(name, &mut answer).await?;
        let hosts: BTreeSet<HostName> = records.iter().map(|it| it.target.clone()).collect();
        targets.known.retain(|host, _| hosts.contains(host));
        let mut asked = JoinSet::new();
        // Each once, and all together: one that is not answered keeps no other waiting for long.
        for host in hosts {
            let mut known = targets.known.remove(&host).unwrap_or_default();
            let names = Rc::clone(self);
            asked.spawn_local(async move {
                let found = names.addresses(&host, &mut known).await;
                (host, known, found.map(|(_, valid)| valid))
            });
        }
        let mut failing = BTreeMap::new();
        while let Some(Ok((host, known, found))) = asked.join_next().await {
            match found {
                Ok(valid) => answer.ttl = answer.ttl.min(valid),
                Err(why) => {
                    answer.ttl = self.settings.ttl_min;
                    failing.insert(host.clone(), why);
                }
            }
            targets.known.insert(host, known);
        }
        self.tell_failing(name, &failing, targets);
        for record in records {
            let known = targets.known.get(&record.target);
            let addresses = known.iter().flat_map(|known| known.all());
            // A weight of 0 is "hardly ever" there, and "never" here.
            let weight = u32::from(record.weight.max(1));
            let new = addresses.map(|ip| endpoint(*ip, record.port, weight));
            answer.endpoints.extend(new);
        }
        if answer.endpoints.is_empty() {
            let why = targets.failing.values().next().cloned();
            return Err(why.unwrap_or_else(|| "no record names an endpoint".to_owned()));
        }
        Ok(answer)
    }

    /// The SRV records of the best priority that name a target, as many as are used, the heaviest
    /// first; how long they are valid, and how many are left out, in `answer`.
    async fn records(&self, name: &HostName, answer: &mut Answer) -> Result<Vec<Record>, String> {
        let place = self.at_once.acquire().await;
        let lookup = self.resolver.lookup(&*name.0, RecordType::SRV).await;
        let lookup = lookup.map_err(|error| error.to_string())?;
        drop(place);
        let mut best = u16::MAX;
        let mut records = Vec::new();
        for record in lookup.answers() {
            let valid = Duration::from_secs(record.ttl.into());
            answer.ttl = answer.ttl.min(valid);
            if let RData::SRV(srv) = &record.data {
                best = best.min(srv.priority);
                let host = srv.target.to_ascii().to_ascii_lowercase();
                let target = HostName(host.trim_end_matches('.').into());
                let (weight, port) = (srv.weight, srv.port);
                records.push((
                    srv.priority,
                    Record {
                        weight,
                        port,
                        target,
                    },
                ));
            }
        }
        let records = records
            .into_iter()
            .filter(|(priority, _)| *priority == best);
        // A target of "." says that the service is decidedly not there.
        let records = records.map(|(_, record)| record);
        let records = records.filter(|record| !record.target.0.is_empty());
        let mut records: Vec<Record> = records.collect();
        records.sort_by(|one, other| {
            let order = |it: &Record| (Reverse(it.weight), it.port);
            order(one)
                .cmp(&order(other))
                .then_with(|| one.target.cmp(&other.target))
        });
        answer.left_out = records.len().saturating_sub(limits::SRV_RECORDS_MAX);
        records.truncate(limits::SRV_RECORDS_MAX);
        Ok(records)
    }

    /// Notes which targets could not be resolved, and tells of those that could before.
    fn tell_failing(
        &self,
        name: &HostName,
        failing: &BTreeMap<HostName, String>,
        targets: &mut Targets,
    ) {
        for (target, why) in failing {
            if targets.failing.get(target) != Some(why) {
                self.log.warn(
                    "A target of SRV records cannot be resolved; its last good answer stays in \
                     effect.",
                    &[("name", name), ("target", target), ("error", why)],
                );
            }
        }
        targets.failing.clone_from(failing);
    }
}

impl Known {
    fn all(&self) -> impl Iterator<Item = &IpAddr> {
        self.v4.iter().chain(&self.v6)
    }
}

fn endpoint(ip: IpAddr, port: u16, weight: u32) -> Endpoint {
    Endpoint {
        weight,
        ..Endpoint::at(EndpointAddress::Tcp(SocketAddr::new(ip, port)))
    }
}
