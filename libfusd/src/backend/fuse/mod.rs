//! The FUSE backend: a file system whose root is one regular file, mounted over a placeholder
//! where the node is to be.
//!
//! What the kernel asks and the session need not know is answered here: attributes, extended
//! attributes, locks. Direct I/O throughout: every read and write of a client is a request.

mod connection;
mod mount;
mod node;

use std::io::{self, IoSlice};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use self::connection::{Arrival, Connection};
use self::mount::{MountOptions, NodeMount};
use self::node::Node;
use super::buffer::Buffer;
use super::{
    Answer, Backend, BackendKind, Call, FileId, Incoming, Message, Operation, Placement, PollKey,
    RequestId,
};
use crate::fuse_wire::encode;
use crate::fuse_wire::{Body, Frame, IoctlFlags, OpenFlags as FileFlags, decode};
use crate::sync::lock;
use crate::{Caller, Errno, IoctlCommand, OpenFlags, Operations, Position, Properties, Result};

/// The size that a stream shows which can be written to.
///
/// The kernel lets writes run in parallel only within the file's size; beyond it a writer who
/// waits for the driver holds a lock, and further writers wait for that, out of reach of any
/// signal (fs/fuse/file.c, fuse_dio_wr_exclusive_lock). Hence more than any usual write has, but
/// not so much that a program which believes it runs out of memory.
const STREAM_SIZE: u64 = 16 << 20;

/// The most parts that one writev(2) takes (`UIO_MAXIOV`).
const PARTS_MAX: usize = 1024;

/// A device as a FUSE file.
pub(crate) struct FuseFile {
    path: PathBuf,
    connection: Connection,
    mount: Mutex<NodeMount>,
    node: Node,
    position: Position,
    /// How the kernel is to treat every open file.
    file_flags: FileFlags,
}

impl FuseFile {
    /// Makes the node. Clients find it when this returns.
    pub(crate) fn mount(placement: &Placement, properties: &Properties) -> Result<Self> {
        let (device, mount) = NodeMount::create(&MountOptions {
            path: &placement.path,
            mode: placement.mode,
            max_read: connection::TRANSFER_MAX,
            create_parents: placement.create_parents,
        })?;
        if !mount.shared() && placement.mode & 0o077 != 0 {
            tracing::info!(
                node = %placement.path.display(),
                "only its owner can use the node: user_allow_other is not set in /etc/fuse.conf",
            );
        }
        let Properties {
            operations,
            position,
            ..
        } = *properties;
        let written_stream = position == Position::Stream && operations.contains(Operations::WRITE);
        Ok(Self {
            path: mount.path().to_owned(),
            connection: Connection::establish(device)?,
            mount: Mutex::new(mount),
            node: Node::new(placement, if written_stream { STREAM_SIZE } else { 0 }),
            position,
            file_flags: file_flags(operations, position),
        })
    }

    /// Answers what the session need not know; the rest becomes a message.
    fn sort(&self, frame: &Frame) -> Incoming {
        let operation = match frame.body {
            Body::Interrupt { unique } => {
                return Incoming::Interrupt {
                    id: RequestId(unique),
                    token: RequestId(frame.unique),
                };
            }
            Body::Getattr { fh } => Operation::Size {
                file: fh.map(FileId),
            },
            Body::Setattr(change) => {
                // As `>` does with any device: emptying it is possible and means nothing.
                if change.size.is_some_and(|size| size != 0) {
                    return self.refuse(frame, Errno::EINVAL);
                }
                self.node.change(&change);
                Operation::Size {
                    file: change.fh.map(FileId),
                }
            }
            Body::Open { flags, .. } => Operation::Open {
                flags: open_flags(flags),
            },
            Body::Release { fh, .. } => Operation::Release { file: FileId(fh) },
            Body::Flush { fh, .. } => Operation::Flush { file: FileId(fh) },
            Body::Read {
                fh,
                offset,
                size,
                flags,
            } => Operation::Read {
                file: FileId(fh),
                flags: open_flags(flags),
                offset: self.offset(offset),
                length: size,
            },
            Body::Write {
                fh,
                offset,
                flags,
                data,
                ..
            } => Operation::Write {
                file: FileId(fh),
                flags: open_flags(flags),
                offset: self.offset(offset),
                data: data.range(),
            },
            Body::Ioctl {
                fh,
                cmd,
                arg,
                out_size,
                data,
                ..
            } => Operation::Ioctl {
                file: FileId(fh),
                command: IoctlCommand::from_raw(cmd),
                argument: arg,
                input: data.range(),
                output: out_size,
            },
            Body::Poll {
                fh,
                kh,
                schedule_notify,
                ..
            } => Operation::Poll {
                file: FileId(fh),
                key: schedule_notify.then_some(PollKey(kh)),
            },
            Body::Fsync { fh, datasync } => Operation::Sync {
                file: FileId(fh),
                data_only: datasync,
            },
            Body::Statfs => return self.settle(frame, &encode::statfs_out()),
            Body::Destroy => return self.settle(frame, &[]),
            _ if frame.body.expects_reply() => return self.refuse(frame, Errno::ENOSYS),
            _ => return Incoming::Nothing,
        };
        let caller = Caller {
            thread: frame.pid,
            uid: frame.uid,
            gid: frame.gid,
        };
        Incoming::Request(Message {
            id: RequestId(frame.unique),
            caller,
            operation,
        })
    }

