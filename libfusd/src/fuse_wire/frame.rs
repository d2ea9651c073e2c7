//! A decoded request: what the kernel asks, as values, with no hold on the bytes it came from.

use std::ops::Range;

use super::IoctlFlags;

/// A place in the buffer a request was decoded from, inside its bounds.
///
/// What `Range<usize>` is, but `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first byte, counted from the start of the buffer.
    pub start: usize,
    /// One past the last byte; never below `start`.
    pub end: usize,
}

impl Span {
    /// Itself as an index into the buffer.
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// The number of bytes.
    pub(crate) fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Names the request in its answer. Even for ordinary requests; an INTERRUPT has the odd
    /// number above that of the request it means (`fs/fuse/dev.c`, `FUSE_INT_REQ_BIT`).
    pub unique: u64,
    /// The node, 1 for the root; 0 over CUSE and in requests about no node.
    pub node: u64,
    /// The caller's file-system user id. 0 where the request is nobody's: RELEASE, INIT, FORGET,
    /// INTERRUPT.
    pub uid: u32,
    /// The caller's file-system group id; 0 as for `uid`.
    pub gid: u32,
    /// The calling thread's id, in the pid namespace of the one who mounted; 0 when it has none
    /// there, and 0 as for `uid`.
    pub pid: u32,
    /// What is asked.
    pub body: Body,
}

/// What a request asks for.
///
/// Four kinds get no answer, see [`Body::expects_reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// The first request: the kernel's version and features. `flags` has `flags2` in its upper
    /// half where the kernel has one.
    Init {
        major: u32,
        minor: u32,
        max_readahead: u32,
        flags: u64,
    },
    /// The first request on `/dev/cuse`. `flags` has `CUSE_UNRESTRICTED_IOCTL`.
    CuseInit { major: u32, minor: u32, flags: u32 },
    /// The connection ends. Sent for block-device mounts alone, and the unmount waits for the
    /// answer (`fs/fuse/inode.c`, `fuse_send_destroy`).
    Destroy,
    /// stat, fstat; `fh` for the latter.
    Getattr { fh: Option<u64> },
    /// statx, since 7.39. Answered ENOSYS, the kernel goes back to GETATTR for good.
    Statx {
        fh: Option<u64>,
        flags: u32,
        mask: u32,
    },
    /// chmod, chown, truncate, utimensat.
    Setattr(SetAttr),
    /// open. `flags` are those of open(2) without `O_CREAT`, `O_EXCL`, `O_NOCTTY` (and without
    /// `O_TRUNC` unless agreed in INIT); `open_flags` is `FUSE_OPEN_KILL_SUIDGID` or nothing.
    Open { flags: u32, open_flags: u32 },
    /// The last reference to an open file is gone. The kernel does not look at the answer.
    Release { fh: u64, flags: u32, flush: bool },
    /// One close(2) of many; the file may stay open.
    Flush { fh: u64, lock_owner: u64 },
    /// Up to `size` bytes; `flags` as in [`Body::Open`] but as they are now (`O_NONBLOCK`).
    Read {
        fh: u64,
        offset: u64,
        size: u32,
        flags: u32,
    },
    /// The bytes in `data`; `write_flags` are `FUSE_WRITE_*`.
    Write {
        fh: u64,
        offset: u64,
        flags: u32,
        write_flags: u32,
        data: Span,
    },
    /// `data` was copied from the caller, at most `out_size` bytes of the answer go back to it.
    Ioctl {
        fh: u64,
        flags: IoctlFlags,
        cmd: u32,
        arg: u64,
        out_size: u32,
        data: Span,
    },
    /// poll, select, epoll. With `schedule_notify`, a wake-up for `kh` is owed once one of
    /// `events` comes true. ENOSYS ends polling for the whole connection: the kernel then
    /// reports every file as always ready (`fs/fuse/file.c`, `fuse_file_poll`).
    Poll {
        fh: u64,
        kh: u64,
        schedule_notify: bool,
        events: u32,
    },
    /// fsync, or fdatasync with `datasync`.
    Fsync { fh: u64, datasync: bool },
    /// lseek with `SEEK_DATA` or `SEEK_HOLE`. The kernel does the others by itself, `SEEK_END`
    /// by the size that GETATTR tells.
    Lseek { fh: u64, offset: i64, whence: u32 },
    /// The caller of request `unique` has a signal pending. Any answer but EAGAIN (send it
    /// again) and ENOSYS (send no more of these, ever) does nothing.
    Interrupt { unique: u64 },
    /// access.
    Access { mask: u32 },
    /// statfs.
    Statfs,
    /// getxattr. For this and the three below, ENOSYS makes the kernel stop asking.
    Getxattr { size: u32 },
    /// listxattr.
    Listxattr { size: u32 },
    /// setxattr.
    Setxattr,
    /// removexattr.
    Removexattr,
    /// The kernel drops `lookups` references to the node.
    Forget { lookups: u64 },
    /// FORGET for many nodes: `count` pairs of node and lookups, 16 bytes each, in `items`.
    BatchForget { count: u32, items: Span },
    /// What a `notify_retrieve` asked for: the page cache from `offset` on. The frame's `unique`
    /// is the number that the notification chose.
    NotifyReply { offset: u64, data: Span },
    /// fallocate.
    Fallocate {
        fh: u64,
        offset: u64,
        length: u64,
        mode: u32,
    },
    /// copy_file_range. Answered ENOSYS, the kernel copies by read and write.
    CopyFileRange,
    /// fcntl `F_GETLK`. The three of them come only to one who asked for locks in INIT.
    Getlk,
    /// fcntl `F_SETLK`.
    Setlk,
    /// fcntl `F_SETLKW`.
    Setlkw,
    /// Everything else, lookups and directories above all: not for a device, answer ENOSYS.
    Other { opcode: u32 },
}

impl Body {
    /// Whether the kernel waits for an answer; one to any of the others is refused (ENOENT).
    pub(crate) fn expects_reply(&self) -> bool {
        !matches!(
            self,
            Self::Forget { .. }
                | Self::BatchForget { .. }
                | Self::Interrupt { .. }
                | Self::NotifyReply { .. }
        )
    }

    /// Where in the buffer the request's data lies, for the kinds that carry some.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn data_range(&self) -> Option<Range<usize>> {
        match self {
            Self::Write { data, .. }
            | Self::Ioctl { data, .. }
            | Self::NotifyReply { data, .. } => Some(data.range()),
            Self::BatchForget { items, .. } => Some(items.range()),
            _ => None,
        }
    }
}

/// What SETATTR changes; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetAttr {
    /// The permission bits, with the file type.
    pub mode: Option<u32>,
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The size in bytes, from truncate.
    pub size: Option<u64>,
    /// The time of the last access.
    pub atime: Option<SetTime>,
    /// The time of the last change of contents.
    pub mtime: Option<SetTime>,
    /// The open file it came through, for ftruncate.
    pub fh: Option<u64>,
}

/// A time to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetTime {
    /// The time at which the request is served.
    Now,
    /// This time.
    At(Timestamp),
}

/// A time since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timestamp {
    /// Whole seconds, negative before 1970.
    pub sec: i64,
    /// Nanoseconds on top, 0 to 999 999 999.
    pub nsec: u32,
}
