//! The ioctls of drivers that take over from others.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::ptr;

use fusd::wire::{Adopt, IOCTL_ADOPT, List};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// The descriptor that comes with the next message.
pub(crate) fn received(socket: &UnixDatagram) -> OwnedFd {
    let mut text = [0; 256];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags);
    let message = message.expect("a message");
    let mut all = message.cmsgs().expect("whole control messages");
    match all.next() {
        Some(ControlMessageOwned::ScmRights(rights)) if rights.len() == 1 => {
            // SAFETY: the call has just made it, for its caller.
            unsafe { OwnedFd::from_raw_fd(rights[0]) }
        }
        other => panic!("no descriptor came, but {other:?}"),
    }
}

/// The ioctl that makes the driver the successor of the one that has the device `name`. The new
/// control file.
pub(crate) fn adopt(control: &impl AsFd, name: &[u8], flags: u32) -> Result<OwnedFd, Errno> {
    let mut adopt = Adopt {
        name: name.as_ptr().expose_provenance() as u64,
        name_length: u32::try_from(name.len()).expect("a short name"),
        flags,
        reserved: 0,
    };
    adopt_raw(control, &mut adopt)
}

/// The same with any address; it is for the kernel to check.
pub(crate) fn adopt_raw(control: &impl AsFd, adopt: &mut Adopt) -> Result<OwnedFd, Errno> {
    let fd = control.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `adopt` and the name that it names.
    let result = unsafe { libc::ioctl(fd, libc::Ioctl::from(IOCTL_ADOPT), ptr::from_mut(adopt)) };
    // SAFETY: the number is that of a descriptor that the kernel has just made for the caller.
    Errno::result(result).map(|number| unsafe { OwnedFd::from_raw_fd(number) })
}

/// The ioctl `number` that lists what there is from `from` on, into `buffer`. How many records.
pub(crate) fn list(
    control: &impl AsFd,
    number: u32,
    from: u64,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let mut list = List {
        from,
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_length: u32::try_from(buffer.len()).expect("a short buffer"),
        reserved: 0,
    };
    list_raw(control, number, &mut list)
}

/// The same with any address; it is for the kernel to check.
pub(crate) fn list_raw(control: &impl AsFd, number: u32, list: &mut List) -> Result<usize, Errno> {
    let fd = control.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `list`, and writes to the buffer it names, which the callers here own
    // for the call or which is not mapped at all.
    let result = unsafe { libc::ioctl(fd, libc::Ioctl::from(number), ptr::from_mut(list)) };
    Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
}

/// Runs `call` on a thread that is the ordinary user `uid`, without any capability.
pub(crate) fn as_user<T: Send + 'static>(uid: u32, call: impl FnOnce() -> T + Send + 'static) -> T {
    fusd_tests::wait::start(move || {
        // SAFETY: the system call itself, which changes the calling thread alone, and that ends with
        // this closure.
        let result = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
        assert_eq!(Errno::result(result), Ok(0));
        call()
    })
    .wait()
}
