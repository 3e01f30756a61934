//! Writes a shard's access-log lines to the file, through glommio, without holding anything up.
//!
//! Lines gather in [`crate::proxy::LogLines`] for as long as the configuration says and leave in
//! one append. When the file does not keep up the lines are dropped there and counted; when it
//! fails, what was to be written is lost, counted, and the next batch is tried again.

use std::pin::pin;

use super::drain::Bell;
use crate::config::AccessLog;
use crate::io::{self, AppendFile, Timer, clock};
use crate::limits;
use crate::proxy::Local;

/// Write, if there is an access log, until `last_line` rings, and then what is left. A file that
/// hangs then is given up after a while.
pub(super) async fn write(local: &Local, last_line: &Bell) {
    let Some(settings) = local.access_log() else {
        return;
    };
    let Some(lines) = local.log_lines() else {
        return;
    };
    let mut file = None;
    loop {
        let is_last = last_line.or(lines.arrived()).await.is_none()
            || last_line.or(io::sleep(settings.flush)).await.is_none();
        let batch = lines.take(Vec::new());
        let count = batch.iter().filter(|byte| **byte == b'\n').count() as u64;
        if count > 0 {
            let is_written = bounded(append(&mut file, settings, batch), last_line).await;
            let (written, lost) = if is_written { (count, 0) } else { (0, count) };
            local.log_written(written, lost);
            if !is_written {
                file = None;
                last_line.or(io::sleep(limits::ACCESS_LOG_PAUSE)).await;
            }
        }
        if is_last {
            break;
        }
    }
    if let Some(file) = file {
        // Nothing is left to be written, and nobody is there to be told.
        let _ = file.close().await;
    }
}

/// What `append` gives; `false` when it has not ended a while after `last_line` rang, whether the
/// file hung before or after.
async fn bounded(append: impl Future<Output = bool>, last_line: &Bell) -> bool {
    let mut append = pin!(append);
    if let Some(is_written) = last_line.or(append.as_mut()).await {
        return is_written;
    }
    let patience = Timer::new();
    patience.arm(clock::now() + limits::ACCESS_LOG_PAUSE);
    patience.guard(append).await == Ok(true)
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
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
                assert!(bounded(async { true }, &bell).await);
                assert!(!bounded(std::future::pending(), &bell).await);
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
