//! What `weft register` says to the proxy: one request on one connection, with a deadline.
//!
//! In: the instance. Out: the status of the answer, or why there was none.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::Order;
use crate::config::Address;
use crate::control::discovery::registry::Registration;
use crate::control::log::Log;

/// How long the proxy may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The API of one proxy, for one instance.
pub(super) struct Client {
    admin: Address,
    token_file: PathBuf,
    path: String,
    document: String,
}

impl Client {
    pub(super) fn new(order: &Order, registration: &Registration) -> Self {
        let (service, id) = (&registration.service, &registration.id);
        Self {
            admin: order.admin.clone(),
            token_file: order.token_file.clone(),
            path: format!("/v1/services/{service}/instances/{id}"),
            document: serde_json::Value::Object(registration.to_json()).to_string(),
        }
    }

    pub(super) async fn register(&self) -> Result<u16, String> {
        self.ask(Method::PUT, "", &self.document).await
    }

    pub(super) async fn renew(&self) -> Result<u16, String> {
        self.ask(Method::POST, "/renew", "").await
    }

    /// Says whether the proxy has it, and drains it.
    pub(super) async fn drain(&self, log: Log) -> bool {
        let asked = self.ask(Method::POST, "/drain", "").await;
        tell(&asked, "Draining.", log);
        matches!(asked, Ok(200 | 204))
    }

    pub(super) async fn leave(&self, log: Log) {
        let asked = self.ask(Method::DELETE, "", "").await;
        tell(&asked, "Deregistered.", log);
    }

    /// Read each time, so that a token can be replaced. A file without one is none: a Unix socket
    /// needs no token.
    fn token(&self) -> Option<String> {
        let tokens = fs::read_to_string(&self.token_file).ok()?;
        let mut tokens = tokens.lines().map(str::trim);
        let token = tokens.find(|line| !line.is_empty() && !line.starts_with('#'));
        token.map(str::to_owned)
    }

    async fn ask(&self, method: Method, verb: &str, body: &str) -> Result<u16, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{verb}", self.path))
            .header("host", "localhost")
            .header("connection", "close");
        if let Some(token) = self.token() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .map_err(|error| error.to_string())?;
        let asked = async {
            match &self.admin {
                Address::Tcp(address) => {
                    let stream = TcpStream::connect(address).await;
                    send(stream.map_err(|error| error.to_string())?, request).await
                }
                Address::Unix(path) => {
                    let stream = UnixStream::connect(path).await;
                    send(stream.map_err(|error| error.to_string())?, request).await
                }
            }
        };
        let answered = timeout(PATIENCE, asked).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
    }
}

/// Asks on a connection of its own. The body of the answer is not wanted.
async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    let mut connection = std::pin::pin!(connection);
    // The connection is driven until the head of the answer is there.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    };
    let status = answer.map(|answer| answer.status().as_u16());
    status.map_err(|error| error.to_string())
}

fn tell(asked: &Result<u16, String>, done: &'static str, log: Log) {
    match asked {
        Ok(200 | 204) => log.note(done, &[]),
        Ok(status) => log.warn("The proxy refused.", &[("status", status)]),
        Err(why) => log.warn("The proxy cannot be told.", &[("error", why)]),
    }
}
