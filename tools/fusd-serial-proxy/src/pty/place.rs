//! The link that leads to the terminal.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use fusd::{Error, ErrorKind};
use fusd_tool::ToolError;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::watcher::Made;

/// That a link can be made at `path`, as far as a look can tell.
///
/// # Errors
/// There is something already, or there is no directory for it, or it cannot be written.
pub(crate) fn vacant(path: &Path) -> Result<(), ToolError> {
    match fs::symlink_metadata(path) {
        Ok(_) if is_stale(path) => Ok(()),
        Ok(_) => Err(failed(path, rustix::io::Errno::EXIST.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let mode = Access::WRITE_OK | Access::EXEC_OK;
            // As the call that makes the link will be judged.
            let found = accessat(CWD, folder, mode, AtFlags::EACCESS);
            found.map_err(|errno| failed(path, errno.into()))
        }
        Err(error) => Err(failed(path, error)),
    }
}

/// Whether it is a link to a terminal that is gone.
fn is_stale(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.starts_with("/dev/pts") && !target.exists())
}

/// Makes the link, in place of one whose terminal is gone: if that has this one's name, it is gone as
/// well, for this one is new.
pub(super) fn place(path: &Path, terminal: &Path) -> Result<Made, ToolError> {
    let is_own = || fs::read_link(path).is_ok_and(|target| target == terminal);
    let result = if is_stale(path) || is_own() {
        tracing::info!("{} leads to a terminal that is gone", path.display());
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        symlink(terminal, &draft).and_then(|()| {
            fs::rename(&draft, path).inspect_err(|_| {
                let _gone = fs::remove_file(&draft);
            })
        })
    } else {
        symlink(terminal, path)
    };
    result.map_err(|error| failed(path, error))?;
    Ok(Made::Link(path.to_owned(), terminal.to_owned()))
}

fn failed(path: &Path, error: io::Error) -> ToolError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Permission,
        _ => ErrorKind::Node,
    };
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => "choose another path, or remove what is there",
        io::ErrorKind::NotFound => "make the directory, or choose another path",
        _ => "choose another path",
    };
    Error::system(kind, error, "create the node")
        .on(path)
        .hint(hint)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_taken_over_from_a_terminal_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let own = nix::pty::openpty(None, None).unwrap();
        let own = nix::unistd::ttyname(&own.slave).map(|name| (own, name));
        let (_own, terminal) = own.unwrap();
        // No number is that high (/proc/sys/kernel/pty/max).
        for left in ["/dev/pts/2000000000".as_ref(), terminal.as_path()] {
            symlink(left, &path).unwrap();
            let made = place(&path, &terminal).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), terminal);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            assert!(vacant(&path).is_err());
            made.remove().unwrap();
            vacant(&path).unwrap();
        }
        assert!(vacant(&folder.path().join("none/port")).is_err());
        let other = nix::pty::openpty(None, None).unwrap();
        let live = nix::unistd::ttyname(&other.slave).unwrap();
        symlink(&live, &path).unwrap();
        assert!(place(&path, &terminal).is_err(), "it leads somewhere");
        assert_eq!(fs::read_link(&path).unwrap(), live);
    }
}
