//! `loadgen origin`: an HTTP origin whose answers are drawn from distributions.
//!
//! One thread per processor asked for, each with its own listening socket (or, on a Unix socket, a
//! duplicate of the one). SIGTERM or SIGINT drains: no more connections, idle ones are closed,
//! requests in progress are answered with `Connection: close`, within `--drain`; then exit 0. A
//! second signal ends at once.
//!
//! `plan.rs` draws what an answer is like, `exchange.rs` reads a request and sends it, `reply.rs`
//! and `content.rs` make its bytes, `record.rs` keeps how long each took. `multiplex.rs` does it
//! over HTTP/2, `call.rs` for gRPC. `fault.rs` says what can go wrong on purpose, `misbehave.rs`
//! does it, over HTTP/2 `mishap.rs`.

mod bell;
mod call;
mod content;
mod exchange;
mod fault;
mod misbehave;
mod mishap;
mod multiplex;
pub(crate) mod options;
mod plan;
mod record;
mod reply;

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::io::{self, Address, Listener, Runtime, Stream, Timer, clock};
use flume::{Receiver, Sender};

use self::options::OriginOptions;
use crate::descriptors;
use crate::random::Random;
use crate::transport::Protocol;
use crate::transport::door::Door;
use bell::Bell;
use exchange::{Origin, Served};
use plan::Defaults;
use record::Record;

/// Connections the kernel may hold for us; it cuts the number at `net.core.somaxconn`.
const BACKLOG: u32 = 4096;
/// The pause after an accept that failed: descriptors come back when connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How long a port may be in use that somebody else has just left.
const PORT_PATIENCE: Duration = Duration::from_secs(1);

/// Serves until a signal.
///
/// *Errors:* one sentence for the user; nothing was served.
pub(crate) fn run(options: &OriginOptions) -> Result<(), String> {
    options.check()?;
    descriptors::reserve(0)?;
    let door = Door::new(
        &options.tls,
        &[Protocol::Http2, Protocol::Http1],
        clock::wall(),
    )?;
    let placement = options.placement();
    let (sockets, address) = listen(&options.listen, placement.len())
        .map_err(|error| format!("cannot listen on {}: {error}", options.listen))?;
    let seen = Arc::new(AtomicBool::new(false));
    let mut signals =
        signals(&seen).map_err(|error| format!("cannot listen for signals: {error}"))?;

    let (sender, served) = flume::unbounded();
    let (mut threads, mut drains) = (Vec::new(), Vec::new());
    for (shard, (socket, cpu)) in sockets.into_iter().zip(placement).enumerate() {
        let (drain, orders) = flume::unbounded();
        let random = Random::new(options.seed, shard as u64);
        let (defaults, limit, sender) = (defaults(options), options.drain, sender.clone());
        let record = Record::wanted(options);
        let door = door.clone();
        let runtime = Runtime {
            cpu,
            name: format!("origin-{shard}"),
            ..Runtime::default()
        };
        let thread = runtime
            .start(move || {
                let origin = Origin::new(door, defaults, random, record);
                serve(socket, origin, limit, orders, sender)
            })
            .map_err(|error| format!("cannot start thread {shard}: {error}"))?;
        threads.push(thread);
        drains.push(drain);
    }
    drop(sender);
    let _ = writeln!(std::io::stdout(), "listening on {address}");

    signals.forever().next();
    seen.store(true, Ordering::Relaxed);
    for drain in &drains {
        // A thread that has ended needs no order to.
        let _ = drain.send(());
    }
    let (mut total, mut times) = (Served::default(), Record::wanted(options));
    for (served, record) in &served {
        total.add(&served);
        if let (Some(times), Some(record)) = (&mut times, record) {
            times.add(&record);
        }
    }
    for thread in threads {
        thread
            .join()
            .map_err(|error| format!("a thread failed: {error}"))?;
    }
    if let Address::Unix(path) = &options.listen {
        let _ = std::fs::remove_file(path);
    }
    let _ = writeln!(std::io::stderr(), "{total}");
    times.map_or(Ok(()), |times| times.write(options))
}

