//! A steady load: requests that are due by a clock, whatever becomes of those before.
//!
//! Each client is a thread with a connection of its own and an even share of the rate. Response
//! times count from when a request was due, so one that is held up by another tells it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Clients: at the default rate each asks three times a second, so that one that has waited for a
/// try and another is not late for its next request.
const CLIENTS: u32 = 100;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One request and what became of it.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// When it was due.
    pub(crate) due: Instant,
    /// From then to the end of its answer, or to when the client gave up.
    pub(crate) time: Duration,
    /// The whole content came, with status 200.
    pub(crate) is_right: bool,
}

/// The clients at work.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Vec<Answer>>>,
}

impl Load {
    /// Sends `rate` requests a second from `begin` on, for `time`.
    pub(crate) fn start(to: SocketAddr, rate: u32, begin: Instant, time: Duration) -> Self {
        let period = Duration::from_secs(u64::from(CLIENTS)) / rate.max(1);
        let client = |number: u32| {
            let first = begin + period * number / CLIENTS;
            thread::spawn(move || client(to, first, period, begin + time))
        };
        Self {
            clients: (0..CLIENTS).map(client).collect(),
        }
    }

    /// Waits for the last answer.
    pub(crate) fn finish(self) -> Vec<Answer> {
        let answers = self.clients.into_iter().map(|client| client.join());
        answers.flat_map(Result::unwrap_or_default).collect()
    }
}

fn client(to: SocketAddr, first: Instant, period: Duration, end: Instant) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut connection = None;
    let mut due = first;
    while due < end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let is_right = ask(to, &mut connection).is_some();
        answers.push(Answer {
            due,
            time: due.elapsed(),
            is_right,
        });
        due += period;
    }
    answers
}

/// Sends one request and reads its answer. Gives the content's length if all is right; a
/// connection that is in doubt is given up.
fn ask(to: SocketAddr, connection: &mut Option<TcpStream>) -> Option<usize> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => TcpStream::connect_timeout(&to, PATIENCE).ok()?,
    };
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = "GET / HTTP/1.1\r\nHost: failures\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut received = Vec::new();
    let mut block = [0; 4096];
    let (status, whole, closes) = loop {
        if let Some(head) = head(&received) {
            break head;
        }
        match stream.read(&mut block).ok()? {
            0 => return None,
            count => received.extend_from_slice(block.get(..count)?),
        }
    };
    while received.len() < whole {
        match stream.read(&mut block).ok()? {
            0 => return None,
            count => received.extend_from_slice(block.get(..count)?),
        }
    }
    if !closes {
        *connection = Some(stream);
    }
    (status == 200).then_some(whole)
}

/// Status, length of the whole message, and whether the connection ends, once the head is there.
fn head(received: &[u8]) -> Option<(u16, usize, bool)> {
    let end = received.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(received.get(..end)?).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let text = text.to_ascii_lowercase();
    let field = |name: &str| {
        let lines = text.lines();
        lines
            .filter_map(|line| line.strip_prefix(name))
            .map(str::trim)
            .next()
    };
    let length: usize = field("content-length:").and_then(|it| it.parse().ok())?;
    Some((status, end + length, field("connection:") == Some("close")))
}
