//! A peer of HTTP/2 that is written frame by frame, so that a test decides every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// What a client sends first.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// Types of frames.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
/// END_STREAM and END_HEADERS.
pub(crate) const END: u8 = 0x5;

/// One end of a connection, after or before its beginning.
pub(crate) struct Peer {
    /// The connection.
    pub(crate) stream: TcpStream,
}

impl Peer {
    /// Reads the preface and sends SETTINGS.
    pub(crate) fn greet(&mut self, settings: &[(u16, u32)]) {
        let mut preface = [0; 24];
        self.stream.read_exact(&mut preface).expect("a preface");
        assert_eq!(&preface, PREFACE);
        let pair =
            |&(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let payload: Vec<u8> = settings.iter().flat_map(pair).collect();
        self.send(SETTINGS, 0, 0, &payload);
        self.send(SETTINGS, 1, 0, &[]);
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // A peer that has gone away is seen by whoever reads.
        let _ = self.stream.write_all(&frame);
    }

    /// The next frame: kind, flags, stream, payload; `None` when the client has closed.
    pub(crate) fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, payload))
    }

    /// Skips to the next frame of this kind: its stream and payload.
    pub(crate) fn until(&mut self, kind: u8) -> (u32, Vec<u8>) {
        loop {
            let (got, _, stream, payload) = self.frame().expect("a frame");
            if got == kind {
                return (stream, payload);
            }
        }
    }

    /// Answers with status 200 and nothing else.
    pub(crate) fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END, stream, &[0x88]);
    }
}

/// Lets `act` serve the first connection, in a thread.
pub(crate) fn peer<T: Send + 'static>(
    act: impl FnOnce(&mut Peer) -> T + Send + 'static,
) -> (SocketAddr, std::thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let builder = std::thread::Builder::new().name("peer".into());
    let thread = builder.spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        act(&mut Peer { stream })
    });
    (address, thread.expect("a thread"))
}
