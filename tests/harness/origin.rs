//! An origin that records every byte of every connection and answers what its script says.
//!
//! One thread per connection. The script gets a [`Peer`] and speaks with it as in a dialogue:
//! `peer.request()`, `peer.send(…)`. What was received stays readable through [`Origin`] also
//! after the connection has ended.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::client::{Client, Ending};
use super::message::{self, Message, Reading};
use super::{ports, wait};

/// What happens on a connection.
type Script = dyn Fn(&mut Peer) + Send + Sync;

/// One connection, as recorded.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    ended: Option<Ending>,
}

struct Shared {
    script: Box<Script>,
    records: Mutex<Vec<Record>>,
    streams: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
    /// Whether bytes are kept; not so for content of hundreds of megabytes.
    recording: bool,
}

/// The origin; stops when it drops.
pub(crate) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// A connection as its script sees it.
pub(crate) struct Peer {
    stream: TcpStream,
    shared: Arc<Shared>,
    number: usize,
    /// Received and not yet taken.
    pending: Vec<u8>,
    ended: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Origin {
    /// Starts an origin that follows `script` on each connection.
    pub(crate) fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::start_at(ports::free(), script)
    }

    /// Starts an origin at a given address.
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(&mut Peer) + Send + Sync + 'static,
    ) -> Self {
        Self::launch(address, true, Box::new(script))
    }

    /// Starts an origin that keeps no bytes, for large content.
    pub(crate) fn forgetful(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::launch(ports::free(), false, Box::new(script))
    }

    fn launch(address: SocketAddr, recording: bool, script: Box<Script>) -> Self {
        let listener = wait::until("the origin's port", || TcpListener::bind(address).ok());
        let shared = Arc::new(Shared {
            script,
            recording,
            records: Mutex::default(),
            streams: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Starts an origin that answers every request with `response`.
    pub(crate) fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |peer| while peer.request().is_some() && peer.send(&response) {})
    }

    /// Starts an origin that answers every request with its target as the body.
    pub(crate) fn echoing_targets() -> Self {
        Self::start(echo_targets)
    }

    /// Starts an origin that answers every request with `done`, one for `/slow` not before
    /// [`Self::release`].
    pub(crate) fn holding_slow() -> Self {
        Self::start(|peer| {
            let Some(request) = peer.request() else {
                return;
            };
            if request.target() == "/slow" {
                peer.wait_for_connections(2);
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
            while peer.some().is_some() {}
        })
    }

    /// Lets it answer what it holds, for as long as the connection lives that this gives.
    pub(crate) fn release(&self) -> Client {
        Client::connect(self.address())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.shared.records).len()
    }

    /// How many of them are open.
    pub(crate) fn open(&self) -> usize {
        lock(&self.shared.records)
            .iter()
            .filter(|record| record.ended.is_none())
            .count()
    }

    /// The bytes received on each connection so far.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.records)
            .iter()
            .map(|record| record.bytes.clone())
            .collect()
    }

    /// How many bytes came on each connection so far: a mark for [`Self::since`].
    pub(crate) fn mark(&self) -> Vec<usize> {
        lock(&self.shared.records)
            .iter()
            .map(|record| record.bytes.len())
            .collect()
    }

    /// What each connection received since `mark`, connections without a byte left out.
    pub(crate) fn since(&self, mark: &[usize]) -> Vec<Vec<u8>> {
        let received = self.received().into_iter().enumerate();
        let news = received.map(|(number, mut bytes)| {
            bytes.drain(..mark.get(number).copied().unwrap_or_default());
            bytes
        });
        news.filter(|bytes| !bytes.is_empty()).collect()
    }

    /// Waits until no open connection is in the middle of a request: whatever was cut has ended.
    pub(crate) fn settle(&self) {
        wait::for_("requests that were cut at the origin to end", || {
            let records = lock(&self.shared.records);
            let mut open = records.iter().filter(|record| record.ended.is_none());
            open.all(|record| {
                let whole: usize = message::requests(&record.bytes)
                    .0
                    .iter()
                    .map(|request| request.length)
                    .sum();
                whole == record.bytes.len()
            })
        });
    }

    /// Every whole request received so far. Fails the test on bytes with two readings.
    pub(crate) fn requests(&self) -> Vec<Message> {
        let mut all = Vec::new();
        for bytes in self.received() {
            let (found, rest) = message::requests(&bytes);
            if let Reading::Ambiguous(why) = rest {
                panic!(
                    "the origin got {why}: {:?}",
                    String::from_utf8_lossy(&bytes)
                );
            }
            all.extend(found);
        }
        all
    }

    /// The one request received so far.
    pub(crate) fn request(&self) -> Message {
        let mut found = self.requests();
        assert_eq!(found.len(), 1, "requests at the origin: {found:?}");
        found.remove(0)
    }

    /// Stops listening and resets every connection, as a killed process does.
    pub(crate) fn kill(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accept.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for stream in lock(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Answers every request with its target as the body.
pub(crate) fn echo_targets(peer: &mut Peer) {
    while let Some(request) = peer.request() {
        let target = request.target();
        let length = target.len();
        let content = if request.method() == "HEAD" {
            ""
        } else {
            target
        };
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{content}"
        ));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let number = {
            let mut records = lock(&shared.records);
            records.push(Record::default());
            records.len() - 1
        };
        if let Ok(clone) = stream.try_clone() {
            lock(&shared.streams).push(clone);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut peer = Peer {
                stream,
                shared,
                number,
                pending: vec![],
                ended: false,
            };
            let script = Arc::clone(&peer.shared);
            (script.script)(&mut peer);
            peer.close();
        });
    }
}

