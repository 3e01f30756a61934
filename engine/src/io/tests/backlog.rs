//! Who goes first on a shard that lags.

use std::cell::RefCell;
use std::future::poll_fn;

use super::*;

/// Connections that wait for something to begin with; the one after them is busy.
const IDLE: usize = 100;

/// Keeps the shard from its work until it lags.
async fn lag() {
    while clock::lag() <= limits::BACKLOG_LAG {
        std::thread::sleep(Duration::from_millis(15));
        sleep(Duration::ZERO).await;
    }
}

/// In which order connections of a shard go on that receive something at once, the busy one last,
/// when `ready` is done.
async fn order(ready: impl Future<Output = ()>) -> Vec<usize> {
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
    ready.await;
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
        let mut order = order(lag()).await;
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
        // Others may keep it from its processor now and then.
        for _ in 0..100 {
            if order(async {}).await == Vec::from_iter(0..=IDLE) {
                return;
            }
        }
        panic!("never as they came");
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
        lag().await;
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

/// A connection that was told not to come before `until`, and does so when `ready` is done, begins.
async fn comes_early(until: Instant, ready: impl Future<Output = ()>) -> Instant {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let stream = Stream::from_fd(ours.into());
    let began = Rc::new(Cell::new(Instant::NEVER));
    let begins = Rc::clone(&began);
    spawn(async move {
        stream.rest(until);
        poll_fn(|cx| stream.poll_closed_or_readable(cx)).await;
        begins.set(clock::now());
    });
    sleep(Duration::from_millis(1)).await;
    ready.await;
    theirs.write_all(b"x").expect("write");
    while began.get() == Instant::NEVER {
        sleep(Duration::from_millis(1)).await;
    }
    began.get()
}

#[test]
fn who_comes_before_it_should_rests_on_a_shard_that_lags_only() {
    on_shard(|| async {
        // Others may keep it from its processor now and then, so that it lags.
        let mut begins_at_once = false;
        for _ in 0..30 {
            let until = clock::now() + Duration::from_secs(1);
            begins_at_once = comes_early(until, async {}).await < until;
            if begins_at_once {
                break;
            }
        }
        assert!(begins_at_once);
        let until = clock::now() + Duration::from_secs(1);
        assert!(comes_early(until, lag()).await >= until);
    });
}
