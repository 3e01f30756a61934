//! Signals, and what each one means at each moment.
//!
//! SIGTERM and SIGINT drain; a second one of either ends the process at once, with the exit code
//! a shell gives to a process that died of it. One wish may arrive as two signals (`timeout`, and
//! supervisors that signal a process and then its group), so those that follow within
//! `ECHO_WINDOW` are the same one; the drain begins after it. SIGHUP has the configuration read
//! anew; a process that drains takes none any more. SIGUSR1 has log files opened anew.
//!
//! `Lifecycle` is the pure half; `Signals` waits for the kernel.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal as Source, SignalKind, signal};

/// Within this, a signal repeats the one before. Nobody changes their mind so fast.
const ECHO_WINDOW: Duration = Duration::from_millis(10);

/// The signals that weft answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGHUP.
    HangUp,
    /// SIGUSR1.
    User1,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Stop accepting, finish what is under way.
    Drain,
    /// End the process with this code.
    Exit(u8),
    /// Read the configuration anew.
    Reload,
    /// Open log files anew: they may have been renamed.
    Reopen,
    /// Say that it means nothing here.
    Ignore,
}

/// Where the process is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Accepting.
    Serving,
    /// Not accepting any more.
    Draining,
}

impl Lifecycle {
    /// What `signal` asks for at this moment.
    #[must_use]
    pub const fn on(self, signal: Signal) -> Step {
        match (self, signal) {
            (Self::Serving, Signal::HangUp) => Step::Reload,
            (Self::Draining, Signal::HangUp) => Step::Ignore,
            (_, Signal::User1) => Step::Reopen,
            (Self::Serving, Signal::Terminate | Signal::Interrupt) => Step::Drain,
            (Self::Draining, Signal::Terminate) => Step::Exit(143),
            (Self::Draining, Signal::Interrupt) => Step::Exit(130),
        }
    }
}

/// The signals that do not mean the end of the process, but would be it: they are taken over before
/// anything that takes time, and wait.
#[derive(Debug)]
pub struct Early {
    hang_up: Source,
    user1: Source,
}

impl Early {
    /// Takes them over.
    ///
    /// # Errors
    /// When the kernel refuses, which it does only under a seccomp filter.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }
}

/// The signals of this process; from here on their default actions are off.
#[derive(Debug)]
pub struct Signals {
    terminate: Source,
    interrupt: Source,
    early: Early,
}

impl Signals {
    /// Takes the other signals over, too.
    ///
    /// # Errors
    /// As [`Early::new`].
    pub fn new(early: Early) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            early,
        })
    }

    /// The next signal. Dropping the future loses none.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.early.hang_up.recv() => Signal::HangUp,
            _ = self.early.user1.recv() => Signal::User1,
        }
    }

    /// Waits until the signal just received has arrived as often as it will, and forgets the
    /// repetitions.
    pub async fn settle(&mut self) {
        tokio::time::sleep(ECHO_WINDOW).await;
        poll_fn(|cx| {
            let _repeated = (self.terminate.poll_recv(cx), self.interrupt.poll_recv(cx));
            Poll::Ready(())
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{getpid, kill_process};

    use super::*;

    #[test]
    fn the_first_signal_drains_and_the_second_exits_with_its_own_code() {
        for (lifecycle, signal, expected) in [
            (Lifecycle::Serving, Signal::Terminate, Step::Drain),
            (Lifecycle::Serving, Signal::Interrupt, Step::Drain),
            (Lifecycle::Serving, Signal::HangUp, Step::Reload),
            (Lifecycle::Draining, Signal::Terminate, Step::Exit(143)),
            (Lifecycle::Draining, Signal::Interrupt, Step::Exit(130)),
            (Lifecycle::Draining, Signal::HangUp, Step::Ignore),
            (Lifecycle::Serving, Signal::User1, Step::Reopen),
            (Lifecycle::Draining, Signal::User1, Step::Reopen),
        ] {
            assert_eq!(lifecycle.on(signal), expected, "{lifecycle:?} {signal:?}");
        }
    }

    #[test]
    fn a_signal_that_arrives_twice_at_once_is_one_and_a_later_one_is_another() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let early = Early::new().expect("signals");
            let mut signals = Signals::new(early).expect("signals");
            let send = || kill_process(getpid(), rustix::process::Signal::TERM).expect("sent");
            send();
            assert_eq!(signals.next().await, Signal::Terminate);
            send();
            signals.settle().await;
            let repeated = tokio::time::timeout(ECHO_WINDOW, signals.next()).await;
            assert!(repeated.is_err(), "forgotten");
            send();
            assert_eq!(signals.next().await, Signal::Terminate);
        });
    }
}
