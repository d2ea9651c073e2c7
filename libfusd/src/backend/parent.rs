//! The directory that a node goes into: found or made, opened, and known to take new entries.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno as Raw;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fstat, stat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, mkdir, unlinkat};

use crate::sys::process::above_stdio;
use crate::{Errno, Error, ErrorKind, Result};

const ACTION: &str = "create the node";

/// Splits the path of a node into the directory and the name in it.
pub(crate) fn split(path: &Path) -> Result<(PathBuf, CString)> {
    let invalid = |why: &str| {
        Err(Error::new(ErrorKind::Invalid, Errno::EINVAL, ACTION)
            .on(path)
            .because(why))
    };
    let bytes = path.as_os_str().as_bytes();
    if !path.is_absolute() {
        return invalid("the path must be absolute");
    }
    let Ok(whole) = CString::new(bytes) else {
        return invalid("the path holds a NUL");
    };
    let slash = bytes
        .iter()
        .rposition(|&byte| byte == b'/')
        .expect("it is absolute");
    let name = &whole.as_bytes_with_nul()[slash + 1..];
    if matches!(name, b"\0" | b".\0" | b"..\0") {
        return invalid("the path does not end with a name");
    }
    let name = CStr::from_bytes_with_nul(name).expect("it was cut from the end of a C string");
    let parent = path.parent().expect("a name is in a directory");
    Ok((parent.to_owned(), name.to_owned()))
}

/// The opened directory and, innermost first, what had to be made for it.
pub(crate) struct Parent {
    pub(crate) dir: OwnedFd,
    pub(crate) made: Vec<CString>,
}

impl Parent {
    /// Opens the directory `parent` of the node `path`, and makes it first if `create` says so.
    pub(crate) fn open(path: &Path, parent: &Path, create: bool) -> Result<Self> {
        let mut made = Vec::new();
        if create {
            make_missing(parent, &mut made)?;
        }
        let result = open_checked(path, parent);
        if result.is_err() {
            remove(&made);
        }
        Ok(Self { dir: result?, made })
    }

    /// Whether `parent` still leads to the open directory.
    pub(crate) fn is_current(&self, parent: &Path) -> bool {
        let id = |stat: nix::sys::stat::FileStat| (stat.st_dev, stat.st_ino);
        matches!((fstat(&self.dir), stat(parent)), (Ok(a), Ok(b)) if id(a) == id(b))
    }
}

/// Removes directories of ours that are empty, innermost first. Does not allocate.
pub(crate) fn remove(made: &[CString]) {
    for dir in made {
        if unlinkat(AT_FDCWD, dir.as_c_str(), UnlinkatFlags::RemoveDir).is_err() {
            break;
        }
    }
}

fn open_checked(path: &Path, parent: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let failed = |errno: Raw| {
        let error = Error::system(ErrorKind::Node, errno, ACTION).on(path);
        let shown = parent.display();
        match errno {
            Raw::ENOENT => error.hint(format!("create the directory {shown} first")),
            Raw::ENOTDIR => error.hint(format!("{shown} is not a directory")),
            Raw::EACCES | Raw::EPERM | Raw::EROFS => error.hint(format!(
                "choose a directory that you may write, unlike {shown}"
            )),
            _ => error,
        }
    };
    let dir = open(parent, flags, Mode::empty()).map_err(failed)?;
    let rights = AccessFlags::W_OK | AccessFlags::X_OK;
    faccessat(AT_FDCWD, parent, rights, AtFlags::AT_EACCESS).map_err(failed)?;
    above_stdio(&dir).map_err(failed)
}

fn make_missing(parent: &Path, made: &mut Vec<CString>) -> Result<()> {
    let missing: Vec<_> = parent
        .ancestors()
        .take_while(|dir| stat(*dir).is_err())
        .collect();
    for dir in missing.into_iter().rev() {
        match mkdir(dir, Mode::from_bits_truncate(0o755)) {
            Ok(()) => {
                let dir = CString::new(dir.as_os_str().as_bytes()).expect("part of a C string");
                made.insert(0, dir);
            }
            // Another driver was faster: it is theirs to remove.
            Err(Raw::EEXIST) => {}
            Err(errno) => {
                remove(made);
                let action = "create the directory";
                let error = Error::system(ErrorKind::Node, errno, action).on(dir);
                return Err(match errno {
                    Raw::EACCES | Raw::EPERM | Raw::EROFS | Raw::ENOTDIR | Raw::ENOENT => {
                        error.hint("choose a name in a directory that you may write")
                    }
                    _ => error,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_name_is_refused() {
        for bad in ["", "x", "./x", "/", "/x/", "/x/.", "/x/..", "/a\0b"] {
            let error = split(Path::new(bad)).unwrap_err();
            assert_eq!(error.errno(), Errno::EINVAL, "{bad}");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
        let (parent, name) = split(Path::new("/dev/a/b")).unwrap();
        assert_eq!(
            (parent.as_path(), name.as_c_str()),
            (Path::new("/dev/a"), c"b")
        );
        assert_eq!(split(Path::new("/x")).unwrap().0, Path::new("/"));
    }

    #[test]
    fn a_missing_parent_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no/node");
        let error = Parent::open(&path, path.parent().unwrap(), false)
            .err()
            .unwrap();
        assert_eq!(error.errno(), Errno::ENOENT);
        assert!(
            error.to_string().contains("create the directory"),
            "{error}"
        );
    }

    #[test]
    fn a_file_as_the_parent_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().join("node");
        let error = Parent::open(&path, file.path(), false).err().unwrap();
        assert_eq!(error.errno(), Errno::ENOTDIR);
    }

    #[test]
    fn made_directories_are_known_and_removed_innermost_first() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        let parent = Parent::open(&inner.join("node"), &inner, true).unwrap();
        assert!(inner.is_dir());
        assert!(parent.is_current(&inner));
        assert_eq!(parent.made.len(), 2);
        remove(&parent.made);
        assert!(!dir.path().join("a").exists());
        assert!(!parent.is_current(&inner));
    }
}
