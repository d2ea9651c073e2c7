//! Telling those who wait that the node is there: a line to a descriptor, and sd_notify(3).

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::Path;

use fusd::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

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
                let error = Errno::from(error);
                tracing::warn!(%error, "cannot write to the descriptor of --ready-fd");
            }
        }
        notify("READY=1");
    }
}

/// Tells the service manager, if there is one, that the device goes.
pub(crate) fn stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else {
        return;
    };
    if let Err(error) = send_to(socket.as_bytes(), state) {
        let error = Errno::from(error);
        let socket = socket.display();
        tracing::warn!(%socket, %error, "cannot tell the service manager of $NOTIFY_SOCKET");
    }
}

/// Sends one datagram to the socket at the path `address`, or, after "@", of that abstract name.
fn send_to(address: &[u8], state: &str) -> io::Result<()> {
    let address = match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsStr::from_bytes(address))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
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
    .map_err(io::Error::from)?;
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
        let (mut reader, writer) = io::pipe().unwrap();
        let ready = Ready::claim(Some(writer.into_raw_fd())).unwrap();
        ready.announce(Path::new("/dev/x"));
        let mut text = String::new();
        // This returns only because nothing has the writing end open any more.
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "/dev/x\n");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let ready = Ready::claim(Some(writer.into_raw_fd())).unwrap();
        ready.announce(Path::new("/dev/x"));
    }

    #[test]
    fn the_service_manager_is_told_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("fusd-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, address) in [
            (UnixDatagram::bind(&path), path.display().to_string()),
            (UnixDatagram::bind_addr(&abstract_name), format!("@{name}")),
        ] {
            let socket = socket.unwrap();
            send_to(address.as_bytes(), "READY=1").unwrap();
            let mut text = [0; 20];
            let length = socket.recv(&mut text).unwrap();
            assert_eq!(&text[..length], b"READY=1", "{address}");
        }
        assert!(send_to(b"/no/such/socket", "READY=1").is_err());
    }

    #[test]
    fn what_cannot_be_written_to_is_a_usage_error() {
        let (reader, _writer) = io::pipe().unwrap();
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
