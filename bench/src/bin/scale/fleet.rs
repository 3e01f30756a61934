//! The services: who their instances are, and the origins behind them.
//!
//! Instances of different services may have one address, so a few origins are enough: one for each
//! place of an instance in its service, and two between which the last one moves. Those two answer
//! with contents of lengths of their own, so that an answer says who gave it.
//!
//! The first service is the one whose changes are waited for: all of it goes to its last instance,
//! the others have a weight of 0.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use bench::process::{free_port, wait_for};

use super::http;
use super::proxy::Proxy;

/// More would need further origins.
pub(crate) const INSTANCES_MAX: usize = 100;
/// How long a program may take until it listens.
pub(crate) const LISTENING_PATIENCE: Duration = Duration::from_secs(60);
/// Registrations under way at once.
const REGISTERING: usize = 16;
/// The contents of the origins between which the last instance moves.
pub(crate) const MOVED: [usize; 2] = [1001, 1002];

/// All of it.
pub(crate) struct Fleet {
    pub(crate) services: usize,
    instances: usize,
    port: u16,
    children: Vec<Child>,
}

impl Fleet {
    pub(crate) fn start(loadgen: &Path, services: usize, instances: usize) -> Result<Self, String> {
        let mut fleet = Self {
            services,
            instances,
            port: free_port()?,
            children: Vec::new(),
        };
        let sizes = (1..instances).map(|_| 1000).chain(MOVED);
        for (place, size) in sizes.enumerate() {
            let address = fleet.origin(place);
            let mut command = Command::new(loadgen);
            command.args([
                "origin",
                "--listen",
                &address.to_string(),
                "--drain",
                "100ms",
            ]);
            command.args(["--body-size", &format!("{size}B")]);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let child = command.stderr(Stdio::null()).spawn();
            let child = child.map_err(|error| format!("{}: {error}", loadgen.display()))?;
            fleet.children.push(child);
            wait_for(address, LISTENING_PATIENCE)?;
        }
        Ok(fleet)
    }

    fn origin(&self, place: usize) -> SocketAddr {
        let last = u8::try_from(place + 1).unwrap_or(u8::MAX);
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), self.port))
    }

    /// The registration of one instance; `moved` says where the last one is.
    pub(crate) fn registration(&self, service: usize, instance: usize, moved: usize) -> String {
        let is_last = instance + 1 == self.instances;
        let address = self.origin(instance + if is_last { moved % 2 } else { 0 });
        let weight = usize::from(service != 0 || is_last);
        // Long enough that nobody has to renew anything.
        let body = format!(
            "{{\"address\":\"{address}\",\"weight\":{weight},\"ttl\":\"1h\",\
             \"metadata\":{{\"version\":\"1\"}}}}"
        );
        format!(
            "PUT /v1/services/s{service}/instances/i{instance} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
            super::proxy::TOKEN,
            body.len()
        )
    }

    /// The registration of the instance that moves.
    pub(crate) fn moving(&self, service: usize, moved: usize) -> String {
        self.registration(service, self.instances - 1, moved)
    }

    /// Registers everybody.
    pub(crate) fn register(&self, proxy: &Proxy) -> Result<(), String> {
        let admin = proxy.admin;
        let part = |first: usize| {
            for service in (first..self.services).step_by(REGISTERING) {
                for instance in 0..self.instances {
                    let answer = http::ask(admin, &self.registration(service, instance, 0))?;
                    if answer.status != 201 {
                        let text = String::from_utf8_lossy(&answer.body).into_owned();
                        return Err(format!("a registration was refused: {text}"));
                    }
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let parts = 0..REGISTERING;
            let parts: Vec<_> = parts
                .map(|part_| scope.spawn(move || part(part_)))
                .collect();
            let mut ended = parts.into_iter().map(|part| part.join());
            ended.try_for_each(|ended| ended.map_err(|_| "a registrar died".to_owned())?)
        })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
