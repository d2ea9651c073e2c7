//! What the kernel tells udev: messages of devices that come and go (netlink(7),
//! `NETLINK_KOBJECT_UEVENT`).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// Listens to them.
pub(crate) struct Uevents(OwnedFd);

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Uevents {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self, Errno> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: asks for a descriptor.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_KOBJECT_UEVENT) };
        // SAFETY: it was made for us by the call above.
        let socket = unsafe { OwnedFd::from_raw_fd(Errno::result(fd)?) };
        // As much as many devices have to say (SO_RCVBUFFORCE).
        let room: libc::c_int = 8 << 20;
        // SAFETY: the kernel reads one integer.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const room).cast(),
                size_of_val(&room) as libc::socklen_t,
            )
        };
        Errno::result(result)?;
        // SAFETY: plain numbers, for which zero is a value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        // The group of what comes from the kernel.
        address.nl_groups = 1;
        // SAFETY: the kernel reads the address, which is as long as it is told.
        let result = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        Errno::result(result)?;
        Ok(Self(socket))
    }

    /// Waits for the next message: what it says, by name.
    pub(crate) fn next(&self) -> Result<BTreeMap<String, String>, Errno> {
        let mut buffer = vec![0u8; 8192];
        let length = nix::unistd::read(&self.0, &mut buffer)?;
        // First ACTION@PATH, then NAME=VALUE, each with a zero behind.
        let texts = buffer[..length].split(|byte| *byte == 0).skip(1);
        Ok(texts
            .filter_map(|text| {
                let text = String::from_utf8_lossy(text);
                let (name, value) = text.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            })
            .collect())
    }
}
