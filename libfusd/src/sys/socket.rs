//! Sockets: taking over a descriptor that another process has sent.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// The descriptor that waits in `socket`, if there is one. Does not wait for it.
pub(crate) fn receive_fd(socket: &OwnedFd) -> Option<OwnedFd> {
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([i32; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut space), flags).ok()?;
    let fd = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    })?;
    // SAFETY: the kernel has made this descriptor for us with the message, whose control data is
    // read once and here: it is open, and nobody else knows of it. There was room for one only.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}
