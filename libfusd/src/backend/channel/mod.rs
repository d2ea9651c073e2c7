//! The way to the kernel that FUSE and CUSE share: messages in, answers out.
//!
//! Both speak the protocol of [`fuse_wire`](crate::fuse_wire) over a descriptor. What differs, how
//! the connection begins and how the node comes and goes, is with the backends.

mod answer;
mod request;

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno as Raw;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{SysconfVar, sysconf};

pub(crate) use self::request::request;
use super::Incoming;
use crate::fuse_wire::init::buffer_size;
use crate::fuse_wire::{Frame, decode, encode};
use crate::sys::descriptor;
use crate::{Errno, Error, ErrorKind, Position, Result};

/// The most data in one request, in bytes.
pub(crate) const TRANSFER_MAX: u32 = 1 << 20;

/// Before the handshake no message is longer, in bytes (`FUSE_MIN_READ_BUFFER` is 8 KiB).
const GREETING_MAX: usize = 64 * 1024;

/// How long [`Channel::attend`] waits before it asks whether to go on, in milliseconds.
const ATTENTION: u8 = 5;

/// A descriptor over which the kernel asks and is answered.
pub(crate) struct Channel {
    device: OwnedFd,
    buffer_size: usize,
    position: Position,
    /// The most bytes that a read is told to take.
    read_max: u32,
    /// For the log.
    node: PathBuf,
}

/// What a read of the descriptor came to.
pub(crate) enum Arrival {
    /// A message of so many bytes.
    Message(usize),
    /// None this time.
    Nothing,
    /// There will be no more: unmounted or aborted.
    Ended,
}

impl Channel {
    /// A channel after its handshake, of a device whose requests carry up to `transfer_max` bytes.
    pub(crate) fn new(device: OwnedFd, transfer_max: u32, position: Position, node: &Path) -> Self {
        Self {
            device,
            buffer_size: buffer_size(transfer_max),
            position,
            read_max: read_max(transfer_max, position),
            node: node.to_owned(),
        }
    }

    /// Bytes that the buffer of [`receive`](Self::receive) must have.
    pub(crate) fn buffer_size(&self) -> usize {
        self.buffer_size
    }

    /// Waits for the next message and has `sort` say what it is. What cannot be decoded is logged
    /// and answered here.
    ///
    /// # Errors
    /// What cannot be mended by trying again.
    #[inline]
    pub(crate) fn receive(
        &self,
        buffer: &mut [u8],
        sort: impl FnOnce(&Frame) -> Incoming,
    ) -> io::Result<Incoming> {
        let length = match arrival(&self.device, buffer)? {
            Arrival::Message(length) => length,
            Arrival::Nothing => return Ok(Incoming::Nothing),
            Arrival::Ended => return Ok(Incoming::Ended),
        };
        match decode(&buffer[..length]) {
            Ok(frame) => Ok(sort(&frame)),
            Err(error) => {
                tracing::error!(node = %self.node.display(), %error, "message not understood");
                if let Some(unique) = error.answerable() {
                    self.report(self.failure(unique, Errno::EIO));
                }
                Ok(Incoming::Nothing)
            }
        }
    }

