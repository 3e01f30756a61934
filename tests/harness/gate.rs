//! A gate before a server: what goes through it can be cut off and let in again, while the server
//! and everybody else's connections to it stay as they are.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
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
        for stream in self.shared.streams().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets new connections through.
    pub(crate) fn open(&self) {
        self.shared.is_open.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, near: TcpStream, server: SocketAddr) -> io::Result<()> {
        let far = TcpStream::connect(server)?;
        let mut streams = self.streams();
        for (from, to) in [(&near, &far), (&far, &near)] {
            from.set_nodelay(true)?;
            streams.push(from.try_clone()?);
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            thread::spawn(move || {
                let _ended = carry(from, &to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        Ok(())
    }
}

fn carry(mut from: TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
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