impl Peer {
    /// Which connection this is, from 0.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// The next whole request; nothing when the peer is gone or sent something with two readings.
    pub(crate) fn request(&mut self) -> Option<Message> {
        loop {
            match message::request(&self.pending) {
                Reading::Complete(message) => {
                    self.pending.drain(..message.length);
                    return Some(message);
                }
                Reading::Ambiguous(_) => return None,
                Reading::Partial => self.fill().then_some(())?,
            }
        }
    }

    /// Waits until the origin has accepted `count` connections.
    pub(crate) fn wait_for_connections(&self, count: usize) {
        wait::for_("more connections", || {
            lock(&self.shared.records).len() >= count
        });
    }

    /// Waits until the received bytes end in `end`, and takes them.
    pub(crate) fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        while !self.pending.ends_with(end) {
            self.fill().then_some(())?;
        }
        Some(std::mem::take(&mut self.pending))
    }

    /// Waits for the head of a request, whatever follows it, and takes it.
    pub(crate) fn head(&mut self) -> Option<String> {
        loop {
            let end = self
                .pending
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.pending.drain(..end + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            self.fill().then_some(())?;
        }
    }

    /// The next run of bytes; nothing at the end.
    pub(crate) fn some(&mut self) -> Option<Vec<u8>> {
        if self.pending.is_empty() {
            self.fill().then_some(())?;
        }
        Some(std::mem::take(&mut self.pending))
    }

    /// Sends; false when the peer is gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Closes both sides in order.
    pub(crate) fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        if !self.ended {
            let _ = self.stream.set_read_timeout(Some(wait::PATIENCE));
            while self.fill() {}
        }
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes the sending side only.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Resets the connection.
    pub(crate) fn reset(&mut self) {
        let linger =
            rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO));
        linger.expect("a reset can be asked for");
        self.ended = true;
        self.note_end(Ending::Reset);
        // The last descriptor but the shared one: only closing both sends the reset.
        let number = self
            .stream
            .local_addr()
            .ok()
            .zip(self.stream.peer_addr().ok());
        lock(&self.shared.streams)
            .retain(|other| other.local_addr().ok().zip(other.peer_addr().ok()) != number);
    }

    fn note_end(&mut self, ending: Ending) {
        if let Some(record) = lock(&self.shared.records).get_mut(self.number) {
            record.ended.get_or_insert(ending);
        }
    }

    /// Reads once; false at the end.
    fn fill(&mut self) -> bool {
        let mut block = [0; 65_536];
        let (count, ending) = match self.stream.read(&mut block) {
            Ok(count) => (count, Ending::Closed),
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (0, Ending::Reset),
            Err(_) => (0, Ending::Closed),
        };
        if count == 0 {
            self.ended = true;
            self.note_end(ending);
            return false;
        }
        self.pending.extend(&block[..count]);
        if self.shared.recording
            && let Some(record) = lock(&self.shared.records).get_mut(self.number)
        {
            record.bytes.extend(&block[..count]);
        }
        true
    }
}
