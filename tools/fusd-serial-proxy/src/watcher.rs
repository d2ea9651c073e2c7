//! Removes what this program has made, however it ends: by SIGKILL, too.
//!
//! The watcher is this program once more, in a process of its own. Its standard input is a pipe whose
//! other end only the first one has: it ends with that. What is to be removed is on its command line,
//! and is removed only if it is still what was made.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, PipeWriter, Read, pipe};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use fusd::Errno;
use fusd_tool::{Child, Program};

/// The first word of a watcher's arguments.
pub(crate) const OPTION: &str = "--remove-at-the-end";

/// Something that is to go with the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A symbolic link, and where it leads.
    Link(PathBuf, PathBuf),
    /// A file, and what is in it.
    File(PathBuf, Vec<u8>),
}

impl Made {
    /// Removes what this process has made, or somebody who is no more, if it is still there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.remove_of(std::process::id())
    }

    /// The same for the process `owner`.
    fn remove_of(&self, owner: u32) -> io::Result<()> {
        // Somebody else may replace it between a look and the end of it: so it is looked at where
        // nobody else does. Whoever was killed while it did this has left it there.
        let mut private = self.path().as_os_str().to_owned();
        private.push(format!(".{owner}.old"));
        let private = PathBuf::from(private);
        self.remove_private(&private)?;
        if !self.is_at(self.path()) {
            return Ok(());
        }
        unless_gone(fs::rename(self.path(), &private))?;
        self.remove_private(&private)
    }

    fn remove_private(&self, private: &Path) -> io::Result<()> {
        if !self.is_at(private) {
            // Another one's. If there is a newer one already, that stays.
            let _newer = fs::hard_link(private, self.path());
        }
        unless_gone(fs::remove_file(private))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Link(path, _) | Self::File(path, _) => path,
        }
    }

    /// Whether `path` is what was made.
    fn is_at(&self, path: &Path) -> bool {
        match self {
            Self::Link(_, target) => fs::read_link(path).is_ok_and(|found| found == *target),
            Self::File(_, content) => fs::read(path).is_ok_and(|found| found == *content),
        }
    }

    fn words(&self, owner: u32) -> [OsString; 4] {
        let owner = owner.to_string().into();
        match self {
            Self::Link(path, target) => ["link".into(), path.into(), target.into(), owner],
            Self::File(path, content) => [
                "file".into(),
                path.into(),
                OsString::from_vec(content.clone()),
                owner,
            ],
        }
    }

    fn from_words(words: &[OsString]) -> Option<(Self, u32)> {
        let [kind, path, content, owner] = words else {
            return None;
        };
        let made = match kind.to_str()? {
            "link" => Self::Link(path.into(), content.into()),
            "file" => Self::File(path.into(), content.as_bytes().to_vec()),
            _ => return None,
        };
        Some((made, owner.to_str()?.parse().ok()?))
    }
}

/// For what may not be there any more.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A watcher. Dropped, it removes what is still there and ends.
pub(crate) struct Watcher {
    made: Made,
    /// The watcher reads the end of it when this is dropped.
    alive: Option<PipeWriter>,
    child: Child,
}

impl Watcher {
    /// Has `made` removed at the end.
    ///
    /// # Errors
    /// There is no process to be had.
    pub(crate) fn start(made: Made) -> Result<Self, Errno> {
        let (input, alive) = pipe()?;
        let own = Path::new("/proc/self/exe");
        let null = fs::File::options().write(true).open("/dev/null")?;
        let words: [&OsStr; 2] = [own.as_os_str(), OPTION.as_ref()];
        let mut program = Program::new(words).stdin(input).stdout(null).own_group();
        for word in made.words(std::process::id()) {
            program = program.arg(word);
        }
        Ok(Self {
            made,
            alive: Some(alive),
            child: program.spawn()?,
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Err(error) = self.made.remove() {
            tracing::error!(%error, made = ?self.made, "cannot be removed");
        }
        drop(self.alive.take());
        if let Err(error) = self.child.wait() {
            tracing::warn!(%error, "cannot wait for the watcher");
        }
    }
}

/// All that a watcher does, if this process is meant to be one.
pub(crate) fn run() -> bool {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|word| word != OPTION) {
        return false;
    }
    let words: Vec<OsString> = words.collect();
    // Nothing is ever written; an error is an end as well.
    let _end = io::stdin().read_to_end(&mut Vec::new());
    let made = Made::from_words(&words);
    if let Some(Err(error)) = made.map(|(made, owner)| made.remove_of(owner)) {
        eprintln!("fusd-serial-proxy: cannot remove {words:?}: {error}");
    }
    true
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn is_there(path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    #[test]
    fn only_what_was_made_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        let made = Made::Link(path.clone(), "/dev/pts/7".into());
        assert_eq!(Made::from_words(&made.words(9)), Some((made.clone(), 9)));
        symlink("/dev/pts/8", &path).unwrap();
        made.remove_of(9).unwrap();
        assert!(is_there(&path), "another one's");
        fs::remove_file(&path).unwrap();
        symlink("/dev/pts/7", &path).unwrap();
        made.remove_of(9).unwrap();
        made.remove_of(9).unwrap();
        assert!(!is_there(&path));
        fs::write(&path, "1").unwrap();
        let made = Made::File(path.clone(), b"2".to_vec());
        assert_eq!(Made::from_words(&made.words(9)), Some((made.clone(), 9)));
        made.remove_of(9).unwrap();
        assert!(is_there(&path));
    }

    #[test]
    fn who_was_killed_while_it_removed_is_helped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        let private = folder.path().join("link.9.old");
        let made = Made::Link(path.clone(), "/dev/pts/7".into());
        symlink("/dev/pts/7", &private).unwrap();
        made.remove_of(9).unwrap();
        assert!(!is_there(&private));
        // It had taken away another one's by mistake.
        symlink("/dev/pts/8", &private).unwrap();
        made.remove_of(9).unwrap();
        assert!(!is_there(&private));
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/dev/pts/8"));
    }
}
