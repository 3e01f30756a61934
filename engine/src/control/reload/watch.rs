//! Which files have changed, told once they are at rest.
//!
//! The folders of the files are watched, and those of every link on the way to them: so a file that
//! is written in place, one that another is renamed over, and one behind a link that is swapped (a
//! mounted ConfigMap swaps `..data`) are all noticed. An event only says that it is time to look;
//! whether a file changed is told by what `stat` says of it. Where nothing can be watched, looking
//! from time to time is enough, only later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::config::{Files, Include};
use crate::control::log::Log;
use crate::limits::{WATCH_LINKS_MAX, WATCH_POLL, WATCH_REST, WATCH_REST_MAX};

/// What `stat` says of a file; nothing, if it is not there.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// What files are.
pub(super) type Stamps = BTreeMap<PathBuf, Stamp>;

/// Watches files.
pub(super) struct Watch {
    /// Events of the folders; `None` where the kernel does not give them.
    events: Option<AsyncFd<OwnedFd>>,
    /// What they were when they were told last; nothing for one that has not been told yet.
    files: Stamps,
    /// Other files that may appear, and the one that asks for them.
    includes: (PathBuf, Vec<Include>),
    is_on: bool,
}

#[expect(
    deprecated,
    reason = "for types that may give their descriptor away; an OwnedFd keeps its own"
)]
fn readable(events: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(events)
}

impl Watch {
    /// Watches nothing yet. `known`: what files were before they were read.
    pub(super) fn new(known: Stamps, log: Log) -> Self {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(std::io::Error::from)
            .and_then(readable);
        if let Err(error) = &events {
            log.warn(
                "Files cannot be watched; they are looked at from time to time.",
                &[("error", error)],
            );
        }
        Self {
            events: events.ok(),
            files: known,
            includes: Default::default(),
            is_on: true,
        }
    }

    /// Follows the files of a configuration, and those that it names, from now on, if it `is_on`.
    /// What has changed of them since they were followed first is still told, and of those that it
    /// names, since they had these stamps.
    pub(super) fn follow(&mut self, configured: &Files, named: Stamps, is_on: bool) {
        self.is_on = is_on;
        let main = configured.read.first().cloned().unwrap_or_default();
        self.includes = (main, configured.includes.clone());
        let mut known = std::mem::take(&mut self.files);
        let included: BTreeSet<PathBuf> = self.included().collect();
        for file in configured.read.iter().cloned() {
            match known.remove(&file) {
                Some(stamp) => self.files.insert(file, stamp),
                // It appeared, and was read, after the others were at rest: it may not have been
                // complete, so it is told once more.
                None if included.contains(&file) => continue,
                None => {
                    let stamp = stamp(&file);
                    self.files.insert(file, stamp)
                }
            };
        }
        for (file, stamp) in named {
            let stamp = known.remove(&file).unwrap_or(stamp);
            self.files.entry(file).or_insert(stamp);
        }
        self.watch_folders();
    }

    /// The files that are included now.
    fn included(&self) -> impl Iterator<Item = PathBuf> {
        let (main, includes) = &self.includes;
        // What cannot be listed has none; that is told by whoever reads them.
        let found = includes.iter().map(|it| it.found(main).unwrap_or_default());
        found.flatten()
    }

    fn watch_folders(&self) {
        let Some(events) = &self.events else { return };
        let files = self.files.keys().flat_map(|file| folders(file));
        let includes = self.includes.1.iter().flat_map(|include| {
            let mut wanted = folders(&include.folder().join("any"));
            // One that is not there appears in the first one above that is.
            let above = include.folder().ancestors().find(|above| above.is_dir());
            wanted.push(above.unwrap_or_else(|| Path::new(".")).to_owned());
            wanted
        });
        let wanted: BTreeSet<PathBuf> = files.chain(includes).collect();
        for folder in wanted {
            let flags = WatchFlags::CREATE
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::DELETE
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            // What is not there is looked for from time to time. What is watched already stays so;
            // another one under its name is another one.
            let _missing = inotify::add_watch(events, &folder, flags);
        }
        // Folders that are not needed any more go on being watched: an event costs one look, and
        // there are no more of them than the files that were ever named.
    }

    /// The files that have changed, once none has for a while. Dropping the future loses nothing.
    pub(super) async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            if !self.is_on {
                return std::future::pending().await;
            }
            let next_look = Instant::now() + WATCH_POLL;
            let _look_anyway = timeout_at(next_look, self.event()).await;
            // First, so that what happens in a new folder from here on is an event.
            self.watch_folders();
            if self.look().is_empty() {
                continue;
            }
            self.rest().await;
            let changed = self.look();
            for file in &changed {
                self.files.insert(file.clone(), stamp(file));
            }
            self.watch_folders();
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Waits until nothing happens for a moment, or too long.
    async fn rest(&self) {
        let latest = Instant::now() + WATCH_REST_MAX;
        loop {
            let before = self.stamps();
            let wake = (Instant::now() + WATCH_REST).min(latest);
            sleep_until(wake).await;
            if Instant::now() >= latest || self.stamps() == before {
                return;
            }
        }
    }

