//! Telling those who wait that the node is there: a line to a descriptor, and sd_notify(3).

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use fusd::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use sd_notify::NotifyState;

use crate::ToolError;

/// The lowest descriptor that can be given: 0 to 2 stay what they are.
const LOWEST: RawFd = 3;

/// Who waits for the node.
#[derive(Debug)]
pub(crate) struct Ready(Option<File>);

impl Ready {
    /// Takes descriptor `number` over, if one is given. To be called before anything else is
    /// opened, which could then have that number.
    ///
    /// # Errors
    /// It is no descriptor of this process, or cannot be written to.
    pub(crate) fn claim(number: Option<RawFd>) -> Result<Self, ToolError> {
        let Some(number) = number else {
            return Ok(Self(None));
        };
        let bad = |why: String| {
            ToolError::usage(format!(
                "descriptor {number} of --ready-fd {why}; open it for writing, as with 3>FILE in \
                 a shell"
            ))
        };
        if number < LOWEST {
            return Err(bad("is not at least 3".to_owned()));
        }
        let file = take(number).map_err(|errno| bad(format!("cannot be used: {errno}")))?;
        let flags = fcntl(&file, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        match flags {
            Ok(flags) if flags & OFlag::O_ACCMODE != OFlag::O_RDONLY => Ok(Self(Some(file.into()))),
            _ => Err(bad("is not open for writing".to_owned())),
        }
    }

    /// Tells that the node is at `path`.
    pub(crate) fn announce(self, path: &Path) {
        if let Some(mut file) = self.0 {
            let line = [path.as_os_str().as_bytes(), b"\n"].concat();
            if let Err(error) = file.write_all(&line) {
                tracing::warn!(%error, "nobody reads from the descriptor of --ready-fd");
            }
        }
        notify(&NotifyState::Ready);
    }
}

/// Tells the service manager, if there is one, that the device goes.
pub(crate) fn stopping() {
    notify(&NotifyState::Stopping);
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(%error, "the service manager cannot be told: $NOTIFY_SOCKET");
    }
}

/// Makes the inherited descriptor `number` an owned one, and closes the number.
///
/// It is sent to ourselves through a socket: the kernel then says whether it is a descriptor at
/// all, and what arrives is owned. (Opening /proc/self/fd/N instead fails for sockets, and for
/// the pipe of another user, which is what a supervisor hands to a tool it runs without rights.)
fn take(number: RawFd) -> Result<OwnedFd, Errno> {
    let (ours, theirs) = UnixStream::pair()?;
    if [ours.as_raw_fd(), theirs.as_raw_fd()].contains(&number) {
        return Err(Errno::EBADF);
    }
    sendmsg::<()>(
        ours.as_raw_fd(),
        &[IoSlice::new(b"-")],
        &[ControlMessage::ScmRights(&[number])],
        MsgFlags::empty(),
        None,
    )?;
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        &theirs,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(std::io::Error::from)?;
    let taken = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    nix::unistd::close(number)?;
    taken.ok_or(Errno::EBADF)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn the_path_is_written_and_the_descriptor_closed() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let ready = Ready::claim(Some(writer.into_raw_fd())).unwrap();
        ready.announce(Path::new("/dev/x"));
        let mut text = String::new();
        // This returns only because nothing has the writing end open any more.
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "/dev/x\n");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ready = Ready::claim(Some(writer.into_raw_fd())).unwrap();
        ready.announce(Path::new("/dev/x"));
    }

    #[test]
    fn what_cannot_be_written_to_is_a_usage_error() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let error = Ready::claim(Some(reader.into_raw_fd())).unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(
            error.to_string().contains("not open for writing"),
            "{error}"
        );
        for (number, text) in [
            (1_000_000, "EBADF"),
            (-1, "at least 3"),
            (0, "at least 3"),
            (2, "at least 3"),
        ] {
            let error = Ready::claim(Some(number)).unwrap_err();
            assert_eq!(error.code(), 2);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
