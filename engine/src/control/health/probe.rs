//! One check of one endpoint.
//!
//! In: where it is, what is asked of it, TLS where it has it. Out: whether it answered as expected,
//! or why not. A connection is made for each check and closed after it, so that a check also tells
//! whether connections can be made. Bounded in time by the check's timeout, in memory by
//! [`limits::HEALTH_CONTENT_BYTES_MAX`].

use std::io::{Error, ErrorKind};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::checker::Target;
use super::standing::CheckError;
use crate::config::HttpCheck;
use crate::io::Address;
use crate::limits;
use crate::tls::HandshakeError;

/// The `User-Agent` of checks, by which an application can tell them from its clients.
const USER_AGENT: &str = concat!("weft-health-check/", env!("CARGO_PKG_VERSION"));

/// Checks an endpoint once.
///
/// # Errors
/// Why it is not fit to serve.
pub(in crate::control) async fn run(target: &Target) -> Result<(), CheckError> {
    let result = timeout(target.check.timeout, connect(target)).await;
    result.unwrap_or(Err(CheckError::TimedOut))
}

async fn connect(target: &Target) -> Result<(), CheckError> {
    match &target.address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await;
            secure(stream.map_err(|it| failed(&it))?, target).await
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            secure(stream.map_err(|it| failed(&it))?, target).await
        }
    }
}

fn failed(error: &Error) -> CheckError {
    match error.kind() {
        ErrorKind::ConnectionRefused => CheckError::Refused,
        _ => CheckError::Unreachable,
    }
}

/// Goes on over TLS where the cluster has it and more than a connection is asked for.
async fn secure<S>(stream: S, target: &Target) -> Result<(), CheckError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    use crate::config::HealthProtocol as Protocol;
    let Target {
        address,
        check,
        tls,
    } = target;
    match (check.protocol, tls) {
        (Protocol::Tcp, _) => Ok(()),
        (Protocol::Http, None) => ask(stream, address, check.http.as_ref()).await,
        // The configuration does not allow it without TLS.
        (Protocol::Tls, None) => Err(CheckError::Tls(HandshakeError::NotTls)),
        (Protocol::Http | Protocol::Tls, Some(tls)) => {
            let (config, name) = tls.for_check(address);
            let handshake = TlsConnector::from(config).connect(name, stream);
            let stream = handshake
                .await
                .map_err(|error| CheckError::Tls(HandshakeError::of_io(&error)))?;
            match check.protocol {
                Protocol::Http => ask(stream, address, check.http.as_ref()).await,
                Protocol::Tls | Protocol::Tcp => Ok(()),
            }
        }
    }
}

/// Sends the request and judges the response.
async fn ask<S>(stream: S, address: &Address, http: Option<&HttpCheck>) -> Result<(), CheckError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(http) = http else { return Ok(()) };
    let request = request(http, address).ok_or(CheckError::BadResponse)?;
    let handshake = http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|_| CheckError::BadResponse)?;
    let exchange = async move {
        let response = sender.send_request(request).await;
        judge(http, response.map_err(|_| CheckError::BadResponse)?).await
    };
    // The connection carries the exchange, which alone says how it went.
    let carried = async {
        let _told_by_the_exchange = connection.await;
        std::future::pending::<Result<(), CheckError>>().await
    };
    tokio::select! {
        biased;
        result = exchange => result,
        never = carried => never,
    }
}

fn request(http: &HttpCheck, address: &Address) -> Option<Request<Empty<Bytes>>> {
    let host = match (&http.host, address) {
        (Some(host), _) => host.clone(),
        (None, Address::Tcp(address)) => address.to_string(),
        (None, Address::Unix(_)) => "localhost".to_owned(),
    };
    let request = Request::builder()
        .method(http.method.as_str())
        .uri(http.path.as_str())
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close");
    request.body(Empty::new()).ok()
}

async fn judge(http: &HttpCheck, response: Response<Incoming>) -> Result<(), CheckError> {
    let status = response.status().as_u16();
    let is_expected = |(first, last): &(u16, u16)| (*first..=*last).contains(&status);
    if !http.statuses.iter().any(is_expected) {
        return Err(CheckError::Status(status));
    }
    let Some(wanted) = &http.body_contains else {
        return Ok(());
    };
    let mut content = Vec::new();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| CheckError::BadResponse)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let room = limits::HEALTH_CONTENT_BYTES_MAX.saturating_sub(content.len());
        content.extend(data.iter().take(room));
        if memchr::memmem::find(&content, wanted.as_bytes()).is_some() {
            return Ok(());
        }
        if content.len() >= limits::HEALTH_CONTENT_BYTES_MAX {
            break;
        }
    }
    Err(CheckError::Content)
}
