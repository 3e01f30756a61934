//! One member of etcd over the JSON form of its interface: a question and its answer, or a stream.
//!
//! In: where it is, and what is asked. Out: the answer, or a [`Failure`]. Bounded in time and size.
//! The gateway is plain HTTP/1.1, which the control thread speaks anyway, so that no gRPC and no
//! second HTTP library are needed for the few calls that are made; a transaction costs the same
//! disk write either way.

use std::fmt;
use std::fs;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::message::{self, Refusal, Streamed, Token, Watched};
use crate::config::{Etcd, EtcdEndpoint};
use crate::control::aside::Task;
use crate::limits;
use crate::tls;

/// Why there is no answer that could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing came back, or not all of it; why, for a person.
    Away(String),
    /// etcd did not do it.
    Refused(Refusal),
    /// The answer is larger than may be.
    TooLarge,
    /// It was no answer of etcd.
    Strange(String),
}

/// Codes of gRPC that matter here.
const NOT_FOUND: u32 = 5;
const RESOURCE_EXHAUSTED: u32 = 8;
const OUT_OF_RANGE: u32 = 11;
const UNAUTHENTICATED: u32 = 16;

impl Failure {
    /// There is no such lease.
    pub(super) fn is_lease_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == NOT_FOUND)
    }

    /// The revision that was asked for is forgotten, or was never there.
    pub(super) fn is_revision_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == OUT_OF_RANGE)
    }

    /// The token is not good any more. etcd calls one that is too old an invalid argument.
    fn is_unauthenticated(&self) -> bool {
        let is_it = |it: &Refusal| {
            it.code == UNAUTHENTICATED || it.message.contains("revision of auth store is old")
        };
        matches!(self, Self::Refused(refusal) if is_it(refusal))
    }
}

/// A connection.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    _task: Task,
}

/// A member that is talked to.
pub(super) struct Client<'a> {
    settings: &'a Etcd,
    endpoint: &'a EtcdEndpoint,
    token: Option<HeaderValue>,
    link: Link,
}

impl<'a> Client<'a> {
    /// Connects to a member, and says who it is that asks.
    pub(super) async fn connect(
        settings: &'a Etcd,
        endpoint: &'a EtcdEndpoint,
    ) -> Result<Self, Failure> {
        let mut client = Self {
            settings,
            endpoint,
            token: None,
            link: Link::open(settings, endpoint).await?,
        };
        client.authenticate().await?;
        Ok(client)
    }

    /// Asks, with a new token if the one that it has is not good any more.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        question: &Value,
    ) -> Result<T, Failure> {
        let answer = match self.ask_once(path, question).await {
            Err(failure) if failure.is_unauthenticated() && self.token.is_some() => {
                self.authenticate().await?;
                self.ask_once(path, question).await?
            }
            answer => answer?,
        };
        serde_json::from_slice(&answer).map_err(|error| Failure::Strange(error.to_string()))
    }

    /// Watches what `question` says, on a connection of its own.
    pub(super) async fn watch(&self, question: &Value) -> Result<Watch, Failure> {
        let mut link = Link::open(self.settings, self.endpoint).await?;
        let asked = link.send(self.request("/v3/watch", question)?);
        let response = in_time(self.settings.timeout, asked).await?;
        if response.status() != StatusCode::OK {
            let body = in_time(self.settings.timeout, body(response)).await?;
            return Err(refusal(&body));
        }
        Ok(Watch {
            body: response.into_body(),
            pending: Vec::new(),
            searched: 0,
            _link: link,
        })
    }

    async fn authenticate(&mut self) -> Result<(), Failure> {
        let Some(login) = &self.settings.login else {
            return Ok(());
        };
        self.token = None;
        let file = login.password_file.display();
        // Read each time, so that a new one is used as soon as it is needed.
        let password = fs::read_to_string(&login.password_file);
        let password = password.map_err(|error| Failure::Away(format!("{file}: {error}")))?;
        let question = message::authenticate(&login.user, password.trim_end_matches(['\n', '\r']));
        let answer = self.ask_once("/v3/auth/authenticate", &question).await?;
        let Token { token } =
            serde_json::from_slice(&answer).map_err(|error| Failure::Strange(error.to_string()))?;
        let mut token = HeaderValue::try_from(token)
            .map_err(|_| Failure::Strange("a token that is no header value".into()))?;
        token.set_sensitive(true);
        self.token = Some(token);
        Ok(())
    }

    async fn ask_once(&mut self, path: &str, question: &Value) -> Result<Bytes, Failure> {
        if self.link.sender.is_closed() {
            self.link = Link::open(self.settings, self.endpoint).await?;
        }
        let request = self.request(path, question)?;
        let asked = async {
            let response = self.link.send(request).await?;
            let is_done = response.status() == StatusCode::OK;
            let body = body(response).await?;
            if is_done {
                Ok(body)
            } else {
                Err(refusal(&body))
            }
        };
        in_time(self.settings.timeout, asked).await
    }

    fn request(&self, path: &str, question: &Value) -> Result<Request<Full<Bytes>>, Failure> {
        let url = self.endpoint.to_string();
        let authority = url.split_once("://").map_or("", |(_, authority)| authority);
        let mut request = Request::post(path)
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "weft")
            // A member that has lost the others ends a watch instead of being silent.
            .header("grpc-metadata-hasleader", "true");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let body = Full::new(Bytes::from(question.to_string()));
        let request = request.body(body);
        request.map_err(|error| Failure::Strange(error.to_string()))
    }
}

