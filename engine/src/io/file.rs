//! Appending to a file without blocking the shard, through glommio's files.

use std::io::{Error, Result};
use std::path::Path;

use glommio::io::{BufferedFile, OpenOptions};

use super::driver::foreign;

/// A file that several shards and processes may append to: each write lands whole at the end
/// (`O_APPEND`). Pipes and terminals work as well (`/dev/stdout`).
#[derive(Debug)]
pub struct AppendFile {
    file: BufferedFile,
}

impl AppendFile {
    /// Open `path` for appending; it is created where it does not exist.
    ///
    /// *Errors:* as `open(2)`.
    pub async fn open(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).write(true);
        let file = foreign(options.buffered_open(path))
            .await
            .map_err(Error::from)?;
        Ok(Self { file })
    }

    /// Append `bytes`. *Errors:* as `write(2)`; the file may then hold a part of them.
    pub async fn append(&self, bytes: Vec<u8>) -> Result<()> {
        let len = bytes.len();
        // The position is of no consequence for a file opened with O_APPEND.
        let written = foreign(self.file.write_at(bytes, 0))
            .await
            .map_err(Error::from)?;
        if written < len {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }

    /// Close, waiting for the kernel.
    pub async fn close(self) -> Result<()> {
        foreign(self.file.close()).await.map_err(Error::from)
    }
}
