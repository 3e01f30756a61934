//! A gate before a server: what goes through it can be cut off and let in again, or held up, while
//! the server and everybody else's connections to it stay as they are.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{ports, wait};

/// An open or closed way to one server.
pub(crate) struct Gate {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    is_open: AtomicBool,
    is_over: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
    /// What does not go through: all is cut before it, once.
    trap: Mutex<Option<Vec<u8>>>,
    /// How long what the server says is held up.
    delay: Mutex<Duration>,
}

impl Gate {
    /// An open gate before `server`.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let address = ports::free();
        let listener = wait::until("the gate's port", || TcpListener::bind(address).ok());
        let shared = Arc::new(Shared {
            is_open: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            streams: Mutex::default(),
            trap: Mutex::default(),
            delay: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.is_over.load(Ordering::SeqCst) {
                    return;
                }
                if accepting.is_open.load(Ordering::SeqCst)
                    && let Ok(stream) = stream
                {
                    let _gone = accepting.pass(stream, server);
                }
            }
        });
        Self { address, shared }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts what goes through, and lets nothing through any more.
    pub(crate) fn close(&self) {
        self.shared.is_open.store(false, Ordering::SeqCst);
        self.shared.cut();
    }

    /// Lets new connections through.
    pub(crate) fn open(&self) {
        self.shared.is_open.store(true, Ordering::SeqCst);
    }

    /// Cuts what goes through as soon as somebody says `text` in one piece, which does not arrive.
    pub(crate) fn cut_before(&self, text: &str) {
        *lock(&self.shared.trap) = Some(text.as_bytes().to_vec());
    }

    /// Whether that has happened.
    pub(crate) fn has_cut(&self) -> bool {
        lock(&self.shared.trap).is_none()
    }

    /// Holds up each piece that the server says.
    pub(crate) fn slow(&self, delay: Duration) {
        *lock(&self.shared.delay) = delay;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn cut(&self) {
        for stream in lock(&self.streams).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn pass(self: &Arc<Self>, near: TcpStream, server: SocketAddr) -> io::Result<()> {
        let far = TcpStream::connect(server)?;
        let mut streams = lock(&self.streams);
        for (from, to, is_answer) in [(&near, &far, false), (&far, &near, true)] {
            from.set_nodelay(true)?;
            streams.push(from.try_clone()?);
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let _ended = shared.carry(from, &to, is_answer);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        Ok(())
    }

    fn carry(&self, mut from: TcpStream, mut to: &TcpStream, is_answer: bool) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let count = from.read(&mut buffer)?;
            let piece = &buffer[..count];
            if count == 0 {
                return Ok(());
            }
            let mut trap = lock(&self.trap);
            let is_in = |text: &Vec<u8>| piece.windows(text.len()).any(|it| it == text);
            if trap.as_ref().is_some_and(is_in) {
                *trap = None;
                self.cut();
                return Ok(());
            }
            drop(trap);
            if is_answer {
                let delay = *lock(&self.delay);
                wait::pass(delay);
            }
            to.write_all(piece)?;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}
