//! The lab's folder below the user's cache folder: what is in it is whole.
//!
//! An entry is made under the name `ENTRY.partial` and renamed at the end, so that an interruption
//! leaves no half of one behind. One program at a time makes entries; readers need no lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};
use nix::unistd::syncfs;

use crate::host;

/// The lab's folder.
pub(crate) struct Cache {
    root: PathBuf,
}

/// The right to make entries. It ends when this program and all that it started have ended.
pub(crate) struct Writer<'a> {
    cache: &'a Cache,
    _lock: Flock<File>,
}

impl Cache {
    /// Opens the folder `fusd/lab` below `$XDG_CACHE_HOME`, or `~/.cache`.
    pub(crate) fn open() -> Result<Self> {
        Self::at(host::cache()?.join("lab"))
    }

    fn at(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(root.join("log"))
            .with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Self { root })
    }

    /// Where `entry` is, or `None` if it was not made yet.
    pub(crate) fn find(&self, entry: &str) -> Option<PathBuf> {
        let path = self.root.join(entry);
        path.is_dir().then_some(path)
    }

    /// What follows `prefix` in the names of the entries that begin with it.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root)
            .with_context(|| format!("cannot read {}", self.root.display()))?
        {
            let name = entry?.file_name();
            if let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix))
                && !rest.ends_with(".partial")
            {
                found.push(rest.to_owned());
            }
        }
        Ok(found)
    }

    /// The log of what makes `entry`.
    pub(crate) fn log(&self, entry: &str) -> PathBuf {
        self.root.join("log").join(format!("{entry}.log"))
    }

    /// Waits until nobody else makes entries.
    pub(crate) fn write(&self) -> Result<Writer<'_>> {
        let path = self.root.join("lock");
        let lock = || -> Result<Flock<File>> {
            let file = File::options().append(true).create(true).open(&path)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => Ok(lock),
                Err((_, errno)) if errno != Errno::EWOULDBLOCK => Err(errno.into()),
                Err((file, _)) => {
                    eprintln!("waiting for another build to end ...");
                    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
                }
            }
        };
        let lock = lock().with_context(|| format!("cannot lock {}", path.display()))?;
        // The programs that are started inherit the lock: a compiler that outlives this program
        // still writes into the entry.
        fcntl(&*lock, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot pass on the lock")?;
        Ok(Writer {
            cache: self,
            _lock: lock,
        })
    }
}

impl Writer<'_> {
    /// A folder for what is no entry: it may be in any state.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.cache.root.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// The log of what is no entry.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.cache.log(name)
    }

    /// Where `entry` is; `make` fills its folder first, if it is not there.
    ///
    /// What an interrupted `make` left is in the folder when it is called again.
    pub(crate) fn provide(
        &self,
        entry: &str,
        make: impl FnOnce(&Path, &Path) -> Result<()>,
    ) -> Result<PathBuf> {
        if let Some(path) = self.cache.find(entry) {
            return Ok(path);
        }
        let whole = self.cache.root.join(entry);
        let partial = self.cache.root.join(format!("{entry}.partial"));
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot make {}", partial.display()))?;
        make(&partial, &self.cache.log(entry))?;
        // So that after a power failure the name is not there without what it stands for.
        File::open(&partial)
            .and_then(|folder| Ok(syncfs(&folder)?))
            .with_context(|| format!("cannot write {} to the disk", partial.display()))?;
        fs::rename(&partial, &whole)
            .with_context(|| format!("cannot rename {}", partial.display()))?;
        Ok(whole)
    }
}

/// Empties a folder: what was left there by an interruption is of no use.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    let again = || {
        fs::remove_dir_all(folder)?;
        fs::create_dir(folder)
    };
    again().with_context(|| format!("cannot empty {}", folder.display()))
}

/// Removes a folder with all that is in it.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_made_once_and_only_whole() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("lab")).unwrap();
        let writer = cache.write().unwrap();
        let failed = writer.provide("x-1", |partial, _| {
            fs::write(partial.join("half"), "")?;
            anyhow::bail!("interrupted")
        });
        assert!(failed.is_err());
        assert_eq!(cache.find("x-1"), None);
        assert!(cache.list("x-").unwrap().is_empty());

        let path = writer
            .provide("x-1", |partial, _| {
                assert!(partial.join("half").exists());
                Ok(())
            })
            .unwrap();
        assert!(path.join("half").exists());
        assert_eq!(cache.list("x-").unwrap(), ["1"]);
        let again = writer.provide("x-1", |_, _| panic!("it is there"));
        assert_eq!(again.unwrap(), path);
    }
}
