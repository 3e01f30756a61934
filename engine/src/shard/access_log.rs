//! Writes a shard's access-log lines to the file, through glommio, without holding anything up.
//!
//! Lines gather in [`crate::proxy::LogLines`] for as long as the configuration says and leave in
//! one append. When the file does not keep up the lines are dropped there and counted; when it
//! fails, what was to be written is lost, counted, and the next batch is tried again.

use std::rc::Rc;

use super::drain::Bell;
use crate::config::AccessLog;
use crate::io::{self, AppendFile};
use crate::limits;
use crate::proxy::Local;

/// Write until `bell` rings, and then what is left.
pub(super) async fn write(settings: AccessLog, local: Rc<Local>, bell: Rc<Bell>) {
    let Some(lines) = local.log_lines() else {
        return;
    };
    let mut file = None;
    loop {
        let ended = bell.or(lines.arrived()).await.is_none()
            || bell.or(io::sleep(settings.flush)).await.is_none();
        let batch = lines.take(Vec::new());
        let count = batch.iter().filter(|byte| **byte == b'\n').count() as u64;
        if count > 0 {
            let written = append(&mut file, &settings, batch).await;
            local.log_written(
                if written { count } else { 0 },
                if written { 0 } else { count },
            );
            if !written && !ended {
                bell.or(io::sleep(limits::ACCESS_LOG_PAUSE)).await;
            }
        }
        if ended {
            break;
        }
    }
    if let Some(file) = file {
        // Nothing is left to be written, and nobody is there to be told.
        let _ = file.close().await;
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