    /// Waits for something to happen in a folder.
    async fn event(&self) {
        let Some(events) = &self.events else {
            return sleep(WATCH_POLL).await;
        };
        let Ok(mut ready) = events.readable().await else {
            return sleep(WATCH_POLL).await;
        };
        let mut storage = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(events, &mut storage);
        while reader.next().is_ok() {}
        ready.clear_ready();
    }

    /// What the files are now, those that have appeared included.
    fn stamps(&self) -> Stamps {
        stamps(self.files.keys().cloned().chain(self.included()))
    }

    /// The files that are not what they were.
    fn look(&self) -> Vec<PathBuf> {
        let known = |file: &PathBuf| self.files.get(file).copied().flatten();
        let now = self.stamps().into_iter();
        let changed = now.filter(|(file, stamp)| known(file) != *stamp);
        changed.map(|(file, _)| file).collect()
    }
}

/// What these files are now.
pub(super) fn stamps(files: impl IntoIterator<Item = PathBuf>) -> Stamps {
    let files = files.into_iter();
    files.map(|file| (file.clone(), stamp(&file))).collect()
}

fn stamp(file: &Path) -> Stamp {
    let found = fs::metadata(file).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}

/// The folders in which an event may mean that `file` is another one: its own, and those of the
/// links that lead to it.
fn folders(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut path = file.to_owned();
    for _ in 0..WATCH_LINKS_MAX {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new(".")).to_owned();
        let next = fs::read_link(&path).ok().map(|target| parent.join(target));
        folders.push(parent.clone());
        // A folder on the way may be the link that is swapped.
        if fs::symlink_metadata(&parent).is_ok_and(|found| found.is_symlink()) {
            let above = parent
                .parent()
                .filter(|above| !above.as_os_str().is_empty());
            folders.push(above.unwrap_or_else(|| Path::new(".")).to_owned());
        }
        match next {
            Some(next) => path = next,
            None => break,
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::Sources;
    use crate::control::log::Level;

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("weft-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _left_behind = fs::remove_dir_all(&self.0);
        }
    }

    fn told(file: &Path, change: impl FnOnce()) -> Vec<PathBuf> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let files = Sources::gather(Some(file)).files();
            let known = stamps(files.read.iter().cloned());
            let mut watch = Watch::new(known, Log::new(Level::Error));
            assert!(watch.events.is_some(), "inotify");
            watch.follow(&files, BTreeMap::new(), true);
            change();
            watch.changed().await
        })
    }

    #[test]
    fn a_file_is_written_in_place_renamed_over_or_made() {
        let folder = Folder::new("files");
        let (file, other) = (folder.path("file"), folder.path("other"));
        let write = |path: &Path, text: &str| fs::write(path, text).expect("written");
        assert_eq!(
            told(&file, || write(&file, "one")),
            std::slice::from_ref(&file)
        );
        assert_eq!(
            told(&file, || write(&file, "two two")),
            std::slice::from_ref(&file)
        );
        let rename = || {
            write(&other, "three");
            fs::rename(&other, &file).expect("renamed");
        };
        assert_eq!(told(&file, rename), std::slice::from_ref(&file));
    }

    #[test]
    fn a_swapped_link_is_another_file() {
        let folder = Folder::new("links");
        for (name, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir_all(folder.path(name)).expect("a folder");
            fs::write(folder.path(name).join("weft.toml"), text).expect("written");
        }
        symlink("..1", folder.path("..data")).expect("a link");
        symlink("..data/weft.toml", folder.path("weft.toml")).expect("a link");
        let file = folder.path("weft.toml");
        let swap = || {
            symlink("..2", folder.path("..next")).expect("a link");
            fs::rename(folder.path("..next"), folder.path("..data")).expect("renamed");
        };
        assert_eq!(told(&file, swap), std::slice::from_ref(&file));
    }

    #[test]
    fn included_files_come_change_and_go() {
        let folder = Folder::new("fragments");
        let (main, late) = (folder.path("weft.toml"), folder.path("config.d"));
        fs::write(&main, "include = [\"config.d/*.toml\"]").expect("written");
        let (one, two) = (late.join("1.toml"), late.join("2.toml"));
        let write = |path: &Path, text: &str| fs::write(path, text).expect("written");
        let appear = || {
            fs::create_dir(&late).expect("a folder");
            write(&one, "drain = \"1s\"");
        };
        assert_eq!(told(&main, appear), std::slice::from_ref(&one));
        assert_eq!(
            told(&main, || write(&one, "# other")),
            std::slice::from_ref(&one)
        );
        let rename = || {
            write(&late.join("2.toml.new"), "");
            write(&late.join(".3.toml"), "");
            fs::rename(late.join("2.toml.new"), &two).expect("renamed");
        };
        assert_eq!(told(&main, rename), std::slice::from_ref(&two));
        let away = || fs::rename(&one, folder.path("1.toml.off")).expect("renamed");
        assert_eq!(told(&main, away), std::slice::from_ref(&one));
        let replaced = || {
            fs::rename(&late, folder.path("config.old")).expect("renamed");
            appear();
        };
        assert_eq!(told(&main, replaced), [one, two]);
    }
}
