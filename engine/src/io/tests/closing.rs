//! How connections end: dropped, reset or closed, also while the peer does not read.

use super::super::driver::socket::Sending;
use super::*;

/// A stream whose peer does not read and whose kernel buffer is full, with some bytes queued.
async fn blocked() -> (Stream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("pair");
    let stream = Stream::from_fd(near.into());
    // The batch's clock does not stand still before the first batch.
    sleep(Duration::from_millis(1)).await;
    while stream.queued() == 0 {
        stream.write(|out| out.extend_from_slice(&[b'x'; 1000]));
        // A batch, at whose end the bytes leave.
        sleep(Duration::from_micros(1)).await;
    }
    let driver = driver::current();
    let sockets = driver.sockets.borrow();
    assert!(
        sockets
            .iter()
            .all(|(_, socket)| socket.sending == Sending::Blocked)
    );
    drop(sockets);
    (stream, far)
}

#[test]
fn a_blocked_stream_that_is_dropped_leaves_nothing_even_if_its_last_bytes_fit() {
    on_shard(|| async {
        let (stream, mut far) = blocked().await;
        // Room for what is queued, but too little for the kernel to call the socket writable.
        far.read_exact(&mut [0; 3000]).expect("read");
        drop(stream);
        sleep(Duration::from_millis(20)).await;
        assert!(driver::current().sockets.borrow().is_empty());
        drop(far);
    });
}

#[test]
fn a_blocked_stream_that_is_reset_sends_no_fin() {
    on_shard(|| async {
        let (stream, mut far) = blocked().await;
        stream.reset();
        stream.shutdown_send();
        assert!(stream.drained(0).await.is_err());
        far.set_nonblocking(true).expect("nonblocking");
        let mut chunk = [0; 4096];
        while far.read(&mut chunk).is_ok() {}
        sleep(Duration::from_millis(5)).await;
        let end = far.read(&mut chunk).expect_err("an orderly end");
        assert_eq!(end.kind(), std::io::ErrorKind::WouldBlock);
        drop(stream);
        sleep(Duration::from_millis(5)).await;
        assert!(driver::current().sockets.borrow().is_empty());
    });
}

#[test]
fn a_cut_is_told_to_the_reader_that_waits_and_nothing_more_is_read() {
    on_shard(|| async {
        let (near, mut far) = UnixStream::pair().expect("pair");
        let stream = Rc::new(Stream::from_fd(near.into()));
        let (reader, told) = (Rc::clone(&stream), Rc::new(Cell::new(false)));
        let tell = Rc::clone(&told);
        let cutter = stream.cutter();
        spawn(async move { tell.set(reader.recv().await.is_err()) });
        sleep(Duration::from_millis(1)).await;
        assert!(!told.get() && !stream.is_cut());
        cutter.cut();
        sleep(Duration::from_millis(1)).await;
        assert!(told.get() && stream.is_cut());
        far.write_all(b"late").expect("written");
        sleep(Duration::from_millis(5)).await;
        assert!(stream.recv().await.is_err());
        assert!(stream.drained(0).await.is_err());
        drop(stream);
        // Of another connection in its place it knows nothing.
        let (near, _far) = UnixStream::pair().expect("pair");
        sleep(Duration::from_millis(5)).await;
        let next = Stream::from_fd(near.into());
        cutter.cut();
        assert!(!next.is_cut());
    });
}

#[test]
fn a_reset_is_told_to_the_writer_that_waits() {
    on_shard(|| async {
        let (stream, _far) = blocked().await;
        let stream = Rc::new(stream);
        let (writer, told) = (Rc::clone(&stream), Rc::new(Cell::new(false)));
        let tell = Rc::clone(&told);
        spawn(async move { tell.set(writer.drained(0).await.is_err()) });
        sleep(Duration::from_millis(1)).await;
        stream.reset();
        sleep(Duration::from_millis(1)).await;
        assert!(told.get());
        end_other_tasks();
    });
}

#[test]
fn what_is_queued_is_read_to_its_end_before_the_close_also_when_the_handle_stays() {
    const TOTAL: usize = 8 << 20;
    for total in [1, TOTAL] {
        on_shard(move || async move {
            let listener = Listener::bind(&any_port(), 16).expect("bind");
            let address = listener.address().expect("tcp");
            let client = std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let mut stream = TcpStream::connect(address).expect("connect");
                stream.read_to_end(&mut bytes).expect("an orderly end");
                bytes.len()
            });
            let stream = Stream::from_fd(listener.accept().await.expect("accept"));
            assert!(stream.poll_recv(&no_waker()).is_pending());
            stream.push(Buf::from_vec(vec![b'x'; total]));
            stream.close_when_sent();
            stream.drained(0).await.expect("sent");
            while !client.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(client.join().expect("client"), total);
            drop((stream, listener));
            sleep(Duration::from_millis(20)).await;
            assert!(driver::current().sockets.borrow().is_empty());
        });
    }
}

#[test]
fn what_is_written_after_the_close_goes_nowhere() {
    on_shard(|| async {
        let (near, mut far) = UnixStream::pair().expect("pair");
        let (closed, other) = (Stream::from_fd(near.into()), UnixStream::pair());
        closed.write(|out| out.extend_from_slice(b"last"));
        closed.close_when_sent();
        closed.drained(0).await.expect("sent");
        closed.write(|out| out.extend_from_slice(b"late"));
        assert!(closed.drained(0).await.is_err());
        drop(closed);
        // The next connection takes over the queue, and finds it empty.
        let (near, mut next) = other.expect("pair");
        let stream = Stream::from_fd(near.into());
        stream.write(|out| out.extend_from_slice(b"own"));
        stream.drained(0).await.expect("sent");
        drop(stream);
        sleep(Duration::from_millis(5)).await;
        for (peer, expected) in [(&mut far, "last"), (&mut next, "own")] {
            let mut received = String::new();
            peer.read_to_string(&mut received).expect("an orderly end");
            assert_eq!(received, expected);
        }
    });
}

#[test]
fn accepted_connections_do_not_wait_for_acknowledgements() {
    on_shard(|| async {
        let listener = Listener::bind(&any_port(), 16).expect("bind");
        let address = listener.address().expect("tcp");
        let client = TcpStream::connect(address).expect("connect");
        let accepted = listener.accept().await.expect("accept");
        assert!(
            socket2::SockRef::from(&accepted)
                .tcp_nodelay()
                .expect("a TCP socket")
        );
        drop(client);
    });
}

fn any_port() -> Address {
    Address::Tcp(([127, 0, 0, 1], 0).into())
}
