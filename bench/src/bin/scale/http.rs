//! A client of few words, for the admin interface and for single requests.
//!
//! In: a request as text. Out: status and content of its answer, which must say how long it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Asks on a connection that is used for nothing else.
pub(crate) fn ask(to: SocketAddr, request: &str) -> Result<Answer, String> {
    Client::connect(to)?.ask(request)
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> Result<Self, String> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok::<_, std::io::Error>(stream)
        };
        let stream = connect().map_err(|error| format!("{to}: {error}"))?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends a request and reads its answer, which says how long it is.
    pub(crate) fn ask(&mut self, request: &str) -> Result<Answer, String> {
        let sent = self.stream.write_all(request.as_bytes());
        sent.map_err(|error| error.to_string())?;
        let end = loop {
            let head = self.received.windows(4).position(|it| it == b"\r\n\r\n");
            match head {
                Some(end) => break end + 4,
                None => self.read()?,
            }
        };
        let head = String::from_utf8_lossy(&self.received[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or("no status")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(Ok(0), |length| length.trim().parse::<usize>());
        let length = length.map_err(|error| error.to_string())?;
        while self.received.len() < end + length {
            self.read()?;
        }
        let body = self.received.drain(..end + length).skip(end).collect();
        Ok(Answer { status, body })
    }

    fn read(&mut self) -> Result<(), String> {
        let mut block = [0; 64 << 10];
        match self.stream.read(&mut block) {
            Ok(0) => Err("the connection was closed".to_owned()),
            Ok(count) => {
                self.received.extend_from_slice(&block[..count]);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
