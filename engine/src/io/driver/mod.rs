//! The loop of one shard: run tasks, send, wait on the ring, deliver completions.
//!
//! ```text
//!   loop {
//!       run      every task that can go on
//!       flush    one send per connection with queued bytes
//!       wait     submit what is new; sleep until a completion or a deadline
//!       deliver  completions -> sockets -> tasks; passed deadlines -> tasks; who may begin now
//!   }
//! ```
//!
//! It runs as one glommio task and blocks in its own ring, not in glommio's reactor, which would
//! cost twice the processor time when traffic is paced. Only while a task waits for something of
//! glommio's (a file write) does the loop suspend now and then, so that glommio can make progress.
//!
//! Sending is delayed to the end of a batch so that a head and its body, and the answers to
//! pipelined requests, leave in one call; sending at once costs 40 % more at 16 KiB and up.

mod backlog;
mod lag;
pub(crate) mod secured;
pub(crate) mod send;
pub(crate) mod socket;
pub(crate) mod task;
pub(crate) mod timer;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::Result;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use slab::Slab;

use self::backlog::Backlog;
use self::lag::Lag;
use self::secured::Scratch;
use self::send::SendQueue;
use self::socket::{Afterwards, Receive, Role, Sending, Socket};
use self::task::Tasks;
use self::timer::Timers;
use super::clock::{self, Instant};
use super::ring::buffer::Pool;
use super::ring::{Completion, Kind, Operation, Ring, Token};
use crate::limits;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Driver>>> = const { RefCell::new(None) };
}

/// The driver of this thread.
///
/// # Panics
///
/// Outside a shard: sockets and timers exist only on a thread started by `Runtime`.
pub(crate) fn current() -> Rc<Driver> {
    CURRENT.with_borrow(|current| match current {
        Some(driver) => Rc::clone(driver),
        None => panic!("sockets, timers and tasks exist only on a shard (io::Runtime::start)"),
    })
}

/// Everything the shard's I/O consists of.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(super) ring: RefCell<Ring>,
    pub(crate) pool: Rc<Pool>,
    pub(crate) sockets: RefCell<Slab<Socket>>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) tasks: Tasks,
    generation: Cell<u16>,
    /// Sockets to look at when the batch ends.
    listed: RefCell<Vec<u32>>,
    /// Sockets that received more in this batch than may stay unread.
    swollen: RefCell<Vec<u32>>,
    /// Sockets whose receive ended because no block was free.
    starved: RefCell<Vec<u32>>,
    #[expect(clippy::vec_box, reason = "the box itself moves from socket to socket")]
    spare_queues: RefCell<Vec<Box<SendQueue>>>,
    /// Where ciphers work.
    scratch: RefCell<Scratch>,
    completions: RefCell<Vec<Completion>>,
    lag: RefCell<Lag>,
    backlog: RefCell<Backlog>,
    /// Tasks that wait for something of glommio's.
    pub(crate) foreign_waits: Cell<u32>,
    foreign_turn: Cell<Instant>,
    /// End although tasks are left.
    pub(crate) stopping: Cell<bool>,
}

impl Driver {
    /// The driver of the calling thread, which becomes a shard.
    pub(crate) fn new(blocks: u16, block_bytes: u32) -> Result<Rc<Self>> {
        let ring = Ring::new()?;
        let pool = Pool::new(blocks, block_bytes)?;
        ring.register(&pool)?;
        let driver = Rc::new(Self {
            ring: RefCell::new(ring),
            pool,
            sockets: RefCell::default(),
            timers: RefCell::default(),
            tasks: Tasks::new()?,
            generation: Cell::new(0),
            listed: RefCell::default(),
            swollen: RefCell::default(),
            starved: RefCell::default(),
            spare_queues: RefCell::default(),
            scratch: RefCell::default(),
            completions: RefCell::default(),
            lag: RefCell::default(),
            backlog: RefCell::default(),
            foreign_waits: Cell::new(0),
            foreign_turn: Cell::new(Instant::default()),
            stopping: Cell::new(false),
        });
        driver.watch_remote();
        CURRENT.with_borrow_mut(|current| *current = Some(Rc::clone(&driver)));
        Ok(driver)
    }

    /// Drive the shard until its last task has ended.
    pub(crate) async fn run(self: Rc<Self>) {
        loop {
            self.tasks.run();
            self.flush();
            if self.tasks.count() == 0 || self.stopping.get() {
                break;
            }
            let ended = clock::now();
            let turn = ended.since(clock::recent());
            if self.foreign_due() {
                glommio::timer::sleep(limits::FOREIGN_TURN).await;
            }
            self.wait(ended);
            let delivered = self.deliver();
            let now = clock::now();
            clock::set_recent(now);
            self.look_for_lag(turn, now);
            self.begin(delivered, now);
            self.timers.borrow_mut().fire(now);
        }
        self.shut_down();
    }

