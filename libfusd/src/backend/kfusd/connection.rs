//! The open control node: whole messages in, whole messages out.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::backend::{Content, Offer, RequestId, buffer::Buffer, total};
use crate::sys::descriptor::{self, Exchanged};
use crate::wire::{
    self, CommandHeader, Cookie, Memory, Notify, Publish, Reply, RequestHeader, Unregister,
    Workers, operation,
};
use crate::{Errno, PollEvents};

/// The number of the one device on the connection.
pub(super) const NUMBER: u64 = 1;

/// The most parts that one writev(2) takes (`UIO_MAXIOV`).
const PARTS_MAX: usize = 1024;

/// A connection to the module.
pub(super) struct Connection {
    device: OwnedFd,
    /// Bytes of data in one message, at most.
    max_transfer: u32,
    /// The features that the driver has taken.
    features: u64,
}

/// A message of the module. The bytes after its header are in the buffer it was received into.
pub(super) struct Message {
    pub(super) header: RequestHeader,
    /// What follows the header, as far as it is the fixed part of a request.
    pub(super) fixed: [u8; wire::Ioctl::SIZE],
    /// Bytes of the whole message.
    pub(super) length: usize,
}

impl Message {
    /// Where in the buffer the data behind a fixed part of `size` bytes is.
    pub(super) fn data(&self, size: usize) -> std::ops::Range<usize> {
        let start = RequestHeader::SIZE + size;
        start.min(self.length)..self.length
    }
}

impl Connection {
    /// A connection over `device`, on which a message carries at most `max_transfer` bytes of data.
    /// `features`: what the driver has taken.
    pub(super) fn new(device: OwnedFd, max_transfer: u32, features: u64) -> Self {
        Self {
            device,
            max_transfer,
            features,
        }
    }

    /// The control file.
    pub(super) fn control(&self) -> &OwnedFd {
        &self.device
    }

    /// Whether devices can outlive their driver.
    pub(super) fn keeps(&self) -> bool {
        self.features & wire::FEATURE_KEEP != 0
    }

    /// Bytes that the buffer of [`receive`](Self::receive) must have.
    pub(super) fn buffer_size(&self) -> usize {
        let fixed = RequestHeader::SIZE + wire::Greeting::SIZE;
        // Lossless: at most 16 MiB.
        fixed + self.max_transfer as usize
    }

    /// Waits for the next message. How many bytes of `buffer` it takes; 0: there is none this time.
    ///
    /// # Errors
    /// What cannot be mended by trying again.
    pub(super) fn receive(&self, buffer: &mut Buffer) -> io::Result<usize> {
        descriptor::read(&self.device, buffer).or_else(nothing_if_interrupted)
    }

    /// Whether [`exchange`](Self::exchange) can be used.
    pub(super) fn exchanges(&self) -> bool {
        self.features & wire::FEATURE_EXCHANGE != 0
    }

    /// Whether [`publish`](Self::publish) can be used.
    pub(super) fn publishes(&self) -> bool {
        self.features & wire::FEATURE_PUBLISH != 0
    }

    /// Whether the module's ioctls for rings can be used.
    pub(super) fn has_rings(&self) -> bool {
        self.features & wire::FEATURE_RINGS != 0
    }

    /// Sends one whole message, then waits for the next. How many bytes of `buffer` that takes.
    ///
    /// # Errors
    /// No message has come, because the module has refused this one, or otherwise.
    #[inline]
    pub(super) fn exchange(
        &self,
        message: &[u8],
        buffer: &mut Buffer,
    ) -> Result<usize, NotExchanged> {
        let Exchanged { taken, received } = descriptor::exchange(&self.device, message, buffer);
        received.map_err(|error| match taken {
            true => NotExchanged::Taken(error),
            false => NotExchanged::Refused(error),
        })
    }

