//! Who goes first on a shard that lags.

use std::cell::RefCell;
use std::future::poll_fn;

use super::*;

/// Connections that wait for something to begin with; the one after them is busy.
const IDLE: usize = 100;

/// In which order connections of a shard go on that receive something at once, the busy one last.
/// Before that, each batch of the shard takes `batch`.
async fn order(batch: Duration, is_ready: impl Fn() -> bool) -> Vec<usize> {
    let order: Rc<RefCell<Vec<usize>>> = Rc::default();
    let mut peers = Vec::new();
    for number in 0..=IDLE {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        peers.push(theirs);
        let (stream, order) = (Stream::from_fd(ours.into()), Rc::clone(&order));
        spawn(async move {
            if number < IDLE {
                poll_fn(|cx| stream.poll_closed_or_readable(cx)).await;
            }
            let received = stream.recv().await.expect("recv").expect("open");
            assert_eq!(received.first(), Some(&b'x'));
            order.borrow_mut().push(number);
        });
    }
    sleep(Duration::from_millis(1)).await;
    while !is_ready() {
        std::thread::sleep(batch);
        sleep(Duration::ZERO).await;
    }
    for peer in &mut peers {
        peer.write_all(b"x").expect("write");
    }
    while order.borrow().len() <= IDLE {
        // More, and the end, for those whose turn has not come.
        peers.pop().into_iter().for_each(|mut peer| {
            let _ = peer.write_all(b"y");
        });
        sleep(Duration::ZERO).await;
    }
    order.take()
}

#[test]
fn on_a_shard_that_lags_what_is_under_way_goes_before_what_begins() {
    on_shard(|| async {
        let lags = || clock::lag() > limits::BACKLOG_LAG;
        let mut order = order(Duration::from_millis(15), lags).await;
        let busy = order.iter().position(|number| *number == IDLE);
        let busy = busy.expect("it went on");
        assert!(busy < IDLE / 2, "{order:?}");
        order.remove(busy);
        order.sort_unstable();
        assert_eq!(order, Vec::from_iter(0..IDLE), "nobody is left out");
    });
}

#[test]
fn on_a_shard_that_keeps_up_they_go_as_they_come() {
    on_shard(|| async {
        let order = order(Duration::ZERO, || true).await;
        assert_eq!(order, Vec::from_iter(0..=IDLE));
    });
}

#[test]
fn who_waits_to_begin_may_go_away() {
    on_shard(|| async {
        let order: Rc<Cell<usize>> = Rc::default();
        let mut peers = Vec::new();
        for _ in 0..IDLE {
            let (ours, theirs) = UnixStream::pair().expect("a pair");
            peers.push(theirs);
            let (stream, order) = (Stream::from_fd(ours.into()), Rc::clone(&order));
            spawn(async move {
                let timer = Timer::new();
                timer.arm(clock::now() + Duration::from_secs(1));
                let begins = poll_fn(|cx| stream.poll_closed_or_readable(cx));
                let _ = timer.guard(begins).await;
                order.set(order.get() + 1);
            });
        }
        sleep(Duration::from_millis(1)).await;
        while clock::lag() <= limits::BACKLOG_LAG {
            std::thread::sleep(Duration::from_millis(15));
            sleep(Duration::ZERO).await;
        }
        for peer in &mut peers {
            peer.write_all(b"x").expect("write");
        }
        // Their clients are gone while they wait, and others have their slots.
        peers.clear();
        end_other_tasks();
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let stream = Stream::from_fd(ours.into());
        theirs.write_all(b"z").expect("write");
        poll_fn(|cx| stream.poll_closed_or_readable(cx)).await;
        assert_eq!(read_exactly(&stream, 1).await, b"z");
        assert!(order.get() <= IDLE);
    });
}
