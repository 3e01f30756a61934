//! The admin interface: what the process tells about itself, and how it is told to drain.
//!
//! HTTP/1.1 on a TCP or Unix socket, served by hyper on the control thread: nothing here is on
//! the data path, and a slow scrape delays no request. In: the `View` of the process. Out: pages
//! (`page` lists them), each complete in memory before its first byte leaves, but for `clusters`.
//!
//! Must stay true: a client costs a bounded amount. One request per connection; heads are small
//! and in time; bodies are read by the registration API only, which bounds them; connections beyond
//! the bound wait in the kernel's backlog; each connection ends after its deadline, however slowly
//! it reads.

mod answer;
mod clusters;
mod generation;
mod guard;
mod histograms;
mod page;
mod tables;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, net, os::unix::net as unix};

use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_local;

use super::discovery::api::{self, Peer};
use super::log::{Log, Throttle};
use super::view::View;
use crate::config::Address;
use crate::io::{clock, remove_stale};
use crate::limits::{ADMIN_CONNECTIONS, ADMIN_DEADLINE, ADMIN_HEAD_BYTES, ADMIN_HEAD_TIMEOUT};
use answer::{Answer, Content};
use guard::{Caller, Reach};

/// Pause after a failed accept: out of descriptors, and asking again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The admin interface's socket, listening; connections wait in its backlog until `serve`.
#[derive(Debug)]
pub struct Admin {
    socket: Socket,
    reach: Reach,
}

#[derive(Debug)]
enum Socket {
    Tcp(net::TcpListener),
    Unix(unix::UnixListener, SocketFile),
}

/// Removes the file of a Unix socket when the interface ends.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file left behind is replaced by the next start.
        let _left_behind = fs::remove_file(&self.0);
    }
}

impl Admin {
    /// Listens on `address`. A Unix socket is for its owner only unless it is for others as well,
    /// who are told apart by their user; it takes the place of one that nobody listens on any more.
    ///
    /// # Errors
    /// What `bind(2)` says; `AddrInUse` for a Unix socket somebody listens on.
    pub fn bind(address: &Address, is_for_others: bool) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let socket = net::TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                let is_loopback = address.ip().to_canonical().is_loopback();
                let reach = if is_loopback {
                    Reach::Loopback
                } else {
                    Reach::Network
                };
                Ok(Self {
                    socket: Socket::Tcp(socket),
                    reach,
                })
            }
            Address::Unix(path) => {
                remove_stale(path)?;
                let socket = unix::UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                let mode = if is_for_others { 0o666 } else { 0o600 };
                fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
                socket.set_nonblocking(true)?;
                Ok(Self {
                    socket: Socket::Unix(socket, file),
                    reach: Reach::Socket,
                })
            }
        }
    }

    /// Whether other machines reach it.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.reach == Reach::Network
    }

    /// Answers requests until the future is dropped. Runs inside a `LocalSet`.
    ///
    /// # Errors
    /// When the socket cannot be given to the runtime.
    pub async fn serve(self, view: Rc<View>) -> io::Result<Infallible> {
        let reach = self.reach;
        match self.socket {
            Socket::Tcp(socket) => {
                let listener = tokio::net::TcpListener::from_std(socket)?;
                let accept = async || {
                    let (stream, _) = listener.accept().await?;
                    Ok((stream, Peer::Network))
                };
                Ok(accept_all(accept, reach, view).await)
            }
            Socket::Unix(socket, file) => {
                let listener = tokio::net::UnixListener::from_std(socket)?;
                // Goes first: what is there once nobody listens may be the file of a successor.
                let _file = file;
                let accept = async || {
                    let (stream, _) = listener.accept().await?;
                    let user = stream.peer_cred().ok().map(|peer| peer.uid());
                    Ok((stream, Peer::User(user)))
                };
                Ok(accept_all(accept, reach, view).await)
            }
        }
    }
}

async fn accept_all<Stream, Accept>(accept: Accept, reach: Reach, view: Rc<View>) -> Infallible
where
    Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    Accept: AsyncFn() -> io::Result<(Stream, Peer)>,
{
    let places = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
    let throttle = Throttle::new(Duration::from_secs(10));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            continue;
        };
        match accept().await {
            Ok((stream, peer)) => {
                let caller = Caller { reach, peer };
                spawn_local(serve_connection(stream, caller, Rc::clone(&view), place));
            }
            Err(error) => {
                tell(view.log, &throttle, &error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn tell(log: Log, throttle: &Throttle, error: &io::Error) {
    if let Some(suppressed) = throttle.admit(clock::now()) {
        log.warn(
            "The admin interface could not accept a connection.",
            &[("error", error), ("suppressed", &suppressed)],
        );
    }
}

/// One connection, one request. What goes wrong here is the client's to see.
fn serve_connection<Stream>(
    stream: Stream,
    caller: Caller,
    view: Rc<View>,
    place: OwnedSemaphorePermit,
) -> impl Future<Output = ()>
where
    Stream: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let view = Rc::clone(&view);
        async move { Ok::<_, Infallible>(respond(&view, caller, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ADMIN_HEAD_TIMEOUT)
        .max_buf_size(ADMIN_HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    async move {
        let _client_went_away = tokio::time::timeout(ADMIN_DEADLINE, connection).await;
        drop(place);
    }
}

/// Registration has paths of its own; everything else is a page.
async fn respond(view: &Rc<View>, caller: Caller, request: Request<Incoming>) -> Response<Content> {
    let is_api = request.uri().path().starts_with(api::PREFIX);
    let refused = caller.refuse(request.method(), request.headers(), is_api);
    match (refused, is_api, &view.discovery.api) {
        (Some(why), _, _) => encode(Answer::forbidden(why)),
        (None, true, Some(api)) => {
            let reply = api.answer(caller.peer, request).await;
            reply.into_response().map(Content::Left)
        }
        (None, true, None) => api::Reply::disabled().into_response().map(Content::Left),
        (None, false, _) => encode(answer::answer(view, &request).await),
    }
}

fn encode(answer: Answer) -> Response<Content> {
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(methods) = answer.allow {
        fields.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if let Ok(silent) = HeaderValue::from_str(&answer.silent)
        && !silent.is_empty()
    {
        fields.insert("weft-silent-shards", silent);
    }
    response
}
