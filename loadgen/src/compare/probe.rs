//! One request over a socket of its own: does it answer, and rightly?
//!
//! Asked of the origin first; what it answers is what every proxy in front of it has to answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use engine::io::Address;
use rustls::{ClientConnection, StreamOwned};

use crate::http1::Progress;
use crate::http1::response::ResponseParser;
use crate::traffic::request::Request;
use crate::transport::trust::Trust;

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// An answer, as far as it has to be the same from everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status.
    pub status: u16,
    /// Length of its content.
    pub length: u64,
    /// CRC-32 of its content.
    pub hash: u32,
}

/// Sends `request` with `body`, over TLS if there is a `trust`, and reads the answer.
///
/// *Errors:* one sentence; nobody listens yet, or what listens does not speak HTTP.
pub(crate) fn ask(
    address: &Address,
    request: &Request,
    body: &[u8],
    trust: Option<&Trust>,
) -> Result<Answer, String> {
    let mut message = Vec::new();
    request.write_head(&mut message, |out| request.path.write(out, 0), body.len());
    message.extend_from_slice(body);
    let answer = match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, ANSWER_LIMIT);
            stream.and_then(|stream| {
                stream.set_read_timeout(Some(ANSWER_LIMIT))?;
                stream.set_write_timeout(Some(ANSWER_LIMIT))?;
                match trust {
                    Some(trust) => {
                        let config = Arc::clone(&trust.config);
                        let client = ClientConnection::new(config, trust.name.clone());
                        let client = client.map_err(std::io::Error::other)?;
                        exchange(StreamOwned::new(client, stream), &message, request.is_head)
                    }
                    None => exchange(stream, &message, request.is_head),
                }
            })
        }
        Address::Unix(path) => UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(ANSWER_LIMIT))?;
            stream.set_write_timeout(Some(ANSWER_LIMIT))?;
            exchange(stream, &message, request.is_head)
        }),
    };
    answer.map_err(|error| format!("no answer from {address}: {error}"))
}

fn exchange(
    mut stream: impl Read + Write,
    message: &[u8],
    is_head: bool,
) -> std::io::Result<Answer> {
    let malformed = |error| std::io::Error::other(format!("not HTTP/1.1: {error:?}"));
    stream.write_all(message)?;
    let mut parser = ResponseParser::new(true);
    parser.expect(is_head);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            parser.finish().map_err(malformed)?;
            break;
        }
        let run = buffer.get(..count).unwrap_or_default();
        if let Progress::Complete { .. } = parser.feed(run).map_err(malformed)? {
            break;
        }
    }
    Ok(Answer {
        status: parser.status(),
        length: parser.body_bytes(),
        hash: parser.body_hash().unwrap_or_default(),
    })
}