    /// Has `sort` see to what comes, until `has_ended`. It is asked again when something has come, and
    /// every few milliseconds. To be called when all that is left of the connection is its end: no read
    /// of the descriptor waits from now on.
    ///
    /// # Errors
    /// What cannot be mended by trying again.
    pub(crate) fn attend(
        &self,
        has_ended: impl Fn() -> bool,
        sort: impl Fn(&Frame) -> Incoming,
    ) -> io::Result<()> {
        let mut buffer = vec![0; self.buffer_size];
        fcntl(&self.device, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        while !has_ended() {
            let mut wanted = [PollFd::new(self.device.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wanted, PollTimeout::from(ATTENTION)) {
                Ok(0) | Err(Raw::EINTR) => {}
                // A call that nobody serves any more ends with the connection.
                Ok(_) => {
                    if matches!(self.receive(&mut buffer, &sort)?, Incoming::Ended) {
                        break;
                    }
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Sends one whole message, an answer or a notice.
    ///
    /// # Errors
    /// `ENOENT`: the kernel knows no such request (any more).
    pub(crate) fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        send(&self.device, parts)
    }

    /// For an answer that nobody in particular waits for the fate of.
    pub(crate) fn report(&self, sent: io::Result<()>) {
        if let Err(error) = sent {
            tracing::debug!(node = %self.node.display(), %error, "answer not delivered");
        }
    }

    /// Cuts the connection: every call without an answer fails at once, also while other threads
    /// still use this value.
    pub(crate) fn sever(&self) -> io::Result<()> {
        // The last reference to the connection's file is the descriptor, so replacing what it
        // stands for closes the file, and that is what aborts (fs/fuse/dev.c, fuse_dev_release)
        // and, on CUSE, removes the device (fs/fuse/cuse.c, cuse_channel_release).
        // It reads as empty, and is opened for that only: what is sent from now on fails, and is
        // not taken for delivered.
        let end = File::open("/dev/null")?;
        descriptor::replace(&self.device, &end)
    }
}

/// The messages before a channel is one: those of the handshake, on the device at `path`.
pub(crate) struct Greeting<'a> {
    device: &'a OwnedFd,
    path: &'static str,
    buffer: Vec<u8>,
}

impl<'a> Greeting<'a> {
    pub(crate) fn new(device: &'a OwnedFd, path: &'static str) -> Self {
        Self {
            device,
            path,
            buffer: vec![0; GREETING_MAX],
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// It cannot be read or understood, or the kernel has ended the connection (`ENODEV`).
    pub(crate) fn receive(&mut self) -> Result<Frame> {
        let length = loop {
            let arrival = arrival(self.device, &mut self.buffer);
            match arrival.map_err(|error| self.failed(error.into()))? {
                Arrival::Message(length) => break length,
                Arrival::Nothing => {}
                Arrival::Ended => return Err(self.failed(Errno::ENODEV)),
            }
        };
        decode(&self.buffer[..length]).map_err(|error| self.failed(Errno::EPROTO).because(error))
    }

    /// Answers the message `unique`.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub(crate) fn answer(&self, unique: u64, parts: &[&[u8]]) -> Result<()> {
        let payload = parts.iter().map(|part| part.len()).sum();
        let header = encode::header(unique, payload);
        let all: Vec<_> = [header.as_slice()]
            .iter()
            .chain(parts)
            .map(|part| IoSlice::new(part))
            .collect();
        send(self.device, &all).map_err(|error| self.failed(error.into()))
    }

    /// Refuses the message `unique`; the connection is given up next, whether this arrives or not.
    pub(crate) fn refuse(&self, unique: u64, errno: Errno) {
        let _ = send(self.device, &[IoSlice::new(&encode::error(unique, errno))]);
    }

    /// That the handshake failed, with `errno`.
    pub(crate) fn failed(&self, errno: Errno) -> Error {
        Error::system(ErrorKind::Backend, errno, "agree on a protocol with").on(self.path)
    }
}

impl AsFd for Greeting<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

#[inline]
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

/// The most bytes of one read, where a request carries `transfer_max`.
///
/// The kernel sends what is left of a large read as a further request, unless the first came back
/// short (fs/fuse/file.c, fuse_direct_io). A stream could have nothing more by then, and the client
/// would wait although it has got something. What may be cut is no more than a page smaller than the
/// largest request: asked for less, a stream always comes back short.
fn read_max(transfer_max: u32, position: Position) -> u32 {
    match position {
        Position::Seekable => transfer_max,
        Position::Stream => transfer_max.saturating_sub(page_size()).max(page_size()),
    }
}

/// The size of a page of this machine, in bytes.
pub(crate) fn page_size() -> u32 {
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
    fn what_is_sent_over_a_severed_channel_does_not_arrive() {
        let (device, mut kernel) = UnixStream::pair().unwrap();
        let channel = Channel::new(device.into(), 4096, Position::Stream, Path::new("node"));
        channel.send(&[IoSlice::new(b"before")]).unwrap();
        channel.sever().unwrap();
        assert!(channel.send(&[IoSlice::new(b"after")]).is_err());
        let received = channel.receive(&mut [0; 16], |_| Incoming::Nothing);
        assert!(matches!(received, Ok(Incoming::Ended)));
        let mut arrived = Vec::new();
        kernel.read_to_end(&mut arrived).unwrap();
        assert_eq!(arrived, b"before");
    }
}
