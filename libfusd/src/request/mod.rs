//! The calls of clients, as a device gets them: one type per operation, each consumed by its
//! answer.
//!
//! A request can be answered at once, moved to another thread, or kept for later; the client
//! waits as long. Dropped unanswered, it fails with `EIO`. When the client stops waiting (it was
//! interrupted or killed), the call ends on the client's side at once, whatever the driver does:
//! [`Context::on_abandoned`] tells, and a later answer finds [`Delivery::Unwanted`], so that bytes
//! taken from a queue can go back.

mod at_return;
mod carried;
mod cursor;
mod held;
mod ioctl;
mod link;
mod open;
mod plain;
mod read;
mod restore;
mod stage;
mod ticket;
mod told;
mod write;

pub use at_return::AtReturn;
pub(crate) use carried::{carry, send_carried};
pub(crate) use cursor::Cursor;
pub(crate) use held::hold;
pub use held::once_sent;
pub(crate) use ioctl::IoctlCall;
pub use ioctl::IoctlRequest;
pub(crate) use link::Link;
pub use open::OpenRequest;
pub use plain::{FlushRequest, SyncRequest};
pub use read::ReadRequest;
pub use restore::RestoreRequest;
pub(crate) use ticket::{Pending, What};
pub(crate) use write::WriteData;
pub use write::WriteRequest;

use crate::{Caller, Errno, OpenFlags};

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The client has it.
    Delivered,
    /// The client had stopped waiting, or the answer was not a possible one for this call:
    /// nothing of it reached the client.
    Unwanted,
}

impl Delivery {
    /// Whether the client has the answer.
    pub const fn is_delivered(self) -> bool {
        matches!(self, Self::Delivered)
    }
}

/// What is common to all requests: who calls, how the file was opened, and whether anybody still
/// waits for the answer.
pub struct Context {
    pending: Pending,
    flags: OpenFlags,
    /// The answer leaves when the handler returns ([`AtReturn`]).
    at_return: bool,
    /// The file's position, where the kernel does not keep it.
    cursor: Option<Cursor>,
}

impl Context {
    #[inline]
    pub(crate) fn new(pending: Pending, flags: OpenFlags, cursor: Option<Cursor>) -> Self {
        Self {
            pending,
            flags,
            at_return: false,
            cursor,
        }
    }

    /// The answer is to leave when the handler returns.
    #[inline]
    fn at_return(&mut self) {
        self.at_return = true;
    }

    /// The request waits in a queue of the library's.
    pub(crate) fn park(&self) {
        self.pending.ticket().park();
    }

    /// The process that made the call.
    pub fn caller(&self) -> &Caller {
        self.pending.ticket().caller()
    }

    /// The file's flags at the time of the call.
    #[inline]
    pub fn flags(&self) -> OpenFlags {
        self.flags
    }

    /// Whether the call must not wait: where it would have to, the answer is `EAGAIN`.
    pub fn nonblocking(&self) -> bool {
        self.flags.nonblocking()
    }

    /// Whether the client has stopped waiting.
    #[inline]
    pub fn is_abandoned(&self) -> bool {
        self.pending.ticket().is_abandoned()
    }

    /// Has `notice` called, once, if the client stops waiting before the request is answered.
    ///
    /// Returns false, without calling it, where that has happened already. The notice runs on a
    /// thread that serves the device and must not wait. Another notice replaces the first.
    pub fn on_abandoned(&self, notice: impl FnOnce() + Send + 'static) -> bool {
        self.pending.ticket().on_abandoned(Box::new(notice))
    }
}

/// Any request: what the library needs to keep one waiting. Implemented by the request types of
/// this crate alone.
pub trait Request: sealed::Sealed + Send + 'static {
    /// Who calls, and how.
    fn context(&self) -> &Context;

    /// Ends the call with an error.
    fn fail(self, errno: Errno) -> Delivery;
}

mod sealed {
    pub trait Sealed {
        /// The answer is to leave when the handler returns.
        fn leave_at_return(&mut self);
    }
}

/// Gives a request type its context and its failure.
macro_rules! request {
    ($name:ident $(<$parameter:ident>)?) => {
        impl $(<$parameter: Send + Sync + 'static>)? std::ops::Deref for $name $(<$parameter>)? {
            type Target = crate::request::Context;

            fn deref(&self) -> &Self::Target {
                &self.context
            }
        }

        impl $(<$parameter: Send + Sync + 'static>)? $name $(<$parameter>)? {
            /// Ends the call with an error.
            pub fn fail(self, errno: crate::Errno) -> crate::Delivery {
                self.context.finish(crate::backend::Answer::Error(errno))
            }

            /// Has the answer leave when the handler returns: a system call less.
            #[inline]
            pub fn at_return(self) -> crate::request::AtReturn<Self> {
                crate::request::AtReturn::new(self)
            }
        }

        impl $(<$parameter: Send + Sync + 'static>)? crate::request::sealed::Sealed
            for $name $(<$parameter>)?
        {
            fn leave_at_return(&mut self) {
                self.context.at_return();
            }
        }

        impl $(<$parameter: Send + Sync + 'static>)? crate::request::Request
            for $name $(<$parameter>)?
        {
            fn context(&self) -> &crate::request::Context {
                &self.context
            }

            fn fail(self, errno: crate::Errno) -> crate::Delivery {
                $name::fail(self, errno)
            }
        }
    };
}
pub(crate) use request;

impl Context {
    pub(crate) fn finish(&self, answer: crate::backend::Answer<'_>) -> Delivery {
        let ticket = self.pending.ticket();
        match &self.cursor {
            None if self.at_return => {
                ticket.finish_at_return(answer);
                // Nobody gets to see it: `AtReturn` keeps it to itself.
                Delivery::Delivered
            }
            None => ticket.finish(answer),
            Some(cursor) => cursor.moved_by(answer, |answer| ticket.finish(answer)),
        }
    }

    /// Ends the call when the handler returns, and with it this value: what becomes of most reads, so all
    /// is in one piece.
    fn finish_at_return(self, answer: crate::backend::Answer<'_>) {
        let _unknown = match self {
            Self {
                pending,
                cursor: None,
                ..
            } => pending.ticket().end(answer, true),
            moves => moves.finish(answer),
        };
    }

    /// Has the call return that `total` bytes were taken, if anything ends it but its answer.
    pub(crate) fn take(&self, total: u32) -> bool {
        self.pending.ticket().take(total)
    }

    /// Ends the call with `EIO` because the driver's answer is not a possible one.
    #[cold]
    pub(crate) fn refuse(&self, why: std::fmt::Arguments<'_>) -> Delivery {
        tracing::error!(
            call = %self.pending.ticket().call(),
            "bug in the driver: {why}"
        );
        self.finish(crate::backend::Answer::Error(Errno::EIO));
        Delivery::Unwanted
    }
}
