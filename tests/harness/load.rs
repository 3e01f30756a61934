//! Requests that go on while a test does something else, none of which may be lost by it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::{Client, wait};

/// The requests.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicU32>,
    failed: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sends `request` again and again, on connections that are kept and on new ones.
    pub(crate) fn start(to: SocketAddr, request: &str) -> Self {
        let (is_over, answered, failed) = Default::default();
        let mut load = Self {
            is_over,
            answered,
            failed,
            threads: Vec::new(),
        };
        for is_kept in [true, true, false] {
            let (is_over, answered) = (Arc::clone(&load.is_over), Arc::clone(&load.answered));
            let (failed, request) = (Arc::clone(&load.failed), request.to_owned());
            load.threads.push(thread::spawn(move || {
                let (mut client, mut is_closed) = (Client::connect(to), false);
                while !is_over.load(Ordering::Relaxed) {
                    if is_closed || !is_kept {
                        client = Client::connect(to);
                    }
                    let response = client.exchange(&request);
                    is_closed = response.field("Connection") == Some("close");
                    if response.status() == 200 {
                        answered.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let text = format!("{}: {}", response.status(), response.text());
                        failed.lock().expect("no panic").push(text);
                    }
                }
            }));
        }
        load
    }

    /// Waits until so many more were answered by 200.
    pub(crate) fn goes_on(&self, count: u32) {
        let before = self.answered.load(Ordering::Relaxed);
        wait::for_("requests to flow", || {
            self.answered.load(Ordering::Relaxed) >= before + count
        });
    }

    /// Ends it. None may have failed.
    pub(crate) fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("an answer to every request");
        }
        assert_eq!(*self.failed.lock().expect("no panic"), [""; 0]);
    }
}
