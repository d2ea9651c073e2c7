//! The FUSE backend: a file system whose root is one regular file, mounted over a placeholder
//! where the node is to be.
//!
//! What the kernel asks and the session need not know is answered here: attributes, extended
//! attributes, locks. Direct I/O throughout: every read and write of a client is a request.

mod handshake;
mod mount;
mod node;

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub(crate) use self::mount::is_dead_mount;
use self::mount::{MountOptions, NodeMount};
use self::node::Node;
use super::buffer::Buffer;
use super::channel::{self, Channel, TRANSFER_MAX};
use super::{
    Answer, Backend, BackendKind, Call, FileId, Incoming, Operation, Placement, PollKey, RequestId,
};
use crate::fuse_wire::encode;
use crate::fuse_wire::{Body, Frame, OpenFlags as FileFlags};
use crate::sync::lock;
use crate::{Errno, Operations, Position, Properties, Result};

/// The root, and only, inode (`FUSE_ROOT_ID`).
const ROOT: u64 = 1;

/// The size that a stream shows which can be written to.
///
/// The kernel lets writes run in parallel only within the file's size; beyond it a writer who
/// waits for the driver holds a lock, and further writers wait for that, out of reach of any
/// signal (fs/fuse/file.c, fuse_dio_wr_exclusive_lock). Hence more than any usual write has, but
/// not so much that a program which believes it runs out of memory.
const STREAM_SIZE: u64 = 16 << 20;

/// A device as a FUSE file.
pub(crate) struct FuseFile {
    path: PathBuf,
    channel: Channel,
    mount: Mutex<NodeMount>,
    node: Node,
    /// How the kernel is to treat every open file.
    file_flags: FileFlags,
}

impl FuseFile {
    /// Makes the node. Clients find it when this returns.
    pub(crate) fn mount(placement: &Placement, properties: &Properties) -> Result<Self> {
        let (device, mount) = NodeMount::create(&MountOptions {
            path: &placement.path,
            mode: placement.mode,
            max_read: TRANSFER_MAX,
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
        let agreed = handshake::agree(&device)?;
        Ok(Self {
            path: mount.path().to_owned(),
            channel: Channel::new(device, agreed.max_write, position, mount.path()),
            mount: Mutex::new(mount),
            node: Node::new(placement, if written_stream { STREAM_SIZE } else { 0 }),
            file_flags: file_flags(operations, position),
        })
    }

    /// Answers what the session need not know; the rest becomes a message.
    #[inline(always)]
    fn sort(&self, frame: &Frame) -> Incoming {
        let file = match frame.body {
            Body::Getattr { fh } => fh,
            Body::Setattr(change) => {
                // As `>` does with any device: emptying it is possible and means nothing.
                if change.size.is_some_and(|size| size != 0) {
                    return self.channel.refuse(frame, Errno::EINVAL);
                }
                self.node.change(&change);
                change.fh
            }
            Body::Statfs => return self.channel.settle(frame, &encode::statfs_out()),
            Body::Destroy => return self.channel.settle(frame, &[]),
            _ => return self.channel.sort(frame),
        };
        let file = file.map(FileId);
        channel::request(frame, Operation::Size { file })
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
        self.channel.buffer_size()
    }

    fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming> {
        self.channel.receive(buffer, |frame| self.sort(frame))
    }

    fn answer(&self, id: RequestId, call: Call, answer: Answer<'_>) -> io::Result<()> {
        match answer {
            Answer::Size(size) => self
                .channel
                .success(id.0, &[IoSlice::new(&self.node.stat(size))]),
            answer => {
                if matches!(answer, Answer::Count(_)) {
                    self.node.written();
                }
                self.channel.answer(id, call, answer, self.file_flags)
            }
        }
    }

    fn interrupt_again(&self, token: RequestId) {
        self.channel.interrupt_again(token);
    }

    fn wake_poll(&self, key: PollKey) {
        self.channel.wake_poll(key);
    }

    fn nudge(&self) {
        // A message comes of it (a NOTIFY_REPLY of no bytes). It fails where the connection has
        // ended: then readers have returned already.
        let notice = encode::notify_retrieve(0, ROOT, 0, 0);
        let _ = self.channel.send(&[IoSlice::new(&notice)]);
    }

    fn detach(&self) -> Result<()> {
        lock(&self.mount).detach()
    }

    fn close(&self) {
        self.channel.report(self.channel.sever());
    }
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
