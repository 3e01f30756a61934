//! Fetching one key set: a GET over HTTP or HTTPS.
//!
//! In: an address and the authorities that its certificate may be from. Out: the keys, or why there
//! are none, as a sentence for the operator. Bounded in time and size. Redirects are not followed:
//! an issuer's keys are where the operator says, and nowhere else.

use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::authenticate::KeySet;
use crate::control::aside::Task;
use crate::limits;
use crate::tls;

/// Fetches the keys at `url`.
///
/// *Errors:* what went wrong, for a person.
pub(super) async fn fetch(url: &str, ca: Option<&Path>) -> Result<KeySet, String> {
    let fetched = timeout(limits::KEYS_FETCH_TIMEOUT, get(url, ca)).await;
    let json = fetched.map_err(|_| {
        let seconds = limits::KEYS_FETCH_TIMEOUT.as_secs();
        format!("no answer within {seconds} s")
    })??;
    KeySet::parse(&json).map_err(|error| error.to_string())
}

async fn get(url: &str, ca: Option<&Path>) -> Result<Bytes, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    let host = uri.host().ok_or("the address has no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let stream = TcpStream::connect((bare, port)).await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    if !is_secure {
        return exchange(stream, &uri).await;
    }
    let (config, name) = tls::https(ca, bare)?;
    let connector = tokio_rustls::TlsConnector::from(config);
    let stream = connector.connect(name, stream).await;
    exchange(stream.map_err(|error| format!("TLS: {error}"))?, &uri).await
}

async fn exchange<Stream>(stream: Stream, uri: &Uri) -> Result<Bytes, String>
where
    Stream: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    // Ends with the response, or when the time is up: an issuer that says nothing holds nothing.
    let _connection = Task(spawn_local(async move {
        // Whoever waits for the response is told as well.
        let _told = connection.await;
    }));
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(target)
        .header(HOST, authority)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(USER_AGENT, "weft")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), limits::KEY_SET_BYTES_MAX);
    let body = body.collect().await.map_err(|error| error.to_string())?;
    Ok(body.to_bytes())
}

/// The keys of one fetch.
pub(super) type Fetched = Result<Arc<KeySet>, String>;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn an_issuer_that_never_answers_is_left() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            let issuer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = issuer.local_addr().expect("an address");
            let url = format!("http://{address}/keys");
            let asked = async {
                let (mut stream, _) = issuer.accept().await.expect("a connection");
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.expect("a request"));
                }
                stream
            };
            let mut stream = tokio::select! {
                stream = asked => stream,
                _ = fetch(&url, None) => panic!("nobody has answered"),
            };
            let mut more = Vec::new();
            let read = timeout(Duration::from_secs(60), stream.read_to_end(&mut more));
            assert_eq!(read.await.expect("it is closed").expect("in order"), 0);
        });
    }
}
