//! A server that remembers what it was asked: method, target, fields and the length of the content.
//!
//! Written without this program's HTTP, over blocking sockets, a thread for each connection. It
//! believes `Content-Length`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Request line.
    pub(crate) line: String,
    /// Fields, `Name: value`.
    pub(crate) fields: Vec<String>,
    /// Its content.
    pub(crate) content: Vec<u8>,
}

impl Asked {
    /// Method and target.
    pub(crate) fn target(&self) -> (&str, &str) {
        let mut words = self.line.split(' ');
        let method = words.next().unwrap_or_default();
        (method, words.next().unwrap_or_default())
    }
}

/// The server.
pub(crate) struct Recorder {
    address: SocketAddr,
    asked: Receiver<Asked>,
}

impl Recorder {
    /// Starts it; it lives as long as the test's process.
    #[allow(
        clippy::disallowed_methods,
        reason = "a peer of a test is plain threads"
    )]
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream, &sender));
            }
        });
        Self { address, asked }
    }

    /// The URL of `path` on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }
}

fn serve(stream: TcpStream, asked: &Sender<Asked>) {
    let mut answers = stream.try_clone().expect("a descriptor");
    let mut requests = BufReader::new(stream);
    while let Some(request) = request(&mut requests) {
        // Told before it is answered, so that a run that has ended has told all.
        let is_heard = asked.send(request).is_ok();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if !is_heard || answers.write_all(answer).is_err() {
            return;
        }
    }
}

/// The next request; none when the connection has ended.
fn request(from: &mut impl BufRead) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok().filter(|&count| count > 0)?;
        match line.trim_end_matches("\r\n") {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let fields = lines.split_off(1);
    let length = fields
        .iter()
        .find_map(|field| field.strip_prefix("Content-Length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    let mut content = vec![0; length];
    from.read_exact(&mut content).ok()?;
    Some(Asked {
        line: lines.pop()?,
        fields,
        content,
    })
}
