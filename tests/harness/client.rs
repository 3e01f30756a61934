//! A client that sends exactly the bytes of the test and reads what comes, strictly.
//!
//! Responses are read by the judge in [`super::message`]: a response that has two readings fails
//! the test that receives it. Every read has a deadline, so a test hangs never.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use super::message::{self, Message, Reading};
use super::wait::PATIENCE;

/// A response as a client got it.
pub(crate) type Response = Message;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    /// The peer closed its side.
    Closed,
    /// The peer reset the connection.
    Reset,
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    ended: Option<Ending>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    /// Connects, or says why not.
    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            received: Vec::new(),
            ended: None,
        })
    }

    /// Sends all of `bytes`; a peer that has closed already is no error here.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.try_send(bytes);
        self
    }

    /// Sends all of `bytes`.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends `bytes` in writes of `size`.
    pub(crate) fn send_in_pieces(&mut self, bytes: &[u8], size: usize) -> &mut Self {
        for piece in bytes.chunks(size) {
            self.send(piece);
        }
        self
    }

    /// Sends `bytes` one by one with pauses, until they are sent or the peer is gone.
    pub(crate) fn trickle(&mut self, bytes: &[u8], pause: Duration) -> &mut Self {
        for byte in bytes {
            if self.try_send([*byte]).is_err() {
                break;
            }
            thread::sleep(pause);
        }
        self
    }

    /// Closes the sending side.
    pub(crate) fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// The next response, which answers `method`, interim responses included.
    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        self.try_response_to(method)
            .unwrap_or_else(|why| panic!("{why}"))
    }

    /// The next response to GET, or to whatever has content like it.
    pub(crate) fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// The next response, or why there is none.
    pub(crate) fn try_response_to(&mut self, method: &str) -> Result<Response, String> {
        loop {
            match message::response(&self.received, method, self.ended == Some(Ending::Closed)) {
                Reading::Complete(message) => {
                    self.received.drain(..message.length);
                    return Ok(message);
                }
                Reading::Ambiguous(why) => {
                    return Err(format!("{why} in {:?}", self.received_text()));
                }
                Reading::Partial if self.ended.is_some() => {
                    let (ended, received) = (self.ended, self.received_text());
                    return Err(format!(
                        "{ended:?} after {received:?}, before a whole response"
                    ));
                }
                Reading::Partial => self.fill()?,
            }
        }
    }

    /// Sends a request and reads its response.
    pub(crate) fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        let method = String::from_utf8_lossy(bytes.as_ref()).into_owned();
        self.send(&bytes);
        self.response_to(method.split(' ').next().unwrap_or_default())
    }

    /// GETs `path` from host `test` and keeps the connection.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.exchange(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    /// Has the end of the connection been read?
    pub(crate) fn is_at_end(&self) -> bool {
        self.ended.is_some()
    }

    /// Reads until `count` bytes are there, and takes them.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count && self.ended.is_none() {
            self.fill().unwrap_or_else(|why| panic!("{why}"));
        }
        let count = count.min(self.received.len());
        self.received.drain(..count).collect()
    }

    /// The head of a response, whatever follows it.
    pub(crate) fn head(&mut self) -> String {
        loop {
            let end = self
                .received
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.received.drain(..end + 4).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            assert!(self.ended.is_none(), "the end, before a whole head");
            self.fill().unwrap_or_else(|why| panic!("{why}"));
        }
    }

    /// The next run of bytes; empty at the end.
    pub(crate) fn some(&mut self) -> Vec<u8> {
        while self.received.is_empty() && self.ended.is_none() {
            self.fill().unwrap_or_else(|why| panic!("{why}"));
        }
        std::mem::take(&mut self.received)
    }

    /// How the connection ended, and what came before that.
    pub(crate) fn rest(&mut self) -> (Ending, Vec<u8>) {
        loop {
            if let Some(ended) = self.ended {
                return (ended, std::mem::take(&mut self.received));
            }
            self.fill().unwrap_or_else(|why| panic!("{why}"));
        }
    }

    /// Waits for the end of the connection; nothing may come before it.
    pub(crate) fn expect_end(&mut self) -> Ending {
        let (ended, rest) = self.rest();
        assert!(
            rest.is_empty(),
            "{:?} before the end",
            String::from_utf8_lossy(&rest)
        );
        ended
    }

    /// The socket, for what this type does not do.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn received_text(&self) -> String {
        let shown = &self.received[..self.received.len().min(600)];
        String::from_utf8_lossy(shown).into_owned()
    }

    /// Reads once.
    fn fill(&mut self) -> Result<(), String> {
        let mut block = [0; 65_536];
        match self.stream.read(&mut block) {
            Ok(0) => self.ended = Some(Ending::Closed),
            Ok(count) => self.received.extend(&block[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.ended = Some(Ending::Reset);
            }
            // A socket with a timeout is not resumed after a signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(format!(
                    "nothing for {PATIENCE:?} after {:?}",
                    self.received_text()
                ));
            }
            Err(error) => return Err(format!("{error}")),
        }
        Ok(())
    }
}
