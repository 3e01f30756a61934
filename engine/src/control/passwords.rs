//! The thread that verifies passwords.
//!
//! One thread, whatever the number of shards: each verification takes a core and 19 MiB for
//! 21 ms, and strangers decide how many are asked for. What waits is bounded by the queue; while a
//! flood of wrong passwords lasts, users whose password was verified in the last minutes are not
//! affected, and others wait behind a few of each client that takes part in it
//! (`proxy/authentication/turns.rs`). It ends with the last shard.

use std::io;
use std::thread;

use flume::Receiver;

use crate::proxy::PasswordErrand;

/// Starts the thread.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(errands: Receiver<PasswordErrand>) -> io::Result<()> {
    let thread = thread::Builder::new().name("weft-password".into());
    thread.spawn(move || {
        for PasswordErrand { question, answer } in errands {
            // A client that went away is not worth the time.
            if answer.is_disconnected() {
                continue;
            }
            let is_right = question.verify();
            let _is_gone = answer.send((question, is_right));
        }
    })?;
    Ok(())
}
