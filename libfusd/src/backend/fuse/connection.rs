//! The open /dev/fuse: messages in, answers out, and the handshake that begins it.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use nix::unistd::{SysconfVar, sysconf};

use crate::fuse_wire::encode;
use crate::fuse_wire::{Body, Limits, Negotiated, Offer, Outcome, decode, negotiate};
use crate::sys::descriptor;
use crate::{Errno, Error, ErrorKind, Result};

/// The most data in one request, in bytes.
pub(crate) const TRANSFER_MAX: u32 = 1 << 20;

/// The root, and only, inode (`FUSE_ROOT_ID`).
const ROOT: u64 = 1;

/// A connection that has been through the handshake.
pub(crate) struct Connection {
    device: OwnedFd,
    agreed: Negotiated,
}

/// What a read of the connection came to.
pub(crate) enum Arrival {
    /// A message of so many bytes.
    Message(usize),
    /// None this time.
    Nothing,
    /// There will be no more: unmounted or aborted.
    Ended,
}

impl Connection {
    /// Does the handshake on a fresh mount.
    ///
    /// # Errors
    /// The kernel's FUSE is too old (`EPROTO`), or the mount has gone again.
    pub(crate) fn establish(device: OwnedFd) -> Result<Self> {
        let failed = |errno: Errno| {
            Error::system(ErrorKind::Backend, errno, "agree on a protocol with").on("/dev/fuse")
        };
        let limits = Limits {
            max_write: TRANSFER_MAX,
            page_size: page_size(),
        };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length =
                match arrival(&device, &mut buffer).map_err(|error| failed(error.into()))? {
                    Arrival::Message(length) => length,
                    Arrival::Nothing => continue,
                    Arrival::Ended => return Err(failed(Errno::ENODEV)),
                };
            let frame =
                decode(&buffer[..length]).map_err(|error| failed(Errno::EPROTO).because(error))?;
            let Body::Init {
                major,
                minor,
                flags,
                ..
            } = frame.body
            else {
                return Err(failed(Errno::EPROTO).because("its first message is not INIT"));
            };
            let (agreed, answer) = match negotiate(
                Offer {
                    major,
                    minor,
                    flags,
                },
                limits,
            ) {
                Ok(Outcome::Agreed(agreed)) => (Some(agreed), encode::init_out(&agreed)),
                Ok(Outcome::OtherMajor) => (None, encode::init_other_major()),
                Err(unsupported) => {
                    // The mount is undone next: whether this arrives makes no difference.
                    let _ = send(
                        &device,
                        &[IoSlice::new(&encode::error(frame.unique, Errno::EPROTO))],
                    );
                    return Err(failed(Errno::EPROTO).because(unsupported));
                }
            };
            let header = encode::header(frame.unique, answer.len());
            send(&device, &[IoSlice::new(&header), IoSlice::new(&answer)])
                .map_err(|error| failed(error.into()))?;
            if let Some(agreed) = agreed {
                return Ok(Self { device, agreed });
            }
        }
    }

    /// Bytes that a buffer for [`receive`](Self::receive) must have.
    pub(crate) fn buffer_size(&self) -> usize {
        self.agreed.buffer_size()
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// What cannot be mended by trying again.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        arrival(&self.device, buffer)
    }

    /// Sends one whole message, an answer or a notice.
    ///
    /// # Errors
    /// `ENOENT`: the kernel knows no such request (any more).
    pub(crate) fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        send(&self.device, parts)
    }

    /// Has the kernel send a message (a NOTIFY_REPLY of no bytes), for a reader to return.
    pub(crate) fn nudge(&self) -> io::Result<()> {
        self.send(&[IoSlice::new(&encode::notify_retrieve(0, ROOT, 0, 0))])
    }

    /// Cuts the connection: every call without an answer fails at once, also while other threads
    /// still use this value.
    pub(crate) fn sever(&self) -> io::Result<()> {
        // The last reference to the connection's file is the descriptor, so replacing what it
        // stands for closes the file, and that is what aborts (fs/fuse/dev.c, fuse_dev_release).
        // It reads as empty, and is opened for that only: what is sent from now on fails, and is
        // not taken for delivered.
        let end = File::open("/dev/null")?;
        descriptor::replace(&self.device, &end)
    }
}

fn arrival(device: &OwnedFd, buffer: &mut [u8]) -> io::Result<Arrival> {
    let error = match descriptor::read(device, buffer) {
        // Only what replaced a severed connection reads as empty.
        Ok(0) => return Ok(Arrival::Ended),
        Ok(length) => return Ok(Arrival::Message(length)),
        Err(error) => error,
    };
    match Errno::from(&error) {
        // ENOENT: the request was interrupted before it could be handed over.
        Errno::EINTR | Errno::EAGAIN | Errno::ENOENT => Ok(Arrival::Nothing),
        // Unmounted, aborted (fs/fuse/dev.c, fuse_dev_do_read).
        Errno::ENODEV | Errno::ECONNABORTED => Ok(Arrival::Ended),
        _ => Err(error),
    }
}

fn send(device: &OwnedFd, parts: &[IoSlice<'_>]) -> io::Result<()> {
    // One call is one message: it is taken whole or not at all.
    descriptor::write_parts(device, parts).map(drop)
}

fn page_size() -> u32 {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u32::try_from(size).ok())
        .unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_sent_over_a_severed_connection_does_not_arrive() {
        let (device, mut kernel) = UnixStream::pair().unwrap();
        let offer = Offer {
            major: 7,
            minor: 45,
            flags: u64::MAX,
        };
        let limits = Limits {
            max_write: TRANSFER_MAX,
            page_size: page_size(),
        };
        let Ok(Outcome::Agreed(agreed)) = negotiate(offer, limits) else {
            panic!("a kernel that offers everything will do");
        };
        let connection = Connection {
            device: device.into(),
            agreed,
        };
        connection.send(&[IoSlice::new(b"before")]).unwrap();
        connection.sever().unwrap();
        assert!(connection.send(&[IoSlice::new(b"after")]).is_err());
        assert!(matches!(
            connection.receive(&mut [0; 16]),
            Ok(Arrival::Ended)
        ));
        let mut arrived = Vec::new();
        kernel.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived, b"before");
    }
}
