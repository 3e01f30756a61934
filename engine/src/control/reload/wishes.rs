//! Wishes for another generation, which wait while one is made.
//!
//! One of each kind at most: a later one sees what it means. One kind does not stand for another,
//! since an attempt for another identity does not read the files.

use tokio::sync::Notify;

use super::generations::Cause;

/// What is wished for and not begun.
#[derive(Debug, Default)]
pub struct Wishes {
    signal: Notify,
    identity: Notify,
}

impl Wishes {
    /// The files are to be read anew: SIGHUP.
    pub fn signal(&self) {
        self.signal.notify_one();
    }

    /// There is another identity.
    pub fn identity(&self) {
        self.identity.notify_one();
    }

    /// The next wish. Dropping the future loses none. For one that asks.
    pub(super) async fn next(&self) -> Cause {
        tokio::select! {
            () = self.signal.notified() => Cause::Signal,
            () = self.identity.notified() => Cause::Identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_signal_is_not_lost_behind_an_identity_and_many_are_one() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(async {
            let wishes = Wishes::default();
            for _ in 0..3 {
                wishes.identity();
                wishes.signal();
            }
            let found = [wishes.next().await, wishes.next().await];
            assert!(found.contains(&Cause::Signal) && found.contains(&Cause::Identity));
            let third = timeout(Duration::from_millis(10), wishes.next()).await;
            assert!(third.is_err(), "{third:?}");
        });
    }
}
