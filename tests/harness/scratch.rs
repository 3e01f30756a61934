//! A folder of one test, removed with it.
//!
//! Kept when the test fails, so that logs and configurations can be read afterwards.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The folder.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new folder, below the build output.
    pub(crate) fn new() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// A new folder with a path short enough for the address of a Unix socket (108 bytes).
    pub(crate) fn short() -> Self {
        Self::below(&env::temp_dir())
    }

    fn below(parent: &Path) -> Self {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("weft-{}-{turn}", process::id()));
        fs::create_dir_all(&path).expect("a scratch folder");
        Self { path }
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).expect("a scratch file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("kept {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
