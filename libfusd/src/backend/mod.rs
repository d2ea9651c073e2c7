//! What carries calls between the kernel and a session: the trait every backend implements, and
//! the choice among them.
//!
//! A backend knows nothing of devices: it turns what arrives into a [`Message`], and an
//! [`Answer`] into what the kernel expects. The [`Session`](crate::Session) does the rest.

pub(crate) mod buffer;
mod channel;
mod choice;
mod cuse;
mod fuse;
mod kfusd;
pub(crate) mod loopback;
mod parent;
mod place;

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::Path;

pub(crate) use channel::page_size;
pub use choice::BackendKind;
pub(crate) use choice::{Choice, Placement, connect};
pub(crate) use fuse::is_dead_mount;

use self::buffer::Buffer;
use crate::{Area, Caller, Errno, IoctlCommand, OpenFlags, PollEvents};

/// The kernel's number for one call that waits for an answer; unique while it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestId(pub(crate) u64);

/// The session's number for one open file; it travels through the kernel and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u64);

/// The kernel's number for those who wait in poll(2) on one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PollKey(pub(crate) u64);

/// One way to the kernel. Every method may be called from any thread.
pub(crate) trait Backend: Send + Sync {
    /// Bytes that the buffer of [`Backend::receive`] must have.
    fn buffer_size(&self) -> usize;

    /// Which one this is.
    fn kind(&self) -> BackendKind;

    /// Where clients find the node.
    fn path(&self) -> &Path;

    /// Whether the kernel tells where in the file a read or a write is to be.
    fn tells_offsets(&self) -> bool {
        true
    }

    /// Whether it also tells where the end is, for a write to a file opened with `O_APPEND`.
    fn places_appends(&self) -> bool {
        self.tells_offsets()
    }

    /// Whether files go by the kernel's own numbers ([`Backend::file_of`]).
    fn names_files(&self) -> bool {
        false
    }

    /// The number of the file that the request `open` opens, until it is answered.
    fn file_of(&self, _open: RequestId) -> Option<FileId> {
        None
    }

    /// Whether the device outlives this driver, for another one to take it over.
    fn keeps(&self) -> bool {
        false
    }

    /// The files that are open from the time of another driver. Asked once.
    fn inherited(&self) -> Vec<Inherited> {
        Vec::new()
    }

    /// Keeps a number with `file` for the next driver.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: there will be none.
    fn keep_token(&self, _file: FileId, _token: u64) -> io::Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    /// Gives back a request with which nothing has been done, for the next driver.
    ///
    /// # Errors
    /// As of [`Backend::answer`].
    fn give_back(&self, _id: RequestId, _call: Call) -> io::Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    /// Whether polls are answered by the kernel, from what [`Backend::push_readiness`] said last.
    fn takes_readiness(&self) -> bool {
        false
    }

    /// Waits for what the kernel says next. A request's data lies in `buffer`.
    ///
    /// # Errors
    /// The connection is broken in a way that no further call can mend.
    fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming>;

