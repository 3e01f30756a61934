//! Access-log lines of one shard, from the exchange that wrote them to the file's writer.
//!
//! Lines are appended to a buffer; whoever writes the file waits for [`LogLines::gathered`], lets
//! lines gather for as long as the configuration says, and takes them all. A line that does not
//! fit is dropped and counted: an exchange never waits for the disk.
//!
//! A reload that changes the access log begins another one and ends this: what was recorded before
//! goes where it was meant to go, what is recorded after goes to the new one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::config::{AccessLog, AccessLogFormat};
use crate::record::access_log::{self, AccessLine, Query};

/// The access log of a shard, and those before it that are not written to the end.
#[derive(Default)]
pub struct AccessLogs {
    current: RefCell<Option<Rc<LogLines>>>,
    /// Logs that their writer has not begun with, oldest first.
    begun: RefCell<VecDeque<Rc<LogLines>>>,
    writer: Cell<Option<Waker>>,
}

/// Lines that wait to be written.
pub struct LogLines {
    settings: AccessLog,
    lines: RefCell<Vec<u8>>,
    bytes_max: usize,
    wish: Cell<Wish>,
    writer: Cell<Option<Waker>>,
}

/// What a writer is asked to do when it has written what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Go on.
    #[default]
    None,
    /// Open the file anew: the old one may have another name by now.
    Reopen,
    /// No further line will come.
    End,
}

impl AccessLogs {
    /// From now on lines go where `settings` say, if there are any.
    pub(super) fn follow(&self, settings: Option<&AccessLog>) {
        let mut current = self.current.borrow_mut();
        if current.as_ref().map(|lines| &lines.settings) == settings {
            return;
        }
        if let Some(before) = current.take() {
            before.wish(Wish::End);
        }
        let Some(settings) = settings else { return };
        let lines = Rc::new(LogLines::new(settings));
        self.begun.borrow_mut().push_back(Rc::clone(&lines));
        *current = Some(lines);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Adds what `line` makes, if there is an access log; `false` when there was no room.
    pub(super) fn add<'a>(&self, line: impl FnOnce() -> AccessLine<'a>) -> bool {
        let current = self.current.borrow();
        current.as_ref().is_none_or(|lines| lines.add(&line()))
    }

    /// Has the file opened anew.
    pub fn reopen(&self) {
        if let Some(lines) = &*self.current.borrow() {
            lines.wish(Wish::Reopen);
        }
    }

    /// The next log that is to be written, from its first line to its end. For one writer.
    pub async fn next(&self) -> Rc<LogLines> {
        poll_fn(|cx| match self.begun.borrow_mut().pop_front() {
            Some(lines) => Poll::Ready(lines),
            None => {
                self.writer.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

impl LogLines {
    fn new(settings: &AccessLog) -> Self {
        Self {
            lines: RefCell::default(),
            bytes_max: usize::try_from(settings.buffer_bytes).unwrap_or(usize::MAX),
            settings: settings.clone(),
            wish: Cell::default(),
            writer: Cell::default(),
        }
    }

    /// Where lines go, and how.
    pub fn settings(&self) -> &AccessLog {
        &self.settings
    }

    /// Adds a line; says whether there was room.
    fn add(&self, line: &AccessLine<'_>) -> bool {
        let mut lines = self.lines.borrow_mut();
        let before = lines.len();
        match self.settings.format {
            AccessLogFormat::Json => access_log::json(&mut lines, line, Query::Redact),
            AccessLogFormat::Text => access_log::text(&mut lines, line, Query::Redact),
        }
        if lines.len() > self.bytes_max {
            lines.truncate(before);
            return false;
        }
        if before == 0 {
            self.wake();
        }
        true
    }

    fn wish(&self, wish: Wish) {
        // What has ended is not opened again.
        if self.wish.get() != Wish::End {
            self.wish.set(wish);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Resolves when lines have gathered for as long as `pause` takes, or at once when something is
    /// wished for, which it gives. For one writer at a time.
    pub async fn gathered(&self, pause: impl Future<Output = ()>) -> Wish {
        let mut pause = pin!(pause);
        poll_fn(|cx| {
            let wish = self.wish.get();
            if wish == Wish::Reopen {
                self.wish.set(Wish::None);
            }
            let is_empty = self.lines.borrow().is_empty();
            if wish != Wish::None || (!is_empty && pause.as_mut().poll(cx).is_ready()) {
                return Poll::Ready(wish);
            }
            self.writer.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Resolves when no further line will come. For the same writer.
    pub async fn ended(&self) {
        poll_fn(|cx| {
            if self.wish.get() == Wish::End {
                return Poll::Ready(());
            }
            self.writer.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Takes all lines; goes on in `spare`, whose contents are forgotten.
    pub fn take(&self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.clear();
        self.lines.replace(spare)
    }
}
