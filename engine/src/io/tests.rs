//! The driver against real sockets of this machine: needs io_uring.

#![expect(
    clippy::disallowed_methods,
    reason = "the peers of these tests are plain threads"
)]

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use super::driver::socket::{Receive, Role};
use super::ring::{Completion, Kind, Token};
use super::*;
use crate::limits;

mod backlog;
mod closing;

/// Run `root` on a shard of its own and fail if it fails.
fn on_shard<F: Future<Output = ()> + 'static>(root: impl FnOnce() -> F + Send + 'static) {
    on_shard_with(Runtime::default(), root);
}

fn on_shard_with<F: Future<Output = ()> + 'static>(
    runtime: Runtime,
    root: impl FnOnce() -> F + Send + 'static,
) {
    let (done, result) = std::sync::mpsc::channel();
    let thread = runtime
        .start(move || async move {
            root().await;
            done.send(()).expect("the test waits");
        })
        .expect("a shard starts");
    thread.join().expect("the shard ends");
    result.try_recv().expect("the root task did not panic");
}

/// Echo on a plain thread until the peer closes; returns its address.
fn echo_peer() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accept");
            std::thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut chunk) {
                    if stream.write_all(&chunk[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Address::Tcp(address)
}

async fn read_exactly(stream: &Stream, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let buf = stream.recv().await.expect("recv").expect("open");
        bytes.extend_from_slice(&buf);
    }
    bytes
}

#[test]
fn bytes_go_out_and_come_back() {
    let peer = echo_peer();
    on_shard(move || async move {
        let stream = Stream::connect(&peer).await.expect("connect");
        stream.write(|out| out.extend_from_slice(b"hello "));
        stream.push(Buf::from_vec(b"world".to_vec()));
        assert_eq!(read_exactly(&stream, 11).await, b"hello world");
        assert!(stream.quiet());
        stream.shutdown_send();
        assert!(stream.recv().await.expect("recv").is_none());
        assert!(!stream.quiet());
    });
}

#[test]
fn a_large_transfer_survives_backpressure_and_an_empty_pool() {
    let peer = echo_peer();
    let runtime = Runtime {
        buffer_count: 8,
        buffer_bytes: 4096,
        ..Runtime::default()
    };
    on_shard_with(runtime, move || async move {
        const TOTAL: usize = 8 << 20;
        let stream = Rc::new(Stream::connect(&peer).await.expect("connect"));
        let writer = Rc::clone(&stream);
        spawn(async move {
            let mut sent = 0;
            while sent < TOTAL {
                let run: Vec<u8> = (sent..sent + 65536).map(|at| (at % 251) as u8).collect();
                sent += run.len();
                writer.push(Buf::from_vec(run));
                writer.drained(65536).await.expect("send");
            }
        });
        let mut held = Vec::new();
        let mut received = 0;
        while received < TOTAL {
            let buf = stream.recv().await.expect("recv").expect("open");
            assert!(
                buf.iter()
                    .enumerate()
                    .all(|(at, byte)| { usize::from(*byte) == (received + at) % 251 })
            );
            received += buf.len();
            held.push(buf); // A reader that hoards must not starve the shard.
            if held.len() > 40 {
                held.clear();
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

#[test]
fn tasks_that_hold_most_blocks_while_they_wait_do_not_stop_the_shard() {
    let peer = echo_peer();
    let runtime = Runtime {
        buffer_count: 16,
        buffer_bytes: 4096,
        ..Runtime::default()
    };
    on_shard_with(runtime, move || async move {
        let left = Rc::new(Cell::new(40));
        for _ in 0..40 {
            let (peer, left) = (peer.clone(), Rc::clone(&left));
            spawn(async move {
                let stream = Stream::connect(&peer).await.expect("connect");
                stream.write(|out| out.push(b'1'));
                let held = stream.recv().await.expect("recv").expect("open");
                for _ in 0..20 {
                    stream.write(|out| out.extend_from_slice(&[b'2'; 6000]));
                    assert_eq!(read_exactly(&stream, 6000).await, [b'2'; 6000]);
                }
                assert_eq!(&*held, b"1");
                left.set(left.get() - 1);
            });
        }
        while left.get() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn what_a_stalled_reader_holds_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = Address::Tcp(listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        // Until the reader has gone.
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    on_shard(move || async move {
        const BOUND: usize = limits::RECEIVED_BYTES_MAX + limits::RECEIVED_BYTES_RESUME;
        let stream = Stream::connect(&address).await.expect("connect");
        let held = || {
            let driver = driver::current();
            let sockets = driver.sockets.borrow();
            sockets
                .iter()
                .map(|(_, socket)| socket.received_bytes)
                .max()
        };
        for _ in 0..20 {
            let run = stream.recv().await.expect("recv").expect("open");
            assert!(!run.is_empty());
            sleep(Duration::from_millis(5)).await;
            // Older kernels overshoot by what they had buffered; see `give_up_receive_limit`.
            if driver::current().ring.borrow().limits_receives() {
                assert!(held() <= Some(BOUND), "{:?}", held());
            }
        }
    });
}

#[test]
fn a_relay_between_two_streams_copies_nothing_and_loses_nothing() {
    let peer = echo_peer();
    on_shard(move || async move {
        let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".parse().expect("address")), 16)
            .expect("bind");
        let address = listener.address().expect("tcp");
        let client = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("connect");
            let body = vec![b'b'; 1 << 20];
            let mut writer = stream.try_clone().expect("clone");
            let sent = body.clone();
            std::thread::spawn(move || {
                writer.write_all(&sent).expect("write");
                writer
                    .shutdown(std::net::Shutdown::Write)
                    .expect("shutdown");
            });
            let mut back = Vec::new();
            stream.read_to_end(&mut back).expect("read");
            assert!(back == body);
        });
        let down = Rc::new(Stream::from_fd(listener.accept().await.expect("accept")));
        let up = Rc::new(Stream::connect(&peer).await.expect("connect"));
        let open = Rc::new(Cell::new(2));
        for (from, to) in [(Rc::clone(&down), Rc::clone(&up)), (up, down)] {
            let open = Rc::clone(&open);
            spawn(async move {
                while let Some(buf) = from.recv().await.expect("recv") {
                    to.push(buf);
                    to.drained(65536).await.expect("send");
                }
                to.shutdown_send();
                to.drained(0).await.expect("send");
                open.set(open.get() - 1);
            });
        }
        while open.get() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        client.join().expect("client");
    });
}

#[test]
fn a_refused_connection_is_an_error_and_frees_its_slot() {
    on_shard(|| async {
        let unused = TcpListener::bind("127.0.0.1:0")
            .expect("bind")
            .local_addr()
            .expect("addr");
        let error = Stream::connect(&Address::Tcp(unused))
            .await
            .expect_err("nobody listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        yield_now().await;
        assert!(driver::current().sockets.borrow().is_empty());
    });
}

#[test]
fn an_abandoned_wait_gives_everything_back() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = Address::Tcp(silent.local_addr().expect("address"));
    on_shard(move || async move {
        let timer = Timer::new();
        for _ in 0..100 {
            let stream = Stream::connect(&address).await.expect("connect");
            timer.arm(clock::now() + Duration::from_micros(10));
            assert!(timer.guard(stream.recv()).await.is_err());
        }
        while !driver::current().sockets.borrow().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(
            driver::current().pool.free(),
            Runtime::default().buffer_count
        );
        drop(silent);
    });
}

#[test]
fn a_panic_ends_one_task_and_not_the_shard() {
    on_shard(|| async {
        std::panic::set_hook(Box::new(|_| {}));
        spawn(async { panic!("a bug") });
        yield_now().await;
        yield_now().await;
        assert_eq!(take_task_panics(), 1);
        drop(std::panic::take_hook());
    });
}

#[test]
fn another_thread_wakes_a_task_of_the_shard() {
    let (sender, receiver) = flume::bounded(1);
    std::thread::spawn(move || {
        for number in 0..1000 {
            sender.send(number).expect("the shard listens");
        }
    });
    on_shard(move || async move {
        for expected in 0..1000 {
            assert_eq!(receiver.recv_async().await, Ok(expected));
        }
    });
}

#[test]
fn sleeps_are_not_early() {
    on_shard(|| async {
        for micros in [1, 50, 700, 3000] {
            let before = clock::now();
            let pause = Duration::from_micros(micros);
            sleep(pause).await;
            assert!(clock::now() - before >= pause);
        }
    });
}

#[test]
fn unread_comes_first_and_reset_is_seen_by_the_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = Address::Tcp(listener.local_addr().expect("address"));
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        stream.write_all(b"abc").expect("write");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect_err("reset").kind()
    });
    on_shard(move || async move {
        let stream = Stream::connect(&address).await.expect("connect");
        let mut buf = stream.recv().await.expect("recv").expect("open");
        let front = buf.split_to(1);
        stream.unread(buf);
        stream.unread(front);
        assert!(!stream.quiet());
        assert_eq!(read_exactly(&stream, 3).await, b"abc");
        stream.reset();
    });
    assert_eq!(
        peer.join().expect("peer"),
        std::io::ErrorKind::ConnectionReset
    );
}

#[test]
fn lines_are_appended_while_traffic_goes_on() {
    let peer = echo_peer();
    let path = std::env::temp_dir().join(format!("weft-append-{}", std::process::id()));
    let file = path.clone();
    on_shard(move || async move {
        let log = AppendFile::open(&file).await.expect("open");
        let stream = Stream::connect(&peer).await.expect("connect");
        for round in 0..100 {
            stream.write(|out| out.extend_from_slice(b"ping"));
            log.append(format!("line {round}\n").into_bytes())
                .await
                .expect("append");
            assert_eq!(read_exactly(&stream, 4).await, b"ping");
        }
        log.close().await.expect("close");
    });
    let written = std::fs::read_to_string(&path).expect("read");
    std::fs::remove_file(&path).expect("remove");
    let expected: String = (0..100).map(|round| format!("line {round}\n")).collect();
    assert_eq!(written, expected);
}

#[test]
fn closing_a_listener_gives_what_the_kernel_had_accepted() {
    on_shard(|| async {
        let any = Address::Tcp("127.0.0.1:0".parse().expect("address"));
        let listener = Listener::bind(&any, 16).expect("bind");
        let address = listener.address().expect("tcp");
        let clients: Vec<TcpStream> = (0..5)
            .map(|_| TcpStream::connect(address).expect("connect"))
            .collect();
        let first = listener.accept().await.expect("accept");
        let rest = listener.close().await;
        assert_eq!(rest.len() + 1, clients.len());
        assert!(TcpStream::connect(address).is_err());
        drop(first);
    });
}

#[test]
fn closing_a_unix_listener_that_waits_ends() {
    let path = std::env::temp_dir().join(format!("weft-close-{}", std::process::id()));
    let address = Address::Unix(path.clone());
    on_shard(move || async move {
        let socket = bind(&address, 16).expect("bind");
        let listener = Listener::from_fd(socket.try_clone().expect("clone"));
        let timer = Timer::new();
        timer.arm(clock::now() + Duration::from_millis(5));
        assert!(timer.guard(listener.accept()).await.is_err());
        assert_eq!(listener.close().await.len(), 0);
    });
    std::fs::remove_file(&path).expect("remove");
}

#[test]
fn stop_ends_a_shard_whose_tasks_wait_for_ever() {
    on_shard(|| async {
        spawn(std::future::pending());
        stop();
    });
}

#[test]
fn ending_the_others_drops_what_they_hold_now() {
    struct Told(Rc<Cell<u32>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    on_shard(|| async {
        let dropped = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let told = Told(Rc::clone(&dropped));
            spawn(async move {
                std::future::pending::<()>().await;
                drop(told);
            });
        }
        yield_now().await;
        end_other_tasks();
        assert_eq!(dropped.get(), 3);
        sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn wakes_from_other_threads_arrive_after_the_kernel_ended_the_watch() {
    let (sender, receiver) = flume::bounded(1);
    on_shard(move || async move {
        // As when the completion queue is full.
        driver::current().cancel(Token::new(Kind::Remote, 0, 0));
        let told = Rc::new(Cell::new(false));
        let tell = Rc::clone(&told);
        spawn(async move { tell.set(receiver.recv_async().await.is_ok()) });
        sleep(Duration::from_millis(1)).await;
        let other = std::thread::spawn(move || sender.send(()));
        sleep(Duration::from_millis(20)).await;
        // A task that is never woken must not keep the shard.
        stop();
        assert!(told.get());
        other.join().expect("sender").expect("the shard listens");
    });
}

#[test]
fn every_receive_refused_for_its_limit_is_armed_again_without() {
    on_shard(|| async {
        let driver = driver::current();
        let (mut peers, mut armed) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let (near, far) = UnixStream::pair().expect("pair");
            let index = driver.insert(near.into(), Role::Connected);
            let socket = &mut driver.sockets.borrow_mut()[index as usize];
            (socket.receive, socket.pending, socket.limited) = (Receive::Armed, 1, true);
            armed.push(Token::new(Kind::Receive, socket.generation, index));
            peers.push(far);
        }
        for token in &armed {
            driver.complete(Completion {
                token: *token,
                result: -rustix::io::Errno::INVAL.raw_os_error(),
                more: false,
                block: None,
            });
        }
        for peer in &mut peers {
            peer.write_all(b"x").expect("write");
        }
        sleep(Duration::from_millis(5)).await;
        for token in armed {
            let received = driver.sockets.borrow()[token.socket as usize].received_bytes;
            assert_eq!(received, 1);
            driver.release(token.socket);
        }
    });
}

fn no_waker() -> std::task::Context<'static> {
    std::task::Context::from_waker(std::task::Waker::noop())
}

#[test]
fn a_stalled_reader_holds_few_runs_however_small_they_are() {
    let (near, mut far) = UnixStream::pair().expect("pair");
    on_shard(move || async move {
        let stream = Stream::from_fd(near.into());
        far.set_nonblocking(true).expect("nonblocking");
        assert!(stream.poll_recv(&no_waker()).is_pending());
        let mut sent = 0;
        for _ in 0..3 * limits::RECEIVED_RUNS_MAX {
            // The kernel's own buffer ends somewhere.
            sent += far.write(b"x").unwrap_or(0);
            sleep(Duration::from_micros(1)).await;
        }
        let driver = driver::current();
        let held = driver
            .sockets
            .borrow()
            .iter()
            .map(|(_, socket)| socket.received.count())
            .max();
        assert!(held <= Some(limits::RECEIVED_RUNS_MAX + 32), "{held:?}");
        assert_eq!(read_exactly(&stream, sent).await.len(), sent);
    });
}

#[test]
fn a_panic_in_what_a_task_drops_does_not_spoil_the_end() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a bug");
        }
    }
    on_shard(|| async {
        spawn(async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        });
        sleep(Duration::from_millis(1)).await;
        stop();
    });
}