    /// Answers a request that [`Backend::receive`] gave out; `call` is its kind.
    ///
    /// # Errors
    /// `ENOENT`: nobody waits for this answer any more. Others: it could not be handed over.
    fn answer(&self, id: RequestId, call: Call, answer: Answer<'_>) -> io::Result<()>;

    /// Whether an answer can go along with the next receive ([`Backend::exchange`]): where that saves a
    /// call.
    fn carries(&self) -> bool {
        false
    }

    /// Writes the message that answers a request into `message`, which is empty. False: this
    /// answer has to go by [`Backend::answer`], and nothing has happened.
    fn pack(
        &self,
        _id: RequestId,
        _call: Call,
        _answer: &Answer<'_>,
        _message: &mut Vec<u8>,
    ) -> bool {
        false
    }

    /// Hands in `message`, which [`Backend::pack`] wrote, and then does as [`Backend::receive`] does.
    /// Whether anybody still waited for the answer is not told.
    ///
    /// # Errors
    /// As of [`Backend::receive`].
    fn exchange(&self, message: &[u8], buffer: &mut Buffer) -> io::Result<Incoming> {
        self.hand_in(message);
        self.receive(buffer)
    }

    /// Hands in `message`, which [`Backend::pack`] wrote, alone.
    fn hand_in(&self, _message: &[u8]) {}

    /// Says that an [`Incoming::Interrupt`] named a request the session does not hold (yet).
    fn interrupt_again(&self, _token: RequestId) {}

    /// Wakes those who wait in poll(2).
    fn wake_poll(&self, key: PollKey);

    /// Says what polls of `file` are to see from now on.
    fn push_readiness(&self, _file: FileId, _events: PollEvents) {}

    /// Lets the file that the request `open` opens be mapped. To be called before its answer.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: files of this backend cannot be mapped. `ENOENT`: the client has gone.
    fn offer(&self, _open: RequestId, _offer: &Offer) -> io::Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    /// Says that at most `limit` handlers run at a time. For whoever can tell by that, and by
    /// [`Backend::works_on`], when none is left who could take a call.
    fn limit_workers(&self, _limit: usize) {}

    /// Says that the calling thread is about to run the handler of a request that another one has
    /// received.
    fn works_on(&self, _id: RequestId) {}

    /// Has the kernel serve reads of the file that the request `open` opens from `content`. To be
    /// called before its answer.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: this backend's kernel does not do that. `ENOENT`: the client has gone.
    fn publish(&self, _open: RequestId, _content: &Content) -> io::Result<()> {
        Err(Errno::EOPNOTSUPP.into())
    }

    /// The kernel's rings, where it has any.
    fn rings(&self) -> Option<&dyn Rings> {
        None
    }

    /// Makes at least one caller of [`Backend::receive`] return.
    fn nudge(&self);

    /// Takes the node away; open files stay.
    ///
    /// # Errors
    /// Something of the node is still there.
    fn detach(&self) -> crate::Result<()>;

    /// Ends every call that is still unanswered. Nothing is received or answered afterwards.
    fn close(&self);
}

/// A file that was open when this driver began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    pub(crate) file: FileId,
    /// What the driver before kept with it.
    pub(crate) token: u64,
    pub(crate) flags: OpenFlags,
    /// What polls of it see.
    pub(crate) events: PollEvents,
}

/// Memory that clients may map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// Where this process has mapped it.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) length: u64,
    pub(crate) read_only: bool,
}

/// All that clients read from a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// Where this process has mapped it; 0 where there are no bytes.
    pub(crate) address: u64,
    /// Bytes.
    pub(crate) length: u64,
}

/// Rings that the kernel serves reads and writes from. Nothing here waits for anybody.
pub(crate) trait Rings {
    /// Makes one. Its number.
    ///
    /// # Errors
    /// `EINVAL`: it is too large. `ENOSPC`, `ENOMEM`: there are too many.
    fn make(&self, wanted: &NewRing<'_>) -> io::Result<u64>;

    /// Sets the marks of one, in bytes of room and of what there is.
    ///
    /// # Errors
    /// `ENOENT`: there is none.
    fn set_marks(&self, ring: u64, marks: (usize, usize)) -> io::Result<()>;

    /// Is done with one.
    ///
    /// # Errors
    /// `ENOENT`: there is none.
    fn abandon(&self, ring: u64) -> io::Result<()>;

    /// Has reads, or writes, of the file that the request `open` opens served by one. To be called before
    /// its answer.
    ///
    /// # Errors
    /// `ENOENT`: the client has gone. `EINVAL`: the device is no stream. `EBUSY`: they are served by another
    /// one.
    fn attach(&self, open: RequestId, ring: u64, wanted: RingUse) -> io::Result<()>;

    /// Puts bytes into one; how many. `last`: the end is behind them, if they were all put in; and else it is
    /// not.
    ///
    /// # Errors
    /// `EAGAIN`: there is no room.
    fn feed(&self, ring: u64, data: &[u8], last: bool) -> io::Result<usize>;

    /// Takes bytes out of one. `last`: nobody takes what is written from now on; and else somebody does.
    ///
    /// # Errors
    /// `EAGAIN`: there are none.
    fn take(&self, ring: u64, out: &mut [u8], last: bool) -> io::Result<TakenOut>;
}

/// A ring to be made.
pub(crate) struct NewRing<'a> {
    /// Bytes.
    pub(crate) size: usize,
    /// Bytes of room, and of what there is, at which `event` is signalled.
    pub(crate) marks: (usize, usize),
    /// An eventfd(2).
    pub(crate) event: BorrowedFd<'a>,
}