/// The root task of a shard: accepts until the drain, then waits for what is in progress.
async fn serve(
    socket: OwnedFd,
    origin: Origin,
    limit: Duration,
    drain: Receiver<()>,
    report: Sender<(Served, Option<Record>)>,
) {
    // The default slack of 50 us would be a part of every delay.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let origin = Rc::new(origin);
    let bell = Rc::clone(&origin.bell);
    io::spawn(async move {
        // An error means that the main thread is gone, which is an end as well.
        let _ = drain.recv_async().await;
        bell.ring();
    });
    // Nothing is ever sent over `alive`: it is closed when the last connection has ended.
    let (alive, ended) = flume::bounded::<()>(0);
    let adopt = |fd: OwnedFd| {
        let (origin, alive) = (Rc::clone(&origin), alive.clone());
        io::spawn(async move {
            exchange::serve(origin, Stream::from_fd(fd)).await;
            drop(alive);
        });
    };
    let listener = Listener::from_fd(socket);
    accept(&listener, &origin.bell, &adopt).await;
    // The queue of a Unix socket belongs to all shards: it goes when the last one drops it.
    if listener.address().is_some() {
        listener.close().await.into_iter().for_each(&adopt);
    } else {
        drop(listener);
    }
    drop(alive);
    let timer = Timer::new();
    timer.arm(clock::now() + limit);
    let _ = timer.guard(ended.recv_async()).await;
    let _ = report.send((origin.served(), origin.take_record()));
    io::stop();
}

async fn accept(listener: &Listener, bell: &Rc<Bell>, adopt: &impl Fn(OwnedFd)) {
    let seat = bell.seat();
    while let Some(accepted) = seat.until(listener.accept()).await {
        match accepted {
            Ok(fd) => adopt(fd),
            Err(_) => io::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn defaults(options: &OriginOptions) -> Defaults {
    Defaults {
        sizes: options.body_size.clone(),
        delays: options.delay.clone(),
        statuses: options.status.clone(),
        close_probability: options.close_probability,
        chunked: options.chunked,
        faults: options.fault.clone(),
        pace: options.pace,
    }
}

/// A listening socket for each of `count` shards, and where they listen in fact.
fn listen(address: &Address, count: usize) -> std::io::Result<(Vec<OwnedFd>, Address)> {
    match address {
        Address::Unix(path) => remove_stale(path),
        Address::Tcp(address) => await_free(*address)?,
    }
    let first = io::bind(address, BACKLOG)?;
    let mut sockets = Vec::with_capacity(count);
    let bound = match address {
        Address::Unix(_) => {
            for _ in 1..count {
                sockets.push(first.try_clone()?);
            }
            sockets.push(first);
            address.clone()
        }
        Address::Tcp(_) => {
            let first = TcpListener::from(first);
            let bound = Address::Tcp(first.local_addr()?);
            sockets.push(first.into());
            for _ in 1..count {
                sockets.push(io::bind(&bound, BACKLOG)?);
            }
            bound
        }
    };
    Ok((sockets, bound))
}

/// Waits until nobody listens on `address`: our sockets share their port, also with one that
/// somebody left running. A ring holds its sockets for some milliseconds longer than its process
/// lives.
///
/// *Errors:* it is not free within [`PORT_PATIENCE`].
#[expect(clippy::disallowed_methods, reason = "no shard runs yet")]
fn await_free(address: SocketAddr) -> std::io::Result<()> {
    let until = clock::now() + PORT_PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && clock::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result.map(drop),
        }
    }
}

/// Removes a socket file that nobody listens on any more.
fn remove_stale(path: &Path) {
    let refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    if UnixStream::connect(path).is_err_and(refused) {
        let _ = std::fs::remove_file(path);
    }
}

/// SIGINT and SIGTERM; once `seen`, either ends the program at once.
fn signals(seen: &Arc<AtomicBool>) -> std::io::Result<signal_hook::iterator::Signals> {
    let numbers = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
    for number in numbers {
        signal_hook::flag::register_conditional_shutdown(number, 1, Arc::clone(seen))?;
    }
    signal_hook::iterator::Signals::new(numbers)
}
