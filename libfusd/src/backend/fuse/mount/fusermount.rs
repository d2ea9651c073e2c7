//! Mounting through `fusermount3`, the setuid program by which ordinary users mount.
//!
//! It opens `/dev/fuse`, mounts over a file that the user may write, and passes the descriptor
//! back through a socket whose number it finds in its environment.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{AccessFlags, access, geteuid};

use super::MountOptions;
use crate::sys::process::Program;
use crate::sys::socket::receive_fd;
use crate::{Errno, Error, ErrorKind, Result};

const NAME: &str = "fusermount3";
const ACTION: &str = "mount the device at";

/// `fusermount3`, found.
pub(super) struct Fusermount {
    program: PathBuf,
    /// Whether the administrator lets users' mounts be used by others.
    pub(super) shared: bool,
}

impl Fusermount {
    /// Looks for the program in `PATH` and where it usually is.
    pub(super) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let program = std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .chain(usual)
            .map(|dir| dir.join(NAME))
            .find(|program| program.is_file() && access(program, AccessFlags::X_OK).is_ok())?;
        let conf = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
        Some(Self {
            program,
            shared: geteuid().is_root() || allows_others(&conf),
        })
    }

    /// The call that detaches the mount at `path`.
    pub(super) fn unmounter(&self, path: &Path) -> Program {
        let args = ["-u", "-z", "-q", "--"].map(OsStr::new);
        self.program([&args[..], &[path.as_os_str()]].concat().as_slice(), None)
    }

    /// Mounts over the placeholder at `path` and returns the connection.
    pub(super) fn mount(&self, options: &MountOptions<'_>) -> Result<OwnedFd> {
        let path = options.path;
        let system = |errno: nix::Error| Error::system(ErrorKind::Runtime, errno, ACTION).on(path);
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, flags).map_err(system)?;
        let (mut text, errors) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(system)?;

        let mount_options = self.mount_options(options);
        let args = ["-o", &mount_options, "--"].map(OsStr::new);
        let args = [&args[..], &[path.as_os_str()]].concat();
        let status = self
            .program(&args, Some(theirs.as_raw_fd()))
            .run(Some(theirs.as_fd()), Some(errors.as_fd()))
            .map_err(system)?;
        drop((theirs, errors));

        match receive_fd(&ours) {
            Some(device) if status == 0 => Ok(device),
            _ => Err(refused(path, status, &read_all(&mut text))),
        }
    }

    fn mount_options(&self, options: &MountOptions<'_>) -> String {
        let others = if self.shared { ",allow_other" } else { "" };
        let max_read = options.max_read;
        format!(
            "rw,nosuid,nodev,noatime,fsname=fusd,subtype=fusd,default_permissions{others},\
             max_read={max_read}"
        )
    }

    fn program(&self, args: &[&OsStr], socket: Option<i32>) -> Program {
        let text = |text: &OsStr| CString::new(text.as_bytes()).expect("checked for NUL before");
        let args = [&[OsStr::new(NAME)], args].concat();
        let mut env = vec![
            c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(),
            c"LC_ALL=C".into(),
        ];
        if let Some(fd) = socket {
            env.push(text(OsStr::new(&format!("_FUSE_COMMFD={fd}"))));
        }
        let args = args.into_iter().map(text).collect();
        Program::new(text(self.program.as_os_str()), args, env)
    }
}

/// Whether `/etc/fuse.conf` has the line that lets users' mounts be used by others.
fn allows_others(conf: &str) -> bool {
    conf.lines().any(|line| line.trim() == "user_allow_other")
}

fn read_all(pipe: &mut OwnedFd) -> String {
    let mut text = Vec::new();
    if let Ok(pipe) = pipe.try_clone() {
        // It does not block: an error only ends the text.
        let _ = fs::File::from(pipe).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The error for a mount that the program did not make.
fn refused(path: &Path, status: i32, text: &str) -> Error {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.map(|line| line.strip_prefix("fusermount3: ").unwrap_or(line));
    let denied = line.is_some_and(|line| {
        ["not permitted", "Permission denied", "no write access"]
            .iter()
            .any(|t| line.contains(t))
    });
    let (kind, errno) = if denied {
        (ErrorKind::Permission, Errno::EPERM)
    } else {
        (ErrorKind::Backend, Errno::EIO)
    };
    let cause = match line {
        Some(line) => format!("{NAME} says: {line}"),
        None => format!("{NAME} ended with status {status} and said nothing"),
    };
    Error::new(kind, errno, ACTION)
        .on(path)
        .because(cause)
        .hint("see fusermount3(1)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_line_lets_others_in() {
        assert!(allows_others(
            "# comment\n  user_allow_other \nmount_max = 5\n"
        ));
        assert!(!allows_others(
            "#user_allow_other\n# user_allow_other\nuser_allow_others\n"
        ));
    }

    #[test]
    fn what_the_program_said_is_in_the_error() {
        let text = "fusermount3: mount failed: Operation not permitted\n\n";
        let error = refused(Path::new("/x"), 1, text);
        assert_eq!(
            error.to_string(),
            "cannot mount the device at /x: fusermount3 says: mount failed: Operation not \
             permitted (EPERM); see fusermount3(1)"
        );
        assert_eq!(error.kind(), ErrorKind::Permission);
    }
}
