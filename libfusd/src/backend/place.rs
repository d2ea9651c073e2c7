//! The place of a character device's node: free, and below /dev, where the kernel makes it.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Placement, parent};
use crate::{Errno, Error, ErrorKind, Result, name};

/// What failed, where a node cannot be made.
pub(crate) const CREATE: &str = "create the node";

/// A place that is free, below /dev.
pub(crate) struct Place<'a> {
    path: &'a Path,
    name: &'a str,
    /// The directories that the kernel will have to make, innermost first.
    missing: Vec<CString>,
}

impl<'a> Place<'a> {
    /// Checks a place. Nothing is made.
    ///
    /// # Errors
    /// Something is there (`EEXIST`), it is not below /dev or has an impossible name (`EINVAL`), or
    /// its directory is missing and not to be made.
    pub(crate) fn check(placement: &'a Placement) -> Result<Self> {
        Self::check_unless(placement, false)
    }

    /// Likewise; but with `taken`, it is no error that something is there.
    pub(crate) fn check_unless(placement: &'a Placement, taken: bool) -> Result<Self> {
        let path = placement.path.as_path();
        let failed = |errno| Error::system(ErrorKind::Node, errno, CREATE).on(path);
        match fs::symlink_metadata(path) {
            Ok(_) if taken => {}
            Ok(_) => {
                return Err(
                    failed(Errno::EEXIST).hint("choose another name, or remove what is there")
                );
            }
            Err(error) => match Errno::from(&error) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                errno => return Err(failed(errno)),
            },
        }
        let Some(name) = path.strip_prefix("/dev").ok().and_then(Path::to_str) else {
            return Err(Error::new(ErrorKind::Invalid, Errno::EINVAL, CREATE)
                .on(path)
                .because("character devices have their nodes below /dev only")
                .hint("choose a name there, or the backend fuse"));
        };
        let (directory, _) = parent::split(path)?;
        let missing = if placement.create_parents {
            missing(&directory)
        } else {
            parent::Parent::open(path, &directory, false)?;
            Vec::new()
        };
        Ok(Self {
            path,
            name: name::check(name)?,
            missing,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// The name below /dev.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// The directories that the kernel will have to make, innermost first.
    pub(crate) fn missing(&self) -> &[CString] {
        &self.missing
    }
}

/// The directories above a node that are not there, innermost first.
fn missing(directory: &Path) -> Vec<CString> {
    directory
        .ancestors()
        .take_while(|directory| fs::symlink_metadata(directory).is_err())
        .filter_map(|directory| CString::new(directory.as_os_str().as_bytes()).ok())
        .collect()
}
