//! Witnesses: a client and a server that know nothing of this program, to hold its figures against.
//!
//! Plain blocking sockets and the clock of the standard library. They share neither the event loop
//! nor the HTTP of the generator, so a fault of those cannot hide in both.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a witness has threads, locks and a clock of its own"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Asks again and again on one connection, each time after a pause: the times from the write to the
/// last byte, in nanoseconds.
pub(crate) fn ask(address: SocketAddr, count: usize, pause: Duration) -> Histogram<u64> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut times = Histogram::new(3).expect("three digits");
    for _ in 0..count {
        super::pause(pause);
        let sent = Instant::now();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: witness\r\n\r\n")
            .expect("it reads");
        read_answer(&mut stream);
        times += nanos(sent.elapsed());
    }
    times
}

/// Reads one answer whose length is in its head.
fn read_answer(stream: &mut TcpStream) {
    let (mut answer, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(count > 0, "closed within an answer");
        answer.extend_from_slice(&buffer[..count]);
        let Some(head) = head_length(&answer) else {
            continue;
        };
        let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
        let length = text.split("content-length:").nth(1).expect("a length");
        let length = length.split("\r\n").next().expect("a line").trim();
        let length: usize = length.parse().expect("a number");
        if answer.len() >= head + length {
            return;
        }
    }
}

/// A server that answers every request at once and remembers when it came.
pub(crate) struct Listener {
    address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl Listener {
    /// Starts it, a thread per connection; they end with the test.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&arrivals);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || serve(stream, &noted));
            }
        });
        Self { address, arrivals }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// When requests came, from the first on, in order.
    pub(crate) fn arrivals(&self) -> Vec<Duration> {
        let mut arrivals = self.arrivals.lock().expect("no panic").clone();
        arrivals.sort_unstable();
        let first = arrivals.first().copied();
        arrivals
            .iter()
            .filter_map(|at| Some(at.duration_since(first?)))
            .collect()
    }
}

/// Requests have no content and are not pipelined: a head is a request.
fn serve(mut stream: TcpStream, arrivals: &Mutex<Vec<Instant>>) {
    let _ = stream.set_nodelay(true);
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let now = Instant::now();
        request.extend_from_slice(&buffer[..count]);
        if head_length(&request).is_none() {
            continue;
        }
        request.clear();
        if stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .is_err()
        {
            return;
        }
        arrivals.lock().expect("no panic").push(now);
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("not so long")
}
