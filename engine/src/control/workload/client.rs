//! One stream of answers from the Workload API.
//!
//! In: an address. Out: messages as the agent sends them, until the stream ends, and why it did. A
//! call of gRPC that has one request and many answers is one exchange of HTTP/2, which is all that
//! is needed of it. Standards: gRPC over HTTP/2, SPIFFE Workload Endpoint, sections 3 and 6.

use std::fmt;
use std::io;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::message::Frames;
use crate::config::Address;
use crate::control::aside::Task;
use crate::limits::WORKLOAD_ANSWER_TIMEOUT;

/// The call. Nothing of the host is looked at behind a socket.
const CALL: &str = "http://localhost/SpiffeWorkloadAPI/FetchX509SVID";
/// Workload Endpoint §3: without it every request is refused, so that nobody is tricked into one.
const SECURITY_FIELD: &str = "workload.spiffe.io";
/// An `X509SVIDRequest`, which has no fields, and the prefix of a message.
const REQUEST: &[u8] = &[0; 5];

/// Why there is no further answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody is there.
    Unreachable(String),
    /// A status other than OK, with its message.
    Status(u32, String),
    /// It is not the Workload API, or says what cannot be.
    Broken(String),
    /// The stream has ended.
    Ended,
    /// Nothing was said in time.
    Silent,
}

/// A stream of answers.
#[derive(Debug)]
pub(super) struct Answers {
    body: Incoming,
    frames: Frames,
    has_answered: bool,
    _connection: Task,
    /// The connection ends without it.
    _sender: SendRequest<Full<Bytes>>,
}

impl Answers {
    /// Asks at `endpoint`.
    pub(super) async fn ask(endpoint: &Address) -> Result<Self, Failure> {
        let unreachable = |error: io::Error| Failure::Unreachable(error.to_string());
        let asked = timeout(WORKLOAD_ANSWER_TIMEOUT, async {
            match endpoint {
                Address::Unix(path) => {
                    call(UnixStream::connect(path).await.map_err(unreachable)?).await
                }
                Address::Tcp(address) => {
                    call(TcpStream::connect(address).await.map_err(unreachable)?).await
                }
            }
        });
        asked.await.map_err(|_| Failure::Silent)?
    }

    /// The next answer. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some(message) = self.frames.next().map_err(Failure::Broken)? {
                self.has_answered = true;
                return Ok(message);
            }
            let frame = match self.has_answered {
                true => self.body.frame().await,
                // Workload API §4.3: the first answer comes without delay.
                false => timeout(WORKLOAD_ANSWER_TIMEOUT, self.body.frame())
                    .await
                    .map_err(|_| Failure::Silent)?,
            };
            let frame = frame.ok_or(Failure::Ended)?;
            let frame = frame.map_err(|error| Failure::Broken(error.to_string()))?;
            match frame.into_data() {
                Ok(bytes) => self.frames.push(&bytes),
                Err(frame) => {
                    let trailers = frame.trailers_ref().cloned().unwrap_or_default();
                    return Err(status(&trailers).unwrap_or(Failure::Ended));
                }
            }
        }
    }
}

async fn call<Stream>(stream: Stream) -> Result<Answers, Failure>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Failure::Broken(error.to_string());
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    // Ends with the call, also when that comes to nothing.
    let connection = Task(tokio::spawn(async move {
        // Whoever reads the answers is told as well.
        let _told = connection.await;
    }));
    let request = Request::post(CALL)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(SECURITY_FIELD, "true")
        .header(USER_AGENT, "weft")
        .body(Full::new(Bytes::from_static(REQUEST)))
        .map_err(|error| Failure::Broken(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        let message = format!("HTTP status {}", response.status().as_u16());
        return Err(Failure::Broken(message));
    }
    // A call that brings no message has its status here.
    if let Some(failure) = status(response.headers()) {
        return Err(failure);
    }
    Ok(Answers {
        body: response.into_body(),
        frames: Frames::default(),
        has_answered: false,
        _connection: connection,
        _sender: sender,
    })
}

/// The status among `fields`, if there is one.
fn status(fields: &HeaderMap) -> Option<Failure> {
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status")?.parse();
    let code = code.unwrap_or(u32::MAX);
    match code {
        0 => Some(Failure::Ended),
        _ => {
            let message = text("grpc-message").unwrap_or_default();
            Some(Failure::Status(code, message.to_owned()))
        }
    }
}

impl Failure {
    /// Workload Endpoint, appendix A: asking again is of no use.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Status(INVALID_ARGUMENT | UNIMPLEMENTED, _))
    }
}

const INVALID_ARGUMENT: u32 = 3;
const PERMISSION_DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;
const UNAVAILABLE: u32 = 14;

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(out, "cannot connect: {why}"),
            Self::Status(code, message) => {
                match *code {
                    INVALID_ARGUMENT => out.write_str("InvalidArgument"),
                    PERMISSION_DENIED => out.write_str("PermissionDenied"),
                    UNIMPLEMENTED => out.write_str("Unimplemented"),
                    UNAVAILABLE => out.write_str("Unavailable"),
                    code => write!(out, "gRPC status {code}"),
                }?;
                if message.is_empty() {
                    return Ok(());
                }
                write!(out, ": {message}")
            }
            Self::Broken(why) => out.write_str(why),
            Self::Ended => out.write_str("the agent ended the stream"),
            Self::Silent => {
                let seconds = WORKLOAD_ANSWER_TIMEOUT.as_secs();
                write!(out, "no answer within {seconds} s")
            }
        }
    }
}
