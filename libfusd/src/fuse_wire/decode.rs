//! Requests: from the bytes of one read of the device into a [`Frame`].
//!
//! Every length is checked here and nowhere else. The kernel is the peer and means well; the
//! checks are for the day this layer and a kernel disagree about a layout.

use fuse_abi::linux as abi;
use fuse_abi::linux::fuse_opcode as Opcode;
use zerocopy::FromBytes;

use super::frame::{Body, Frame, SetAttr, SetTime, Span, Timestamp};
use super::{InitFlags, IoctlFlags};

mod error;
#[cfg(all(test, target_endian = "little"))]
mod goldens;
#[cfg(all(test, target_endian = "little"))]
mod mutations;
#[cfg(all(test, target_endian = "little"))]
mod tests;

use error::Request;
pub(crate) use error::{DecodeError, Flaw};

/// The size of the header of every request, in bytes.
pub(crate) const HEADER_SIZE: usize = size_of::<abi::fuse_in_header>();

/// Decodes one request; `buffer` is exactly what one read of the device gave.
///
/// # Errors
///
/// A length that does not fit. Nothing of the request was looked at beyond it, so
/// [`DecodeError::answerable`] tells whom to answer EIO.
pub(crate) fn decode(buffer: &[u8]) -> Result<Frame, DecodeError> {
    let Ok((header, rest)) = abi::fuse_in_header::read_from_prefix(buffer) else {
        return Err(DecodeError::new(None, Flaw::Header { got: buffer.len() }));
    };
    let request = Request {
        unique: header.unique,
        opcode: header.opcode,
    };
    let fail = |flaw| Err(DecodeError::new(Some(request), flaw));

    if usize::try_from(header.len) != Ok(buffer.len()) {
        return fail(Flaw::Length {
            announced: header.len,
            got: buffer.len(),
        });
    }
    // Since 7.38, in units of 8 bytes and behind everything else (`fs/fuse/dir.c`,
    // `get_create_ext`); zero padding before.
    let extensions = usize::from(header.total_extlen) * 8;
    let Some(bytes) = rest
        .len()
        .checked_sub(extensions)
        .and_then(|end| rest.get(..end))
    else {
        return fail(Flaw::Extensions {
            announced: extensions,
            got: rest.len(),
        });
    };

    match (Payload { bytes }).body(header.opcode) {
        Ok(body) => Ok(Frame {
            unique: header.unique,
            node: header.nodeid,
            uid: header.uid,
            gid: header.gid,
            pid: header.pid,
            body,
        }),
        Err(flaw) => fail(flaw),
    }
}

/// What follows the header, without the extensions.
#[derive(Clone, Copy)]
struct Payload<'a> {
    bytes: &'a [u8],
}