impl Link {
    async fn open(settings: &Etcd, endpoint: &EtcdEndpoint) -> Result<Self, Failure> {
        in_time(settings.timeout, Self::connect(settings, endpoint)).await
    }

    async fn connect(settings: &Etcd, endpoint: &EtcdEndpoint) -> Result<Self, Failure> {
        let away = |what: &str, error: &dyn fmt::Display| Failure::Away(format!("{what}: {error}"));
        let stream = TcpStream::connect((&*endpoint.host, endpoint.port)).await;
        let stream = stream.map_err(|error| away("cannot connect", &error))?;
        let prepared = stream.set_nodelay(true).and_then(|()| {
            // A watch may be quiet for hours; whether anybody is there is the kernel's to ask.
            let alive = TcpKeepalive::new()
                .with_time(Duration::from_secs(10))
                .with_interval(Duration::from_secs(5))
                .with_retries(3);
            SockRef::from(&stream).set_tcp_keepalive(&alive)
        });
        prepared.map_err(|error| away("cannot connect", &error))?;
        if !endpoint.is_secure {
            return Self::over(stream).await;
        }
        let plain = crate::config::ClusterTls::default();
        let trust = settings.tls.as_ref().unwrap_or(&plain);
        // Read each time, so that certificates can be replaced.
        let (config, name) = tls::https_as(trust, &endpoint.host).map_err(Failure::Away)?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector.connect(name, stream).await;
        Self::over(stream.map_err(|error| away("TLS", &error))?).await
    }

    async fn over<Stream>(stream: Stream) -> Result<Self, Failure>
    where
        Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
        // What ends it is told to whoever waits for an answer.
        let task = Task(spawn_local(async move { drop(connection.await) }));
        Ok(Self {
            sender,
            _task: task,
        })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.sender.send_request(request).await.map_err(away)
    }
}

/// A watch under way.
pub(super) struct Watch {
    body: Incoming,
    pending: Vec<u8>,
    /// How far no end of a message was found.
    searched: usize,
    _link: Link,
}

impl Watch {
    /// The next message; waits for it as long as it takes. To be dropped after a failure.
    pub(super) async fn next(&mut self) -> Result<Watched, Failure> {
        loop {
            let rest = self.pending.get(self.searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let line: Vec<u8> = self.pending.drain(..=self.searched + end).collect();
                self.searched = 0;
                return watched(&line);
            }
            self.searched = self.pending.len();
            if self.pending.len() > limits::ETCD_ANSWER_BYTES_MAX {
                return Err(Failure::TooLarge);
            }
            let frame = self.body.frame().await;
            let frame = frame.ok_or_else(|| Failure::Away("the watch has ended".into()))?;
            if let Ok(data) = frame.map_err(away)?.into_data() {
                self.pending.extend_from_slice(&data);
            }
        }
    }
}

fn watched(line: &[u8]) -> Result<Watched, Failure> {
    let message: Streamed<Watched> =
        serde_json::from_slice(line).map_err(|error| Failure::Strange(error.to_string()))?;
    match (message.result, message.error) {
        (Some(watched), None) => Ok(watched),
        (_, Some(refusal)) => Err(Failure::Refused(refusal)),
        (None, None) => Err(Failure::Strange("an empty message of the watch".into())),
    }
}

async fn in_time<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| Failure::Away(format!("no answer within {patience:?}"));
    timeout(patience, asked).await.map_err(late)?
}

async fn body(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let limited = Limited::new(response.into_body(), limits::ETCD_ANSWER_BYTES_MAX);
    let collected = limited.collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::TooLarge
        } else {
            Failure::Away(error.to_string())
        }
    })?;
    Ok(collected.to_bytes())
}

/// What an answer that is not 200 says.
fn refusal(body: &[u8]) -> Failure {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) if refusal.code == RESOURCE_EXHAUSTED && refusal.message.contains("larger") => {
            Failure::TooLarge
        }
        Ok(refusal) => Failure::Refused(refusal),
        Err(_) => Failure::Strange(
            "not an answer of etcd's gateway at /v3; it is in etcd 3.4 and later, unless \
             --enable-grpc-gateway=false"
                .into(),
        ),
    }
}

/// hyper tells what it did, and the reason only when it is asked for.
fn away(error: hyper::Error) -> Failure {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    Failure::Away(told)
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => out.write_str(why),
            Self::Refused(refusal) => write!(out, "refused: {}", refusal.message),
            Self::TooLarge => {
                let most = limits::ETCD_ANSWER_BYTES_MAX;
                write!(out, "the answer has more than {most} bytes")
            }
            Self::Strange(why) => write!(out, "not understood: {why}"),
        }
    }
}
