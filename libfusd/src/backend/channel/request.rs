//! From a message of the kernel to what the session knows of it.

use super::Channel;
use crate::backend::{FileId, Incoming, Message, Operation, PollKey, Reach, RequestId};
use crate::fuse_wire::{Body, Frame, IoctlFlags};
use crate::{Caller, Errno, IoctlCommand, OpenFlags, Position};

impl Channel {
    /// What `frame` is, for the kinds that FUSE and CUSE have in common. The others are refused.
    #[inline(always)]
    pub(crate) fn sort(&self, frame: &Frame) -> Incoming {
        let operation = match frame.body {
            Body::Interrupt { unique } => {
                return Incoming::Interrupt {
                    id: RequestId(unique),
                    token: RequestId(frame.unique),
                };
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
                length: size.min(self.read_max),
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
                flags,
                cmd,
                arg,
                out_size,
                data,
            } => Operation::Ioctl {
                file: FileId(fh),
                command: IoctlCommand::from_raw(cmd),
                argument: arg,
                input: data.range(),
                output: out_size,
                reach: reach(flags, data.len() > 0 || out_size > 0),
                caller_32_bit: flags.contains(IoctlFlags::BITS_32),
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
            _ if frame.body.expects_reply() => return self.refuse(frame, Errno::ENOSYS),
            _ => return Incoming::Nothing,
        };
        request(frame, operation)
    }

    /// Answers a message with `body`: the session need not know.
    pub(crate) fn settle(&self, frame: &Frame, body: &[u8]) -> Incoming {
        self.report(self.success(frame.unique, &[std::io::IoSlice::new(body)]));
        Incoming::Nothing
    }

    /// Answers a message with an error: the session need not know.
    pub(crate) fn refuse(&self, frame: &Frame, errno: Errno) -> Incoming {
        self.report(self.failure(frame.unique, errno));
        Incoming::Nothing
    }

    /// The kernel counts the parts of a large call on; a stream has no offsets.
    fn offset(&self, offset: u64) -> u64 {
        match self.position {
            Position::Seekable => offset,
            Position::Stream => 0,
        }
    }
}

/// The call of a client that `frame` tells of.
#[inline(always)]
pub(crate) fn request(frame: &Frame, operation: Operation) -> Incoming {
    Incoming::Request(Message {
        id: RequestId(frame.unique),
        caller: Caller {
            thread: frame.pid,
            uid: frame.uid,
            gid: frame.gid,
        },
        operation,
    })
}

/// `given`: it has come with memory.
fn reach(flags: IoctlFlags, given: bool) -> Reach {
    match (flags.contains(IoctlFlags::UNRESTRICTED), given) {
        (false, _) => Reach::Number,
        (true, false) => Reach::Any,
        (true, true) => Reach::Again,
    }
}

fn open_flags(raw: u32) -> OpenFlags {
    OpenFlags::from_raw(raw.cast_signed())
}