impl Payload<'_> {
    fn body(self, opcode: u32) -> Result<Body, Flaw> {
        let Ok(known) = Opcode::try_from(opcode) else {
            return Ok(Body::Other { opcode });
        };
        match known {
            Opcode::FUSE_INIT => self.init(),
            Opcode::CUSE_INIT => self.cuse_init(),
            Opcode::FUSE_DESTROY => Ok(Body::Destroy),
            Opcode::FUSE_GETATTR => self.getattr(),
            Opcode::FUSE_STATX => self.statx(),
            Opcode::FUSE_SETATTR => self.setattr(),
            Opcode::FUSE_OPEN => self.open(),
            Opcode::FUSE_RELEASE => self.release(),
            Opcode::FUSE_FLUSH => self.flush(),
            Opcode::FUSE_READ => self.read(),
            Opcode::FUSE_WRITE => self.write(),
            Opcode::FUSE_IOCTL => self.ioctl(),
            Opcode::FUSE_POLL => self.poll(),
            Opcode::FUSE_FSYNC => self.fsync(),
            Opcode::FUSE_LSEEK => self.lseek(),
            Opcode::FUSE_INTERRUPT => self.interrupt(),
            Opcode::FUSE_ACCESS => self.access(),
            Opcode::FUSE_STATFS => Ok(Body::Statfs),
            Opcode::FUSE_GETXATTR => Ok(Body::Getxattr {
                size: self.xattr_size()?,
            }),
            Opcode::FUSE_LISTXATTR => Ok(Body::Listxattr {
                size: self.xattr_size()?,
            }),
            Opcode::FUSE_SETXATTR => self.setxattr(),
            Opcode::FUSE_REMOVEXATTR => Ok(Body::Removexattr),
            Opcode::FUSE_FORGET => self.forget(),
            Opcode::FUSE_BATCH_FORGET => self.batch_forget(),
            Opcode::FUSE_NOTIFY_REPLY => self.notify_reply(),
            Opcode::FUSE_FALLOCATE => self.fallocate(),
            Opcode::FUSE_COPY_FILE_RANGE => self.copy_file_range(),
            Opcode::FUSE_GETLK => self.lock(Body::Getlk),
            Opcode::FUSE_SETLK => self.lock(Body::Setlk),
            Opcode::FUSE_SETLKW => self.lock(Body::Setlkw),
            _ => Ok(Body::Other { opcode }),
        }
    }

    /// The structure at the start. A later kernel may have made it longer, at its end.
    fn fixed<T: FromBytes>(self) -> Result<T, Flaw> {
        match T::read_from_prefix(self.bytes) {
            Ok((value, _)) => Ok(value),
            Err(_) => Err(Flaw::Body {
                expected: size_of::<T>(),
                got: self.bytes.len(),
            }),
        }
    }

    /// The structure at the start, and where that which follows it lies in the buffer.
    fn with_data<T: FromBytes>(self) -> Result<(T, Span), Flaw> {
        let value = self.fixed()?;
        let start = HEADER_SIZE + size_of::<T>();
        Ok((
            value,
            Span {
                start,
                end: HEADER_SIZE + self.bytes.len(),
            },
        ))
    }

    /// The layout before the version is agreed on: 8 bytes up to 7.5, 16 up to 7.35, then 64.
    /// What an old kernel does not send counts as zero, so that it can be refused by its version.
    fn init(self) -> Result<Body, Flaw> {
        let [major, minor] = self.fixed::<[u32; 2]>()?;
        let [_, _, max_readahead, flags] = self.fixed::<[u32; 4]>().unwrap_or_default();
        let mut flags = InitFlags::from_bits_retain(u64::from(flags));
        if flags.contains(InitFlags::INIT_EXT) {
            let full = self.fixed::<abi::fuse_init_in>()?;
            flags |= InitFlags::from_bits_retain(u64::from(full.flags2) << 32);
        }
        Ok(Body::Init {
            major,
            minor,
            max_readahead,
            flags: flags.bits(),
        })
    }

    fn cuse_init(self) -> Result<Body, Flaw> {
        let abi::cuse_init_in {
            major,
            minor,
            flags,
            ..
        } = self.fixed()?;
        Ok(Body::CuseInit {
            major,
            minor,
            flags,
        })
    }

    fn getattr(self) -> Result<Body, Flaw> {
        let abi::fuse_getattr_in {
            getattr_flags, fh, ..
        } = self.fixed()?;
        Ok(Body::Getattr {
            fh: some_if(getattr_flags & abi::FUSE_GETATTR_FH != 0, fh),
        })
    }

    fn statx(self) -> Result<Body, Flaw> {
        let input: abi::fuse_statx_in = self.fixed()?;
        Ok(Body::Statx {
            fh: some_if(input.getattr_flags & abi::FUSE_GETATTR_FH != 0, input.fh),
            flags: input.sx_flags,
            mask: input.sx_mask,
        })
    }

    fn setattr(self) -> Result<Body, Flaw> {
        let input: abi::fuse_setattr_in = self.fixed()?;
        let has = |bit| input.valid & bit != 0;
        let time = |set, now, sec: u64, nsec| match (has(set), has(now)) {
            (_, true) => Some(SetTime::Now),
            (true, false) => Some(SetTime::At(Timestamp {
                sec: sec.cast_signed(),
                nsec,
            })),
            (false, false) => None,
        };
        Ok(Body::Setattr(SetAttr {
            mode: some_if(has(abi::FATTR_MODE), input.mode),
            uid: some_if(has(abi::FATTR_UID), input.uid),
            gid: some_if(has(abi::FATTR_GID), input.gid),
            size: some_if(has(abi::FATTR_SIZE), input.size),
            atime: time(
                abi::FATTR_ATIME,
                abi::FATTR_ATIME_NOW,
                input.atime,
                input.atimensec,
            ),
            mtime: time(
                abi::FATTR_MTIME,
                abi::FATTR_MTIME_NOW,
                input.mtime,
                input.mtimensec,
            ),
            fh: some_if(has(abi::FATTR_FH), input.fh),
        }))
    }

    fn open(self) -> Result<Body, Flaw> {
        let abi::fuse_open_in { flags, open_flags } = self.fixed()?;
        Ok(Body::Open { flags, open_flags })
    }

    fn release(self) -> Result<Body, Flaw> {
        let abi::fuse_release_in {
            fh,
            flags,
            release_flags,
            ..
        } = self.fixed()?;
        Ok(Body::Release {
            fh,
            flags,
            flush: release_flags & abi::FUSE_RELEASE_FLUSH != 0,
        })
    }

    fn flush(self) -> Result<Body, Flaw> {
        let abi::fuse_flush_in { fh, lock_owner, .. } = self.fixed()?;
        Ok(Body::Flush { fh, lock_owner })
    }

    fn read(self) -> Result<Body, Flaw> {
        let abi::fuse_read_in {
            fh,
            offset,
            size,
            flags,
            ..
        } = self.fixed()?;
        Ok(Body::Read {
            fh,
            offset,
            size,
            flags,
        })
    }

    fn write(self) -> Result<Body, Flaw> {
        let (input, data) = self.with_data::<abi::fuse_write_in>()?;
        exactly(input.size, data)?;
        let abi::fuse_write_in {
            fh,
            offset,
            flags,
            write_flags,
            ..
        } = input;
        Ok(Body::Write {
            fh,
            offset,
            flags,
            write_flags,
            data,
        })
    }

    fn ioctl(self) -> Result<Body, Flaw> {
        let (input, data) = self.with_data::<abi::fuse_ioctl_in>()?;
        exactly(input.in_size, data)?;
        let abi::fuse_ioctl_in {
            fh,
            cmd,
            arg,
            out_size,
            ..
        } = input;
        let flags = IoctlFlags::from_bits_retain(input.flags);
        Ok(Body::Ioctl {
            fh,
            flags,
            cmd,
            arg,
            out_size,
            data,
        })
    }

    fn poll(self) -> Result<Body, Flaw> {
        let abi::fuse_poll_in {
            fh,
            kh,
            flags,
            events,
        } = self.fixed()?;
        let schedule_notify = flags & abi::FUSE_POLL_SCHEDULE_NOTIFY != 0;
        Ok(Body::Poll {
            fh,
            kh,
            schedule_notify,
            events,
        })
    }

    fn fsync(self) -> Result<Body, Flaw> {
        let abi::fuse_fsync_in {
            fh, fsync_flags, ..
        } = self.fixed()?;
        Ok(Body::Fsync {
            fh,
            datasync: fsync_flags & abi::FUSE_FSYNC_FDATASYNC != 0,
        })
    }

    fn lseek(self) -> Result<Body, Flaw> {
        let abi::fuse_lseek_in {
            fh, offset, whence, ..
        } = self.fixed()?;
        Ok(Body::Lseek {
            fh,
            offset: offset.cast_signed(),
            whence,
        })
    }

    fn interrupt(self) -> Result<Body, Flaw> {
        let abi::fuse_interrupt_in { unique } = self.fixed()?;
        Ok(Body::Interrupt { unique })
    }

    fn access(self) -> Result<Body, Flaw> {
        let abi::fuse_access_in { mask, .. } = self.fixed()?;
        Ok(Body::Access { mask })
    }

    fn xattr_size(self) -> Result<u32, Flaw> {
        let abi::fuse_getxattr_in { size, .. } = self.fixed()?;
        Ok(size)
    }

    /// The kernel sends the short structure unless `FUSE_SETXATTR_EXT` was agreed, and it is not
    /// (`fs/fuse/xattr.c`, `fuse_setxattr`).
    fn setxattr(self) -> Result<Body, Flaw> {
        self.fixed::<[u32; 2]>()?;
        Ok(Body::Setxattr)
    }

    fn forget(self) -> Result<Body, Flaw> {
        let abi::fuse_forget_in { nlookup } = self.fixed()?;
        Ok(Body::Forget { lookups: nlookup })
    }

    fn batch_forget(self) -> Result<Body, Flaw> {
        let (input, items) = self.with_data::<abi::fuse_batch_forget_in>()?;
        let count = usize::try_from(input.count).unwrap_or(usize::MAX);
        let expected = count.saturating_mul(size_of::<abi::fuse_forget_one>());
        if expected != items.len() {
            return Err(Flaw::Data {
                expected,
                got: items.len(),
            });
        }
        Ok(Body::BatchForget {
            count: input.count,
            items,
        })
    }

    fn notify_reply(self) -> Result<Body, Flaw> {
        let (input, data) = self.with_data::<abi::fuse_notify_retrieve_in>()?;
        exactly(input.size, data)?;
        Ok(Body::NotifyReply {
            offset: input.offset,
            data,
        })
    }

    fn fallocate(self) -> Result<Body, Flaw> {
        let abi::fuse_fallocate_in {
            fh,
            offset,
            length,
            mode,
            ..
        } = self.fixed()?;
        Ok(Body::Fallocate {
            fh,
            offset,
            length,
            mode,
        })
    }

    fn copy_file_range(self) -> Result<Body, Flaw> {
        self.fixed::<abi::fuse_copy_file_range_in>()?;
        Ok(Body::CopyFileRange)
    }

    fn lock(self, body: Body) -> Result<Body, Flaw> {
        self.fixed::<abi::fuse_lk_in>()?;
        Ok(body)
    }
}

fn some_if<T>(condition: bool, value: T) -> Option<T> {
    condition.then_some(value)
}

/// Checks the size a request gives for its data against what is there.
fn exactly(announced: u32, data: Span) -> Result<(), Flaw> {
    let expected = usize::try_from(announced).unwrap_or(usize::MAX);
    if expected == data.len() {
        Ok(())
    } else {
        Err(Flaw::Data {
            expected,
            got: data.len(),
        })
    }
}
