//! Built-in origins: what answers for the endpoints written as `builtin:echo`.
//!
//! They make the embedded default complete without another program: `curl` and the load
//! generator have something to talk to. Each endpoint is an ordinary HTTP/1.1 origin on its own
//! loopback port, reached like any other, so that nothing on the data path knows of them. All of
//! them share one thread, neither a shard's core nor the control thread: load must not delay an
//! answer of the admin interface.
//!
//! In: a configuration with `BuiltinEcho` addresses. Out: the same configuration with the
//! addresses of sockets that listen already. They stop with the process.

mod reply;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::task::LocalSet;

use crate::config::{Config, EndpointAddress};
use crate::limits::FIELD_COUNT_MAX;

/// Fields that the proxy may add to those of a request.
const ADDED_FIELD_COUNT: usize = 64;

/// Pause after a failed accept: out of descriptors, and asking again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One built-in origin: its socket, and the name it answers under.
#[derive(Debug)]
struct Origin {
    name: Arc<str>,
    socket: TcpListener,
}

/// The origins that were started, by cluster and place among its built-in endpoints.
#[derive(Debug, Default)]
pub struct Origins {
    addresses: HashMap<(Arc<str>, usize), SocketAddr>,
}

impl Origins {
    /// Writes an address in place of the word for every `builtin:echo` endpoint of `config`: that
    /// of an origin that runs, or of one that is started for it. Returns how many such endpoints
    /// there are; for none that is new, no thread is started.
    ///
    /// # Errors
    /// When a loopback port or the thread cannot be had.
    pub fn place(&mut self, config: &mut Config) -> io::Result<usize> {
        let (mut fresh, mut started, mut count) = (Vec::new(), Vec::new(), 0);
        for cluster in &mut config.clusters {
            let mut place = 0;
            for endpoint in &mut cluster.endpoints {
                if endpoint.address != EndpointAddress::BuiltinEcho {
                    continue;
                }
                let key = (Arc::clone(&cluster.name), place);
                let address = match self.addresses.get(&key) {
                    Some(address) => *address,
                    None => {
                        let number = self.addresses.len() + started.len() + 1;
                        let name = format!("{}-{number}", cluster.name);
                        let origin = Origin::bind(name.into())?;
                        let address = origin.socket.local_addr()?;
                        fresh.push(origin);
                        started.push((key, address));
                        address
                    }
                };
                endpoint.address = EndpointAddress::Tcp(address);
                place += 1;
                count += 1;
            }
        }
        if !fresh.is_empty() {
            start(fresh)?;
        }
        self.addresses.extend(started);
        Ok(count)
    }
}

impl Origin {
    fn bind(name: Arc<str>) -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self { name, socket })
    }
}

/// Serves these origins on a thread of their own.
fn start(origins: Vec<Origin>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("weft-echo".into())
        .spawn(move || LocalSet::new().block_on(&runtime, serve_all(origins)))?;
    Ok(())
}

async fn serve_all(origins: Vec<Origin>) {
    let accepts: Vec<_> = origins
        .into_iter()
        .map(|origin| tokio::task::spawn_local(serve(origin)))
        .collect();
    for accept in accepts {
        // An origin accepts for ever; it ends only with the process.
        let _never = accept.await;
    }
}

async fn serve(origin: Origin) {
    let name: Rc<str> = Rc::from(&*origin.name);
    let Ok(listener) = tokio::net::TcpListener::from_std(origin.socket) else {
        return;
    };
    let mut http = http1::Builder::new();
    http.max_headers(FIELD_COUNT_MAX + ADDED_FIELD_COUNT)
        .pipeline_flush(true);
    http.header_read_timeout(None);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _slower_but_works = stream.set_nodelay(true);
        let name = Rc::clone(&name);
        let service = service_fn(move |request| {
            let name = Rc::clone(&name);
            async move { Ok::<_, Infallible>(reply::reply(&name, request).await) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::task::spawn_local(async move {
            // What fails here is a peer that went away; the proxy has recorded its side.
            let _peer_went_away = connection.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn ask(address: &EndpointAddress, request: &str) -> String {
        let EndpointAddress::Tcp(address) = address else {
            panic!("{address} is not TCP")
        };
        let mut stream = TcpStream::connect(address).expect("the origin listens");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("answered and closed");
        answer
    }

    #[test]
    fn every_builtin_endpoint_becomes_an_origin_that_answers() {
        let mut config = crate::config::embedded();
        let mut origins = Origins::default();
        assert_eq!(origins.place(&mut config).expect("started"), 2);
        let [first, second] = &config.clusters[0].endpoints[..] else {
            panic!("two endpoints")
        };
        assert_ne!(first.address, second.address);
        let request = "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
            X-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 5\r\n\r\nhello";
        let answer = ask(&first.address, request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["endpoint"], "echo-1");
        assert_eq!(body["method"], "POST");
        assert_eq!(body["path"], "/a/b");
        assert_eq!(body["query"], "c=d");
        assert_eq!(body["body_bytes"], 5);
        assert_eq!(body["fields"][3], "x-twice: 2");
        let answer = ask(&second.address, "GET / HTTP/1.0\r\n\r\n");
        assert!(answer.contains("\"echo-2\""), "{answer}");
    }

    #[test]
    fn sizes_and_statuses_are_as_asked_for() {
        let mut config = crate::config::embedded();
        let mut origins = Origins::default();
        origins.place(&mut config).expect("started");
        let address = &config.clusters[0].endpoints[0].address;
        for (path, status, length) in [
            ("/bytes/0", "200", Some(0)),
            ("/bytes/100000", "200", Some(100_000)),
            ("/status/204", "204", Some(0)),
            (
                "/status/503",
                "503",
                Some("503 Service Unavailable\n".len()),
            ),
            ("/delay/1", "200", None),
            ("/bytes/-1", "400", None),
            ("/status/99", "400", None),
            ("/delay/99999999", "400", None),
        ] {
            let answer = ask(address, &format!("GET {path} HTTP/1.0\r\n\r\n"));
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            assert!(
                head.starts_with(&format!("HTTP/1.0 {status}")),
                "{path}: {head}"
            );
            if let Some(length) = length {
                assert_eq!(body.len(), length, "{path}");
            }
        }
    }
}