/// Which calls of a file a ring serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingUse {
    Reads,
    Writes,
}

/// What was taken out of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenOut {
    /// How many bytes.
    pub(crate) bytes: usize,
    /// How many are left.
    pub(crate) filled: usize,
}

/// What [`Backend::receive`] has to tell.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A call that wants an answer.
    Request(Message),
    /// The client no longer wants `id` answered. `token` names the notice itself.
    Interrupt { id: RequestId, token: RequestId },
    /// Nothing for the session: look at the stop flag, then come back.
    Nothing,
    /// Another driver is to have the device.
    Succeeded,
    /// The kernel has ended the connection: the node is gone.
    Ended,
}

/// One call of a client.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: RequestId,
    pub(crate) caller: Caller,
    pub(crate) operation: Operation,
}

/// What the client does. Ranges are places in the buffer the message was received into.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Open {
        flags: OpenFlags,
    },
    Release {
        file: FileId,
    },
    Flush {
        file: FileId,
    },
    Read {
        file: FileId,
        flags: OpenFlags,
        offset: u64,
        length: u32,
    },
    Write {
        file: FileId,
        flags: OpenFlags,
        offset: u64,
        data: Range<usize>,
    },
    Ioctl {
        file: FileId,
        command: IoctlCommand,
        argument: u64,
        input: Range<usize>,
        output: u32,
        reach: Reach,
        /// The caller's pointers and longs have 32 bits.
        caller_32_bit: bool,
    },
    Poll {
        file: FileId,
        key: Option<PollKey>,
    },
    Sync {
        file: FileId,
        data_only: bool,
    },
    /// The size is wanted, of one open file or of the node itself.
    Size {
        file: Option<FileId>,
    },
}

/// Which memory of its caller an ioctl can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What its number encodes, which has come with it.
    Number,
    /// Any, and none has come: whatever is wanted is asked for ([`Answer::Again`]).
    Any,
    /// Any, and none has come: what it hands in is asked for, what it fills need not be where it
    /// is the argument.
    Input,
    /// Any: what was asked for has come, and more can be asked for.
    Again,
}

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Release,
    Flush,
    Read,
    Write,
    Ioctl,
    Poll,
    Sync,
    Size,
}

impl Operation {
    pub(crate) fn call(&self) -> Call {
        match self {
            Self::Open { .. } => Call::Open,
            Self::Release { .. } => Call::Release,
            Self::Flush { .. } => Call::Flush,
            Self::Read { .. } => Call::Read,
            Self::Write { .. } => Call::Write,
            Self::Ioctl { .. } => Call::Ioctl,
            Self::Poll { .. } => Call::Poll,
            Self::Sync { .. } => Call::Sync,
            Self::Size { .. } => Call::Size,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Release => "release",
            Self::Flush => "flush",
            Self::Read => "read",
            Self::Write => "write",
            Self::Ioctl => "ioctl",
            Self::Poll => "poll",
            Self::Sync => "fsync",
            Self::Size => "stat",
        })
    }
}

/// How many bytes the parts of an answer have together; mostly there is one.
#[inline]
pub(crate) fn total(parts: &[IoSlice<'_>]) -> usize {
    match parts {
        [part] => part.len(),
        parts => parts.iter().map(|part| part.len()).sum(),
    }
}

/// What a call ends with.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// It failed.
    Error(Errno),
    /// The device does not implement it, and never will: the kernel need not ask again.
    Unimplemented,
    /// It succeeded and has nothing to tell.
    Done,
    /// Open succeeded: the file goes by this number from now on, and polls of it see this.
    Opened(FileId, PollEvents),
    /// Read: these bytes, in order, together no more than were asked for.
    Data(&'a [IoSlice<'a>]),
    /// Write: so many bytes were taken.
    Count(u32),
    /// Ioctl: the call's return value, not negative, and what to fill the argument with.
    Ioctl { result: i32, output: &'a [u8] },
    /// Ioctl: it is to come again, with what the caller's memory holds at `input`, and with room
    /// for `output`. At most 256 areas together.
    Again {
        input: &'a [Area],
        output: &'a [Area],
    },
    /// Poll: the state now.
    Ready(PollEvents),
    /// Size in bytes.
    Size(u64),
}