    fn settle(&self, frame: &Frame, body: &[u8]) -> Incoming {
        self.report(self.success(frame.unique, &[IoSlice::new(body)]));
        Incoming::Nothing
    }

    fn refuse(&self, frame: &Frame, errno: Errno) -> Incoming {
        self.report(self.failure(frame.unique, errno));
        Incoming::Nothing
    }

    /// For an answer that nobody in particular waits for the fate of.
    fn report(&self, sent: io::Result<()>) {
        if let Err(error) = sent {
            tracing::debug!(node = %self.path.display(), %error, "answer not delivered");
        }
    }

    fn failure(&self, unique: u64, errno: Errno) -> io::Result<()> {
        self.connection
            .send(&[IoSlice::new(&encode::error(unique, errno))])
    }

    fn success(&self, unique: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let payload = parts.iter().map(|part| part.len()).sum();
        let header = encode::header(unique, payload);
        let header = IoSlice::new(&header);
        match parts {
            [part] => self.connection.send(&[header, *part]),
            [body, data] => self.connection.send(&[header, *body, *data]),
            _ if parts.len() < PARTS_MAX => {
                let all: Vec<IoSlice<'_>> =
                    iter::once(header).chain(parts.iter().copied()).collect();
                self.connection.send(&all)
            }
            _ => {
                let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
                self.connection.send(&[header, IoSlice::new(&all)])
            }
        }
    }

    /// The kernel counts the parts of a large call on; a stream has no offsets.
    fn offset(&self, offset: u64) -> u64 {
        match self.position {
            Position::Seekable => offset,
            Position::Stream => 0,
        }
    }
}

impl Backend for FuseFile {
    fn kind(&self) -> BackendKind {
        BackendKind::Fuse
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn buffer_size(&self) -> usize {
        self.connection.buffer_size()
    }

    fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming> {
        let length = match self.connection.receive(buffer)? {
            Arrival::Message(length) => length,
            Arrival::Nothing => return Ok(Incoming::Nothing),
            Arrival::Ended => return Ok(Incoming::Ended),
        };
        match decode(&buffer[..length]) {
            Ok(frame) => Ok(self.sort(&frame)),
            Err(error) => {
                tracing::error!(node = %self.path.display(), %error, "message not understood");
                if let Some(unique) = error.answerable() {
                    self.report(self.failure(unique, Errno::EIO));
                }
                Ok(Incoming::Nothing)
            }
        }
    }

    fn answer(&self, id: RequestId, call: Call, answer: Answer<'_>) -> io::Result<()> {
        let RequestId(unique) = id;
        match answer {
            // To the kernel ENOSYS means that there is no such call, for good: for open, that
            // nobody need be asked. (Of an ioctl it makes ENOTTY, fs/fuse/ioctl.c.)
            Answer::Error(Errno::ENOSYS)
                if !matches!(call, Call::Read | Call::Write | Call::Ioctl) =>
            {
                self.failure(unique, Errno::EOPNOTSUPP)
            }
            Answer::Error(errno) => self.failure(unique, errno),
            Answer::Unimplemented => self.failure(unique, Errno::ENOSYS),
            Answer::Done => self.success(unique, &[]),
            Answer::Opened(FileId(fh)) => self.success(
                unique,
                &[IoSlice::new(&encode::open_out(fh, self.file_flags))],
            ),
            Answer::Data(parts) => self.success(unique, parts),
            Answer::Count(count) => {
                self.node.written();
                self.success(unique, &[IoSlice::new(&encode::write_out(count))])
            }
            Answer::Ioctl { result, output } => {
                let head = encode::ioctl_out(result, IoctlFlags::empty(), 0, 0);
                self.success(unique, &[IoSlice::new(&head), IoSlice::new(output)])
            }
            Answer::Ready(events) => {
                self.success(unique, &[IoSlice::new(&encode::poll_out(events.bits()))])
            }
            Answer::Size(size) => self.success(unique, &[IoSlice::new(&self.node.stat(size))]),
        }
    }

    fn interrupt_again(&self, token: RequestId) {
        // Fails with ENOENT where the request has been answered in the meantime: all is well.
        let _ = self
            .connection
            .send(&[IoSlice::new(&encode::interrupt_retry(token.0))]);
    }

    fn wake_poll(&self, key: PollKey) {
        self.report(
            self.connection
                .send(&[IoSlice::new(&encode::notify_poll(key.0))]),
        );
    }

    fn nudge(&self) {
        // Fails where the connection has ended: then readers have returned already.
        let _ = self.connection.nudge();
    }

    fn detach(&self) -> Result<()> {
        lock(&self.mount).detach()
    }

    fn close(&self) {
        self.report(self.connection.sever());
    }
}

fn open_flags(raw: u32) -> OpenFlags {
    OpenFlags::from_raw(raw.cast_signed())
}

fn file_flags(operations: Operations, position: Position) -> FileFlags {
    let mut flags = FileFlags::DIRECT_IO | FileFlags::PARALLEL_DIRECT_WRITES;
    if position == Position::Stream {
        flags |= FileFlags::STREAM;
    }
    if !operations.contains(Operations::FLUSH) {
        flags |= FileFlags::NOFLUSH;
    }
    flags
}
