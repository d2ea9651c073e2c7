//! The file of a journal: found, locked, read, added to, and replaced.
//!
//! It is replaced by another that is written beside it and then renamed, so that whatever happens, a
//! whole one is at the path. The lock (flock(2)) is on the file, and goes along: who has opened
//! the old one sees, once the lock is his, that another is at the path by now.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno as Raw;
use nix::fcntl::{Flock, FlockArg};

use super::header;

/// Added to the path for the file that is to take its place.
const SUFFIX: &str = ".new";

/// A locked file. Shared with the thread that forces it to disk.
pub(super) type Locked = Arc<Flock<File>>;

#[derive(Debug)]
pub(super) struct JournalFile {
    /// Without symbolic links: those are not to be replaced.
    path: PathBuf,
    file: Locked,
    /// Bytes of it that are in order.
    len: u64,
    /// There may be more, left by a write that failed.
    ragged: bool,
}

/// Why there is no file to be had.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is a directory, a device, or the like.
    Irregular,
    /// Somebody else has it.
    Locked,
    /// What is at the path of the file that is to replace it is not a journal's.
    Occupied(PathBuf),
    Failed(&'static str, io::Error),
}

impl JournalFile {
    /// Opens and locks the file at `path`; makes it, empty and for its owner alone, if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let (file, path) = loop {
            match fs::metadata(path) {
                Ok(found) if !found.is_file() => return Err(Refused::Irregular),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Refused::Failed("open", error)),
            }
            let opened = options().create(true).open(path);
            let file = opened.map_err(|error| Refused::Failed("open", error))?;
            let file = lock(file)?;
            let real = fs::canonicalize(path).and_then(|real| Ok((fs::metadata(&real)?, real)));
            let mine = file
                .metadata()
                .map_err(|error| Refused::Failed("open", error))?;
            match real {
                Ok((there, real)) if (there.dev(), there.ino()) == (mine.dev(), mine.ino()) => {
                    break (file, real);
                }
                // It has just been replaced or removed.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Refused::Failed("open", error)),
            }
        };
        let found = file
            .metadata()
            .map_err(|error| Refused::Failed("open", error))?;
        if !found.is_file() {
            return Err(Refused::Irregular);
        }
        let journal = Self {
            path,
            file: Arc::new(file),
            len: found.len(),
            ragged: false,
        };
        journal.tidy()?;
        Ok(journal)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &Locked {
        &self.file
    }

    /// Bytes that are in order.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Removes what a tool that was killed has left of a replacement.
    fn tidy(&self) -> Result<(), Refused> {
        let path = self.beside();
        let failed = |error| Refused::Failed("look for what is left of", error);
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => return Err(Refused::Occupied(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
        let mut begin = Vec::new();
        let file = File::open(&path).map_err(failed)?;
        let read = file.take(header::LEN as u64).read_to_end(&mut begin);
        read.map_err(failed)?;
        match header::begins(&begin) {
            true => fs::remove_file(&path).map_err(failed),
            false => Err(Refused::Occupied(path)),
        }
    }

    /// Where a replacement is written.
    fn beside(&self) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(SUFFIX);
        name.into()
    }

    /// Adds all of `pieces`, or nothing.
    pub(super) fn append(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        if self.ragged {
            self.cut(self.len)?;
        }
        match write_all(&self.file, pieces) {
            Ok(written) => {
                self.len += written;
                Ok(())
            }
            Err(error) => {
                // Where not even that works, nothing is added before it does.
                self.ragged = self.cut(self.len).is_err();
                Err(error)
            }
        }
    }

    /// Takes off what was added since the file had `len` bytes.
    pub(super) fn cut(&mut self, len: u64) -> io::Result<()> {
        self.len = len;
        self.ragged = true;
        self.file.set_len(len)?;
        self.ragged = false;
        Ok(())
    }

    /// Replaces the file by one of what `fill` writes; with `sync` that is on the disk before. If it
    /// fails, everything is as it was.
    pub(super) fn replace(
        &mut self,
        sync: bool,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let path = self.beside();
        // What somebody else has put there is not removed.
        let new = options().create_new(true).open(&path)?;
        let made = self.make(new, sync, fill);
        let renamed = made.and_then(|new| fs::rename(&path, &self.path).map(|()| new));
        let (file, len) = renamed.inspect_err(|_| {
            // Whatever is wrong is told by the error.
            let _ = fs::remove_file(&path);
        })?;
        (self.file, self.len, self.ragged) = (Arc::new(file), len, false);
        Ok(())
    }

    /// Forces to disk which file is at the path.
    pub(super) fn sync_directory(&self) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        File::open(directory)?.sync_all()
    }

    fn make(
        &self,
        new: File,
        sync: bool,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<(Flock<File>, u64)> {
        let file = Flock::lock(new, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        let (old, new) = (self.file.metadata()?, file.metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&*file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())?;
        let mut writer = io::BufWriter::with_capacity(64 << 10, &*file);
        fill(&mut writer)?;
        writer.flush()?;
        drop(writer);
        if sync {
            file.sync_all()?;
        }
        let len = file.metadata()?.len();
        Ok((file, len))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    options
}

fn lock(file: File) -> Result<Flock<File>, Refused> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Raw::EWOULDBLOCK => Refused::Locked,
        errno => Refused::Failed("lock", errno.into()),
    })
}

/// One write(2), where the file takes all of it.
fn write_all(mut file: &File, pieces: &[&[u8]]) -> io::Result<u64> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = &mut slices[..];
    let total: usize = left.iter().map(|slice| slice.len()).sum();
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total as u64)
}