    // --- the four parts of a batch -------------------------------------------------------------

    /// Send what is queued, then settle receives that ran ahead or ran dry.
    fn flush(&self) {
        let mut listed = self.listed.take();
        for index in listed.drain(..) {
            self.send(index);
        }
        self.listed.replace(listed);
        if !self.swollen.borrow().is_empty() {
            self.pause_swollen();
        }
        if !self.starved.borrow().is_empty() && self.pool.recovered() {
            for index in self.starved.take() {
                self.arm_receive(index);
            }
        }
    }

    /// Whether there is something to do without waiting for it.
    fn has_work(&self) -> bool {
        self.tasks.ready() || self.foreign_waits.get() > 0 || !self.backlog.borrow().is_empty()
    }

    /// Submit and wait; the turn has ended at `now`.
    fn wait(&self, now: Instant) {
        let timeout = if self.has_work() {
            Some(Duration::ZERO)
        } else {
            let next = [self.timers.borrow().next(), self.backlog.borrow().next()];
            next.into_iter().flatten().min().map(|at| at.since(now))
        };
        let mut completions = self.completions.borrow_mut();
        self.ring.borrow_mut().wait(timeout, &mut completions);
    }

    /// Gives how many completions there were.
    fn deliver(&self) -> usize {
        let mut completions = self.completions.take();
        let count = completions.len();
        for completion in completions.drain(..) {
            let token = completion.token;
            match token.kind {
                Kind::Remote => {
                    self.tasks.remote().collect();
                    self.lag.borrow_mut().came(clock::now());
                    if !completion.more {
                        self.watch_remote();
                    }
                }
                Kind::Forgotten => {}
                Kind::Accept | Kind::Connect | Kind::Receive | Kind::Writable => {
                    self.complete(completion);
                }
            }
        }
        self.completions.replace(completions);
        count
    }

    pub(super) fn complete(&self, completion: Completion) {
        let index = completion.token.socket;
        let mut sockets = self.sockets.borrow_mut();
        let socket = sockets
            .get_mut(index as usize)
            .filter(|socket| socket.generation == completion.token.generation);
        let Some(socket) = socket else {
            debug_assert!(false, "a completion without a socket: {completion:?}");
            return;
        };
        if !completion.more {
            socket.pending -= 1;
        }
        match completion.token.kind {
            Kind::Receive => self.received(index, socket, completion),
            Kind::Writable => {
                if socket.sending == Sending::Blocked {
                    socket.sending = Sending::Listed;
                    self.listed.borrow_mut().push(index);
                }
            }
            Kind::Connect => connected(socket, completion.result),
            Kind::Accept => accepted(socket, completion),
            Kind::Forgotten | Kind::Remote => {}
        }
        if socket.orphan && socket.pending == 0 {
            sockets.remove(index as usize);
        }
    }

    fn received(&self, index: u32, socket: &mut Socket, completion: Completion) {
        if let (Some(block), Ok(bytes @ 1..)) = (completion.block, u32::try_from(completion.result))
        {
            let keep = !socket.orphan;
            self.pool.take(block, bytes, |buf| {
                if keep {
                    socket.receive_run(buf);
                }
            });
            if socket.has_reply() {
                self.list(index, socket);
            }
            if socket.is_swollen() {
                self.swollen.borrow_mut().push(index);
            }
        }
        if !completion.more {
            self.receive_ended(index, socket, completion.result);
        }
        self.arrived(index, socket);
    }

    /// The multishot receive is over: at the peer's FIN, by an error, or to be armed again.
    fn receive_ended(&self, index: u32, socket: &mut Socket, result: i32) {
        const NOBUFS: i32 = -Errno::NOBUFS.raw_os_error();
        const CANCELED: i32 = -Errno::CANCELED.raw_os_error();
        const INVAL: i32 = -Errno::INVAL.raw_os_error();
        socket.receive = match result {
            0 => Receive::Ended,
            NOBUFS => {
                self.starved.borrow_mut().push(index);
                self.pool.offer_more();
                Receive::Starved
            }
            // Several may be refused before the first refusal is seen.
            INVAL if socket.limited => {
                self.ring.borrow_mut().give_up_receive_limit();
                Receive::Off
            }
            1.. | CANCELED => Receive::Off,
            error => Receive::Failed(Errno::from_raw_os_error(-error)),
        };
        if socket.receive == Receive::Off && socket.is_open() && socket.has_room() {
            self.start_receive(index, socket);
        }
    }

    /// Looks how long what arrives waits, now that a turn begins after one that took `turn`.
    fn look_for_lag(&self, turn: Duration, now: Instant) {
        let mut lag = self.lag.borrow_mut();
        if lag.turn(turn, now) {
            self.tasks.remote().ring();
        }
        clock::set_lag(lag.get(now).max(self.backlog.borrow().age(now)));
    }

