//! `--watch`: notices that the file has a new text.
//!
//! What is watched is the file's directory, because a file is best replaced by renaming a new one
//! over it: a watch on the old file would hear nothing of that.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

/// A watched file.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: Inotify,
    directory: WatchDescriptor,
    path: PathBuf,
    name: OsString,
    seen: Option<Identity>,
}

/// What tells one state of a file from another: device, inode, size, and the times in seconds and
/// nanoseconds of its last change.
type Identity = (u64, u64, u64, i64, i64);

impl Watch {
    /// Watches the file at `path` from now on. To be called before it is read for the first time.
    ///
    /// # Errors
    /// The directory cannot be watched.
    pub(crate) fn new(path: &Path) -> Result<Self, ToolError> {
        let failed = |errno| {
            Error::system(ErrorKind::Runtime, errno, "watch the directory of")
                .on(path)
                .hint("do without --watch, and send SIGHUP after a change")
        };
        let inotify =
            Inotify::init(InitFlags::IN_CLOEXEC).map_err(|errno| failed(Errno::from(errno)))?;
        let directory = watch_directory(&inotify, path).map_err(failed)?;
        watch_target(&inotify, path).map_err(failed)?;
        Ok(Self {
            inotify,
            directory,
            name: path.file_name().unwrap_or_default().to_owned(),
            seen: identity(path),
            path: path.to_owned(),
        })
    }

    /// Calls `changed` whenever the file may have a new text. Returns when the directory is gone.
    pub(crate) fn run(mut self, changed: impl Fn()) {
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => {
                    let error = Errno::from(errno);
                    tracing::warn!(file = %self.path.display(), %error, "not watched any more");
                    return;
                }
            };
            // The state of now: a change after this look brings an event of its own.
            let now = identity(&self.path);
            let different = now.is_some() && now != self.seen;
            self.seen = now.or(self.seen);
            if different && let Err(error) = watch_target(&self.inotify, &self.path) {
                tracing::debug!(file = %self.path.display(), %error, "target not watched");
            }
            if different || events.iter().any(|event| names(event, &self.name)) {
                changed();
            }
            if events.iter().any(|event| self.ends(event)) {
                let file = self.path.display();
                tracing::warn!(%file, "its directory is gone: not watched any more");
                return;
            }
        }
    }

    fn ends(&self, event: &InotifyEvent) -> bool {
        let end = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        event.wd == self.directory && event.mask.intersects(end)
    }
}

/// Whether the event is about the file, or about so many that some were lost.
fn names(event: &InotifyEvent, name: &OsStr) -> bool {
    let lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
    lost || event.name.as_deref() == Some(name)
}

fn watch_directory(inotify: &Inotify, file: &Path) -> Result<WatchDescriptor, Errno> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    Ok(inotify.add_watch(directory, flags)?)
}

/// Where `path` is a link, watches also where it leads to now. A directory counts once.
fn watch_target(inotify: &Inotify, path: &Path) -> Result<(), Errno> {
    watch_directory(inotify, &fs::canonicalize(path)?).map(drop)
}

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        file.ctime(),
        file.ctime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn watch(path: &Path) -> Receiver<()> {
        let watch = Watch::new(path).unwrap();
        let (sender, receiver) = channel();
        thread::spawn(move || {
            watch.run(|| {
                let _test_is_over = sender.send(());
            })
        });
        receiver
    }

    fn heard(receiver: &Receiver<()>) {
        let wait = Duration::from_secs(10);
        receiver.recv_timeout(wait).expect("no change was heard of");
        while receiver.try_recv().is_ok() {}
    }

    #[test]
    fn writing_and_renaming_are_heard() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "1").unwrap();
        let changes = watch(&file);
        fs::write(&file, "2").unwrap();
        heard(&changes);
        let other = directory.path().join("other");
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &file).unwrap();
        heard(&changes);
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_heard() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("file"), version).unwrap();
        }
        symlink("v1", at("current")).unwrap();
        symlink("current/file", at("file")).unwrap();
        let changes = watch(&at("file"));
        fs::write(at("v1").join("file"), "in place").unwrap();
        heard(&changes);
        symlink("v2", at("next")).unwrap();
        fs::rename(at("next"), at("current")).unwrap();
        heard(&changes);
        fs::remove_dir_all(at("v1")).unwrap();
        fs::write(at("v2").join("file"), "in place again").unwrap();
        heard(&changes);
    }
}
