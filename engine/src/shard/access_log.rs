//! Writes a shard's access-log lines to the file, through glommio, without holding anything up.
//!
//! Lines gather in [`crate::proxy::LogLines`] for as long as the configuration says and leave in
//! one append. When the file does not keep up the lines are dropped there and counted; when it
//! fails, what was to be written is lost, counted, and the next batch is tried again. Logs follow
//! each other: one is written to its end before the next is begun.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use super::drain::Bell;
use crate::config::AccessLog;
use crate::io::{self, AppendFile, Timer, clock};
use crate::limits;
use crate::proxy::{Local, LogLines, Wish};

/// Write, whenever there is an access log, until `last_line` rings, and then what is left.
pub(super) async fn write(local: &Local, last_line: &Bell) {
    while let Some(lines) = last_line.or(local.logs().next()).await {
        write_one(local, &lines, last_line).await;
    }
}

/// Write one log to its end. A file that hangs then is given up after a while.
async fn write_one(local: &Local, lines: &LogLines, last_line: &Bell) {
    let settings = lines.settings();
    let mut file = None;
    loop {
        let wish = last_line
            .or(lines.gathered(io::sleep(settings.flush)))
            .await;
        let wish = wish.unwrap_or(Wish::End);
        let batch = lines.take(Vec::new());
        let count = batch.iter().filter(|byte| **byte == b'\n').count() as u64;
        if count > 0 {
            let over = last_line.or(lines.ended());
            let is_written = bounded(append(&mut file, settings, batch), over).await;
            let (written, lost) = if is_written { (count, 0) } else { (0, count) };
            local.log_written(written, lost);
            if !is_written {
                file = None;
                let over = last_line.or(lines.ended());
                unless(over, pin!(io::sleep(limits::ACCESS_LOG_PAUSE))).await;
            }
        }
        match wish {
            Wish::None => {}
            Wish::Reopen => {
                let over = last_line.or(lines.ended());
                bounded(reopen(&mut file, settings), over).await;
            }
            Wish::End => break,
        }
    }
    if let Some(file) = file {
        // Nothing is left to be written, and nobody is there to be told.
        let _ = file.close().await;
    }
}

/// Open the file that has the name now. While that cannot be, the one that is open is better than
/// none.
async fn reopen(file: &mut Option<AppendFile>, settings: &AccessLog) {
    if let Ok(opened) = AppendFile::open(&settings.path).await
        && let Some(before) = file.replace(opened)
    {
        // All of it was written.
        let _ = before.close().await;
    }
}

/// Append to the file, opening it first where it is not open. A file that failed is opened anew
/// next time: it may have been on a disk that is back.
async fn append(file: &mut Option<AppendFile>, settings: &AccessLog, batch: Vec<u8>) -> bool {
    if file.is_none() {
        *file = AppendFile::open(&settings.path).await.ok();
    }
    let appended = match file {
        Some(open) => open.append(batch).await.is_ok(),
        None => false,
    };
    if !appended {
        *file = None;
    }
    appended
}

/// What `act` gives; the default when it has not ended a while after `over` has, whether it hung
/// before or after.
async fn bounded<T: Default>(act: impl Future<Output = T>, over: impl Future) -> T {
    let mut act = pin!(act);
    if let Some(done) = unless(over, act.as_mut()).await {
        return done;
    }
    let patience = Timer::new();
    patience.arm(clock::now() + limits::ACCESS_LOG_PAUSE);
    patience.guard(act).await.unwrap_or_default()
}

/// What `act` gives, or `None` when `over` has ended first.
async fn unless<T>(over: impl Future, mut act: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut over = pin!(over);
    poll_fn(|cx| match act.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => over.as_mut().poll(cx).map(|_| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::io::Runtime;

    #[test]
    fn a_file_that_hangs_before_the_end_does_not_keep_the_shard() {
        let thread = Runtime::default().start(|| async {
            let (last_line, is_over) = (Rc::new(Bell::default()), Rc::new(Cell::new(false)));
            let (bell, over) = (Rc::clone(&last_line), Rc::clone(&is_over));
            io::spawn(async move {
                assert!(bounded(async { true }, bell.or(pending::<()>())).await);
                assert!(!bounded(pending::<bool>(), bell.or(pending::<()>())).await);
                over.set(true);
            });
            io::sleep(Duration::from_millis(1)).await;
            last_line.ring();
            io::sleep(2 * limits::ACCESS_LOG_PAUSE).await;
            io::stop();
            assert!(is_over.get());
            assert_eq!(io::take_task_panics(), 0);
        });
        let thread = thread.expect("a shard starts");
        thread.join().expect("the shard ends");
    }
}