    /// Have wake-ups from other threads reported. The kernel ends the watch when the completion
    /// queue is full; without it the shard would never hear of them again.
    fn watch_remote(&self) {
        let fd = self.tasks.remote().eventfd().as_raw_fd();
        self.submit(Token::new(Kind::Remote, 0, 0), &Operation::Watch { fd });
    }

    // --- sockets -------------------------------------------------------------------------------

    /// Give a socket a slot.
    pub(crate) fn insert(&self, fd: OwnedFd, role: Role) -> u32 {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let index = self
            .sockets
            .borrow_mut()
            .insert(Socket::new(fd, generation, role));
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    pub(crate) fn submit(&self, token: Token, operation: &Operation<'_>) {
        self.ring.borrow_mut().push(token, operation);
    }

    /// Arm the receive of a socket that has none.
    pub(crate) fn start_receive(&self, index: u32, socket: &mut Socket) {
        debug_assert_eq!(socket.receive, Receive::Off);
        socket.receive = Receive::Armed;
        socket.limited = self.ring.borrow().limits_receives();
        socket.pending += 1;
        let token = Token::new(Kind::Receive, socket.generation, index);
        self.submit(token, &Operation::Receive { fd: socket.raw() });
    }

    fn arm_receive(&self, index: u32) {
        if let Some(socket) = self.sockets.borrow_mut().get_mut(index as usize)
            && socket.receive == Receive::Starved
            && socket.is_open()
        {
            socket.receive = Receive::Off;
            self.start_receive(index, socket);
        }
    }

    /// Cancel the receives whose bytes nobody took in this batch: TCP then slows the peer.
    fn pause_swollen(&self) {
        for index in self.swollen.take() {
            if let Some(socket) = self.sockets.borrow_mut().get_mut(index as usize)
                && socket.receive == Receive::Armed
                && socket.is_open()
                && socket.is_swollen()
            {
                socket.receive = Receive::Cancelling;
                self.cancel(Token::new(Kind::Receive, socket.generation, index));
            }
        }
    }

    pub(crate) fn cancel(&self, target: Token) {
        let token = Token::new(Kind::Forgotten, 0, 0);
        self.submit(token, &Operation::Cancel { target });
    }

    /// Have the socket's queue sent when the batch ends.
    pub(crate) fn list(&self, index: u32, socket: &mut Socket) {
        if socket.sending == Sending::Idle {
            socket.sending = Sending::Listed;
            self.listed.borrow_mut().push(index);
        }
    }

    fn send(&self, index: u32) {
        let mut sockets = self.sockets.borrow_mut();
        let Some(socket) = sockets.get_mut(index as usize) else {
            return;
        };
        if socket.orphan || socket.sending != Sending::Listed {
            return;
        }
        if let Some(queue) = socket.send(&mut self.scratch.borrow_mut()) {
            self.keep_queue(queue);
        }
        if socket.sending == Sending::Blocked {
            if self.pool.scarce()
                && let Some(queue) = &mut socket.queue
            {
                queue.release_blocks();
            }
            socket.pending += 1;
            let token = Token::new(Kind::Writable, socket.generation, index);
            self.submit(token, &Operation::Writable { fd: socket.raw() });
        } else if socket.afterwards == Afterwards::Close {
            self.close(index, socket);
        }
        socket.wake_writer();
    }

    /// An empty send queue, used before where there is one.
    pub(crate) fn take_queue(&self) -> Box<SendQueue> {
        self.spare_queues.borrow_mut().pop().unwrap_or_default()
    }

    fn keep_queue(&self, queue: Box<SendQueue>) {
        let mut spare = self.spare_queues.borrow_mut();
        if spare.len() < limits::SPARE_SEND_QUEUES && queue.worth_keeping() {
            spare.push(queue);
        }
    }

    /// The handle is gone: send what fits, cancel what is pending, close.
    pub(crate) fn release(&self, index: u32) {
        let mut sockets = self.sockets.borrow_mut();
        let Some(socket) = sockets.get_mut(index as usize) else {
            return;
        };
        // Before the send, which forgets that it was blocked: a poll for room that stayed would
        // hold the socket open for as long as the peer does not read.
        self.cancel_pending(index, socket);
        if socket.owes_notice() {
            socket.afterwards = Afterwards::Finish;
        }
        if socket.queued() > 0 || socket.afterwards == Afterwards::Finish {
            let queue = socket.send(&mut self.scratch.borrow_mut());
            queue.into_iter().for_each(|queue| self.keep_queue(queue));
        }
        self.close_descriptor(socket);
        socket.orphan = true;
        // Dropping the runs may put blocks back; the pool is not borrowed here.
        socket.received.clear();
        (socket.reader, socket.writer) = (None, None);
        if socket
            .secured
            .as_ref()
            .is_some_and(|secured| secured.has_panicked())
        {
            self.tasks.count_panic();
        }
        (socket.queue, socket.secured) = (None, None);
        if socket.pending == 0 {
            sockets.remove(index as usize);
        }
    }

    /// Close under the handle, which stays until its owner drops it.
    fn close(&self, index: u32, socket: &mut Socket) {
        self.cancel_pending(index, socket);
        self.close_descriptor(socket);
    }

    /// An operation that stays would keep the kernel from closing. Nothing is pending that has not
    /// been cancelled once the descriptor is gone.
    fn cancel_pending(&self, index: u32, socket: &Socket) {
        if socket.pending == 0 || !socket.is_open() {
            return;
        }
        for kind in [Kind::Receive, Kind::Writable, Kind::Connect, Kind::Accept] {
            if pending(socket, kind) {
                self.cancel(Token::new(kind, socket.generation, index));
            }
        }
    }

    fn close_descriptor(&self, socket: &mut Socket) {
        if let Some(fd) = socket.take_fd() {
            let token = Token::new(Kind::Forgotten, 0, 0);
            let fd = fd.into_raw_fd();
            self.submit(token, &Operation::Close { fd });
        }
    }

    // --- glommio, and the end ------------------------------------------------------------------

    /// Whether it is glommio's turn: something waits for it, and either nothing else is to be
    /// done or it has waited long enough.
    fn foreign_due(&self) -> bool {
        if self.foreign_waits.get() == 0 {
            return false;
        }
        let now = clock::now();
        if self.tasks.ready() && now < self.foreign_turn.get() {
            return false;
        }
        self.foreign_turn.set(now + limits::FOREIGN_INTERVAL);
        true
    }

    /// Let go of the ring only after every operation has completed, so that the kernel holds
    /// nothing of ours.
    fn shut_down(&self) {
        self.tasks.clear();
        let open: Vec<u32> = {
            let sockets = self.sockets.borrow();
            sockets
                .iter()
                .filter_map(|(index, _)| u32::try_from(index).ok())
                .collect()
        };
        for index in open {
            if self
                .sockets
                .borrow()
                .get(index as usize)
                .is_some_and(|socket| !socket.orphan)
            {
                self.release(index);
            }
        }
        let deadline = clock::now() + limits::SHUT_DOWN_WAIT;
        loop {
            let mut completions = self.completions.borrow_mut();
            let grace = Some(Duration::from_millis(1));
            self.ring.borrow_mut().wait(grace, &mut completions);
            drop(completions);
            self.deliver();
            if self.sockets.borrow().is_empty() || clock::now() > deadline {
                break;
            }
        }
        CURRENT.with_borrow_mut(|current| *current = None);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.sockets.borrow().is_empty() {
            // The kernel still holds operations on the pool: leaking it is the only safe end.
            std::mem::forget(Rc::clone(&self.pool));
        }
    }
}

/// Whether the kernel holds an operation of this kind for the socket.
fn pending(socket: &Socket, kind: Kind) -> bool {
    match kind {
        Kind::Receive => matches!(socket.receive, Receive::Armed | Receive::Cancelling),
        Kind::Writable => socket.sending == Sending::Blocked,
        Kind::Connect => matches!(socket.role, Role::Connecting(_)),
        Kind::Accept => {
            matches!(&socket.role, Role::Listening(accepted) if accepted.armed)
        }
        Kind::Forgotten | Kind::Remote => false,
    }
}

fn connected(socket: &mut Socket, result: i32) {
    socket.role = match result {
        0.. => Role::Connected,
        error => Role::ConnectFailed(Errno::from_raw_os_error(-error)),
    };
    socket.wake_reader();
}

fn accepted(socket: &mut Socket, completion: Completion) {
    if let Role::Listening(accepted) = &mut socket.role {
        accepted.armed = completion.more;
        match completion.result {
            fd @ 0.. => {
                // JUSTIFICATION: the kernel hands over the descriptor as a number.
                // SAFETY: a successful accept completion gives a new descriptor that nobody else
                // owns, and each completion is delivered once.
                accepted
                    .sockets
                    .push_back(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) });
            }
            error => accepted.error = Some(Errno::from_raw_os_error(-error)),
        }
    }
    socket.wake_reader();
}

/// Await something of glommio's (a file operation) on a task of this shard.
pub(crate) async fn foreign<F: Future>(future: F) -> F::Output {
    /// Counts the wait while it lives, so that it is over also when the future is dropped.
    struct Waiting(Rc<Driver>);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.foreign_waits.set(self.0.foreign_waits.get() - 1);
        }
    }
    let driver = current();
    driver.foreign_waits.set(driver.foreign_waits.get() + 1);
    let _waiting = Waiting(driver);
    future.await
}