    /// Sends one whole message.
    ///
    /// # Errors
    /// `ENOENT`: the module knows no such request, file or device (any more).
    pub(super) fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        // It is taken whole or not at all.
        descriptor::write_parts(&self.device, parts).map(drop)
    }

    /// Answers a request.
    pub(super) fn reply(
        &self,
        RequestId(id): RequestId,
        reply: &Reply,
        flags: u16,
        data: &[IoSlice<'_>],
    ) -> io::Result<()> {
        let header = CommandHeader {
            flags,
            id,
            ..header(operation::REPLY, Reply::SIZE + total(data))
        }
        .to_bytes();
        let reply = reply.to_bytes();
        let head = [IoSlice::new(&header), IoSlice::new(&reply)];
        match data {
            [] => self.send(&head),
            [part] => self.send(&[head[0], head[1], *part]),
            _ if data.len() + head.len() <= PARTS_MAX => {
                let all: Vec<_> = head.iter().chain(data).copied().collect();
                self.send(&all)
            }
            _ => {
                let all: Vec<u8> = data.iter().flat_map(|part| part.iter().copied()).collect();
                self.send(&[head[0], head[1], IoSlice::new(&all)])
            }
        }
    }

    /// Pushes the poll state of the file that the module calls `file`.
    pub(super) fn notify(&self, file: u64, events: PollEvents) -> io::Result<()> {
        let notify = Notify {
            file,
            events: events.bits(),
            reserved: 0,
        };
        self.send_plain(operation::NOTIFY, &notify.to_bytes())
    }

    /// Sets the number that a successor finds with `file`.
    pub(super) fn keep_token(&self, file: u64, token: u64) -> io::Result<()> {
        let cookie = Cookie {
            file,
            cookie: token,
        };
        self.send_plain(operation::COOKIE, &cookie.to_bytes())
    }

    /// Gives a request back.
    pub(super) fn give_back(&self, RequestId(id): RequestId) -> io::Result<()> {
        let header = CommandHeader {
            id,
            ..header(operation::BACK, 0)
        };
        self.send(&[IoSlice::new(&header.to_bytes())])
    }

    /// Takes the device away.
    pub(super) fn unregister(&self) -> io::Result<()> {
        let unregister = Unregister { device: NUMBER };
        self.send_plain(operation::UNREGISTER, &unregister.to_bytes())
    }

    /// Lets clients map memory of this process, by the file that the module calls `file`.
    pub(super) fn offer(&self, file: u64, offer: &Offer) -> io::Result<()> {
        let memory = Memory {
            device: NUMBER,
            file,
            address: offer.address,
            length: offer.length,
            flags: match offer.read_only {
                true => wire::MEMORY_READ_ONLY,
                false => 0,
            },
            reserved: 0,
        };
        self.send_plain(operation::MEMORY, &memory.to_bytes())
    }

    /// Says that so many requests are worked on at a time, at most.
    pub(super) fn limit_workers(&self, limit: usize) -> io::Result<()> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.say_who_works(RequestId(0), Workers { limit, flags: 0 })
    }

    /// Says that the calling thread works on a request; 0: on one that there is no answer to.
    pub(super) fn works_on(&self, id: RequestId) -> io::Result<()> {
        let flags = wire::WORKERS_JOIN;
        self.say_who_works(id, Workers { limit: 0, flags })
    }

    fn say_who_works(&self, RequestId(id): RequestId, workers: Workers) -> io::Result<()> {
        if self.features & wire::FEATURE_WORKERS == 0 {
            return Ok(());
        }
        let header = CommandHeader {
            id,
            ..header(operation::WORKERS, Workers::SIZE)
        };
        self.send(&[
            IoSlice::new(&header.to_bytes()),
            IoSlice::new(&workers.to_bytes()),
        ])
    }

    /// Has the module serve reads of the file that it calls `file` from memory of this process.
    pub(super) fn publish(&self, file: u64, content: &Content) -> io::Result<()> {
        let publish = Publish {
            device: NUMBER,
            file,
            address: content.address,
            length: content.length,
            flags: 0,
            reserved: 0,
        };
        self.send_plain(operation::PUBLISH, &publish.to_bytes())
    }

    /// Has one reader return.
    pub(super) fn nudge(&self) -> io::Result<()> {
        self.send_plain(operation::NUDGE, &[])
    }

    /// Sends a message about no request.
    pub(super) fn send_plain(&self, operation: u16, body: &[u8]) -> io::Result<()> {
        let header = header(operation, body.len()).to_bytes();
        self.send(&[IoSlice::new(&header), IoSlice::new(body)])
    }

    /// For what nobody in particular waits for the fate of.
    #[inline]
    pub(super) fn report(&self, node: &Path, sent: io::Result<()>) {
        if let Err(error) = sent {
            tracing::debug!(node = %node.display(), %error, "message not delivered");
        }
    }

    /// Ends the connection, also while other threads still use this value: the device goes, if it
    /// is still there, and every call without an answer fails.
    pub(super) fn sever(&self) -> io::Result<()> {
        // As for FUSE: the descriptor is the last reference to the connection. What replaces it
        // reads as empty and cannot be written to.
        let end = File::open("/dev/null")?;
        descriptor::replace(&self.device, &end)
    }
}

/// Why an exchange has brought no message.
pub(super) enum NotExchanged {
    /// The module has not taken the message that was sent, and has not waited.
    Refused(io::Error),
    /// It has, and this is about the next one.
    Taken(io::Error),
}

/// A signal, or nothing to wait for, is no message: of 0 bytes.
///
/// # Errors
/// All others.
pub(super) fn nothing_if_interrupted(error: io::Error) -> io::Result<usize> {
    match Errno::from(&error) {
        Errno::EINTR | Errno::EAGAIN => Ok(0),
        _ => Err(error),
    }
}

/// Appends what stands before `payload` bytes of data in the answer to a request, as
/// [`Connection::reply`] would send it.
#[inline]
pub(super) fn pack_head(
    RequestId(id): RequestId,
    reply: &Reply,
    payload: usize,
    message: &mut Vec<u8>,
) {
    let header = CommandHeader {
        id,
        ..header(operation::REPLY, Reply::SIZE.saturating_add(payload))
    };
    // In one piece whose size is known: a few moves.
    let mut head = [0; CommandHeader::SIZE + Reply::SIZE];
    let (first, second) = head.split_at_mut(CommandHeader::SIZE);
    first.copy_from_slice(&header.to_bytes());
    second.copy_from_slice(&reply.to_bytes());
    message.extend_from_slice(&head);
}

/// The header of a message about no request, with `body` bytes behind it.
///
/// A length that does not fit becomes one that the module refuses.
#[inline]
pub(super) fn header(operation: u16, body: usize) -> CommandHeader {
    let length = CommandHeader::SIZE.saturating_add(body);
    CommandHeader {
        length: u32::try_from(length).unwrap_or(u32::MAX),
        operation,
        flags: 0,
        id: 0,
    }
}

impl Message {
    /// The message that `bytes` are; `None` where they are none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        // Of a length that is known: then no field's place need be checked.
        let (header, rest): (&[u8; RequestHeader::SIZE], &[u8]) = bytes.split_first_chunk()?;
        let header = RequestHeader::from_bytes(header);
        let mut fixed = [0; wire::Ioctl::SIZE];
        // The fixed part of each operation is so many words long.
        let (words, _) = rest.as_chunks::<8>();
        for (to, from) in fixed.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(from);
        }
        Some(Self {
            header,
            fixed,
            length: bytes.len(),
        })
    }
}
