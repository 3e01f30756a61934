//! DNS: names whose addresses are endpoints, and SRV records that say where endpoints are.
//!
//! A task for each name asks when its records are no longer valid (RFC 1035 §3.2.1), within the
//! bounds of the configuration. IPv4 and IPv6 are asked for apart, and each keeps its last good
//! answer. A name that has addresses of one kind and none of the other is in order; one that has
//! neither any more (NXDOMAIN, or no records), that is not answered in time, or whose server fails
//! keeps what it had: an empty cluster would be worse than an old one.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::directory::{Directory, Source};
use crate::config::{Dns, Endpoint, EndpointAddress, HostName};
use crate::control::log::Log;
use crate::io::clock;
use crate::limits;

/// What a resolved name is now, and for how long.
#[derive(Debug)]
struct Answer {
    endpoints: Vec<Endpoint>,
    ttl: Duration,
}

/// Addresses of one kind, and how long they are valid.
type Addresses = (Vec<IpAddr>, Duration);

/// The last good answers of a name.
#[derive(Debug, Default)]
struct Known {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

struct Names {
    resolver: TokioResolver,
    settings: Dns,
    directory: Rc<Directory>,
    log: Log,
}

/// Resolves the names that the directory wants, until the future is dropped.
pub(super) async fn run(directory: Rc<Directory>, settings: Dns, log: Log) {
    let mut names: Option<Rc<Names>> = None;
    let mut running: HashSet<Source> = HashSet::new();
    loop {
        let wanted = directory.wanted().into_iter().filter(is_name);
        let wanted: HashSet<Source> = wanted.collect();
        running.retain(|source| wanted.contains(source));
        for source in wanted {
            if names.is_none() {
                names = open(&directory, &settings, log).map(Rc::new);
            }
            if let Some(names) = &names
                && running.insert(source.clone())
            {
                spawn_local(Rc::clone(names).follow(source));
            }
        }
        directory.changed().await;
    }
}

fn is_name(source: &Source) -> bool {
    matches!(source, Source::Name(_) | Source::Srv(_))
}

fn open(directory: &Rc<Directory>, settings: &Dns, log: Log) -> Option<Names> {
    match resolver(settings) {
        Ok(resolver) => Some(Names {
            resolver,
            settings: settings.clone(),
            directory: Rc::clone(directory),
            log,
        }),
        Err(error) => {
            log.error("Names cannot be resolved.", &[("error", &error)]);
            for source in directory.wanted().iter().filter(|source| is_name(source)) {
                directory.failed(source, &error.to_string());
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
    /// Follows one name for as long as it is wanted.
    async fn follow(self: Rc<Self>, source: Source) {
        let mut known = Known::default();
        let mut retry = limits::DNS_FIRST_RETRY;
        while self.directory.wants(&source) {
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
                    })
                }
                Source::Srv(name) => self.service(name).await,
                Source::Registry(_) | Source::File(_) => return,
            };
            let wait = self.tell(&source, answer, &mut retry);
            tokio::select! {
                () = sleep(wait) => {}
                () = self.gone(&source) => return,
            }
        }
    }

    /// Waits until nobody wants the source.
    async fn gone(&self, source: &Source) {
        while self.directory.wants(source) {
            self.directory.changed().await;
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
            Ok(Answer { endpoints, ttl }) => {
                let left_out = self.directory.found(source, endpoints, clock::now());
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
        let addresses = known.v4.iter().chain(&known.v6).copied().collect();
        Ok((addresses, ttl))
    }

    /// Addresses of one kind; none when the name has none of this kind.
    async fn lookup(&self, host: &HostName, kind: RecordType) -> Result<Option<Addresses>, String> {
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
    async fn service(&self, name: &HostName) -> Result<Answer, String> {
        let lookup = self.resolver.lookup(&*name.0, RecordType::SRV).await;
        let lookup = lookup.map_err(|error| error.to_string())?;
        let mut ttl = self.settings.ttl_max;
        let mut records = Vec::new();
        for record in lookup.answers() {
            ttl = ttl.min(Duration::from_secs(record.ttl.into()));
            if let RData::SRV(srv) = &record.data {
                let host = srv.target.to_ascii();
                let host = host.trim_end_matches('.').to_owned();
                records.push((srv.priority, srv.weight, srv.port, host));
            }
        }
        // A target of "." says that the service is decidedly not there.
        let best = records.iter().map(|record| record.0).min();
        records.retain(|record| Some(record.0) == best && !record.3.is_empty());
        records.sort();
        records.truncate(limits::SRV_RECORDS_MAX);
        let mut endpoints = Vec::new();
        for (_, weight, port, host) in records {
            // Each target once: it is not worth more than its answer, and asks again with it.
            let host = HostName(host.into());
            let (addresses, valid) = self.addresses(&host, &mut Known::default()).await?;
            ttl = ttl.min(valid);
            // A weight of 0 is "hardly ever" there, and "never" here.
            let weight = u32::from(weight.max(1));
            let new = addresses.into_iter().map(|ip| endpoint(ip, port, weight));
            endpoints.extend(new);
        }
        if endpoints.is_empty() {
            return Err("no record names an endpoint".to_owned());
        }
        Ok(Answer { endpoints, ttl })
    }
}

fn endpoint(ip: IpAddr, port: u16, weight: u32) -> Endpoint {
    Endpoint {
        weight,
        ..Endpoint::at(EndpointAddress::Tcp(SocketAddr::new(ip, port)))
    }
}
