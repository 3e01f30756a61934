//! A folder with keys: who may read it, and how a file in it is replaced.
//!
//! A file appears under its name when it is whole and on the disk, in one step; until then it has a
//! name that nobody looks for. Secrets are made with mode 0600 and refused when others could read
//! them. Knows nothing of what the files hold.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Fault;
use crate::limits;

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const FOLDER: u32 = 0o700;
/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// A folder that only its owner reads.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, made if it is not there.
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        let made = DirBuilder::new().mode(FOLDER).recursive(true).create(path);
        made.map_err(|error| failed("cannot be made", path, &error))?;
        Self::open(path)
    }

    /// The folder at `path`, which must be there.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let facts = fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::new(
                format!("{} does not exist.", path.display()),
                "Make an authority: weft identity init --trust-domain DOMAIN",
            ),
            _ => failed("cannot be opened", path, &error),
        })?;
        refuse_others(path, &facts)?;
        let path = path.to_owned();
        Ok(Self { path })
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only the owner reads, unless there is one.
    pub(super) fn create_secret(&self, name: &str, text: &str) -> Result<(), Fault> {
        let (path, fresh) = (self.file(name), self.write(name, SECRET, text)?);
        // A link, unlike a renaming, fails if the name is taken.
        let linked = fs::hard_link(&fresh, &path);
        let _ = fs::remove_file(&fresh);
        linked.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Fault::new(
                format!("{} is there already.", path.display()),
                "Use it, or name another folder; if you remove it, everything that it issued has \
                 to be issued anew",
            ),
            _ => failed("cannot be written", &path, &error),
        })?;
        self.settle()
    }

    /// Writes a file that only the owner reads, in place of the one before.
    pub(super) fn replace_secret(&self, name: &str, text: &str) -> Result<(), Fault> {
        self.replace(name, SECRET, text)
    }

    /// Writes a file that everybody who gets at it may read, in place of the one before.
    pub(super) fn replace_public(&self, name: &str, text: &str) -> Result<(), Fault> {
        self.replace(name, PUBLIC, text)
    }

    /// The text of a file that only the owner reads; `None` if there is none.
    pub(super) fn read_secret(&self, name: &str) -> Result<Option<String>, Fault> {
        let path = self.file(name);
        let opened = File::open(&path);
        if matches!(&opened, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let unreadable = |error| failed("cannot be read", &path, &error);
        let file = opened.map_err(unreadable)?;
        refuse_others(&path, &file.metadata().map_err(unreadable)?)?;
        let mut text = String::new();
        file.take(limits::TLS_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Ok(Some(text))
    }

    fn replace(&self, name: &str, mode: u32, text: &str) -> Result<(), Fault> {
        let (path, fresh) = (self.file(name), self.write(name, mode, text)?);
        fs::rename(&fresh, &path).map_err(|error| {
            let _ = fs::remove_file(&fresh);
            failed("cannot be written", &path, &error)
        })?;
        self.settle()
    }

    /// Writes a file under a name that nobody looks for, down to the disk.
    fn write(&self, name: &str, mode: u32, text: &str) -> Result<PathBuf, Fault> {
        let path = self.file(&format!(".{name}.{}", std::process::id()));
        // Left behind by a process of the same number that was killed.
        let _ = fs::remove_file(&path);
        let write = || {
            let mut options = OpenOptions::new();
            // Others never see it, not even for a moment.
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        match write() {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(failed("cannot be written", &self.file(name), &error))
            }
        }
    }

    /// Has the folder remember its new names also after a power cut.
    fn settle(&self) -> Result<(), Fault> {
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(|error| failed("cannot be written", &self.path, &error))
    }
}

/// Refuses what others than its owner can get at.
fn refuse_others(path: &Path, facts: &fs::Metadata) -> Result<(), Fault> {
    let mode = facts.mode() & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let (path, right) = (path.display(), if facts.is_dir() { FOLDER } else { SECRET });
    Err(Fault::new(
        format!("Others can get at {path}, which holds a key (mode {mode:04o})."),
        format!("chmod {right:o} {path}; and if they may have, make a new key"),
    ))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Fault {
    let fix = match error.kind() {
        io::ErrorKind::PermissionDenied => "Run it as the owner of that folder, or name another",
        io::ErrorKind::InvalidData => "It is not PEM; name another folder, or remove it",
        _ => "See to that, and run it again",
    };
    Fault::new(format!("{} {what}: {error}.", path.display()), fix)
}
