// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT OR Apache-2.0

//! From the bytes of a message to the module to what it says, checked.

use super::*;

/// Bytes of the longest beginning that [`Command::parse`] looks at.
pub const HEAD_MAX: usize = CommandHeader::SIZE + Register::SIZE;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is shorter than its operation demands, or its length is not what was written.
    Length,
    /// No such operation.
    Operation,
    /// A flag that does not exist, or not there.
    Flags,
    /// A field that must be 0 is not.
    Reserved,
    /// A number out of its range.
    Range,
    /// A version other than [`VERSION`].
    Version,
    /// A feature that does not exist.
    Feature,
}

/// A message to the module, checked as far as it can be on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// [`operation::HELLO`].
    Hello(Hello),
    /// [`operation::REGISTER`]; the name follows.
    Register(Register),
    /// [`operation::UNREGISTER`].
    Unregister(Unregister),
    /// [`operation::REPLY`]; data follows.
    Reply(Answer),
    /// [`operation::NOTIFY`].
    Notify(Notify),
    /// [`operation::NUDGE`].
    Nudge,
    /// [`operation::MEMORY`].
    Memory(Memory),
    /// [`operation::WORKERS`].
    Workers {
        /// The request that the calling thread works on; 0 for none.
        id: u64,
        /// Who serves.
        workers: Workers,
    },
    /// [`operation::PUBLISH`].
    Publish(Publish),
    /// [`operation::COOKIE`].
    Cookie(Cookie),
    /// [`operation::RESUME`].
    Resume,
    /// [`operation::BACK`].
    Back {
        /// The request.
        id: u64,
    },
    /// [`operation::ATTACH`].
    Attach(Attach),
    /// [`operation::COPY_IN`].
    CopyIn {
        /// The request.
        id: u64,
        /// What to copy.
        copy: CopyIn,
    },
    /// [`operation::COPY_OUT`]; the bytes follow.
    CopyOut {
        /// The request.
        id: u64,
        /// What to copy.
        copy: CopyOut,
    },
}

/// `Ok` if it holds.
fn ensure(holds: bool, fault: Fault) -> Result<(), Fault> {
    holds.then_some(()).ok_or(fault)
}

/// A message to the module that answers a request ([`operation::REPLY`]), checked likewise; data follows.
/// It is the one that comes most often, and by itself takes less to parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request.
    pub id: u64,
    /// The answer.
    pub reply: Reply,
    /// Whether [`Reply::events`] counts.
    pub has_events: bool,
    /// Bytes of data.
    pub length: usize,
}

impl Answer {
    /// Bytes before the data.
    pub const HEAD: usize = CommandHeader::SIZE + Reply::SIZE;

    /// Parses a message as [`Command::parse`] does. `None`: it is another one, or too short to tell.
    #[inline(always)]
    pub fn parse(head: &[u8], total: usize) -> Option<Result<Self, Fault>> {
        let header: &[u8; CommandHeader::SIZE] = head.first_chunk()?;
        let header = CommandHeader::from_bytes(header);
        match header.operation {
            operation::REPLY => Some(Self::checked(header, head, total)),
            _ => None,
        }
    }

    #[inline(always)]
    fn checked(header: CommandHeader, head: &[u8], total: usize) -> Result<Self, Fault> {
        ensure(usize::try_from(header.length) == Ok(total), Fault::Length)?;
        let length = total.checked_sub(Self::HEAD).ok_or(Fault::Length)?;
        ensure(header.flags & !REPLY_EVENTS == 0, Fault::Flags)?;
        let has_events = header.flags & REPLY_EVENTS != 0;
        // Of a length that is known: then no field's place need be checked.
        let head: Option<&[u8; Self::HEAD]> = head.first_chunk();
        let reply = head.and_then(|head| head.last_chunk::<{ Reply::SIZE }>());
        let reply = Reply::from_bytes(reply.ok_or(Fault::Length)?);
        Ok(Self {
            id: header.id,
            reply: reply.checked(has_events, length)?,
            has_events,
            length,
        })
    }
}

impl Command {
    /// Parses a message of `total` bytes by its first ones: `head` has all, or at least
    /// [`HEAD_MAX`]. Returns the message and how many of its bytes were looked at; the rest is
    /// data.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn parse(head: &[u8], total: usize) -> Result<(Self, usize), Fault> {
        ensure(
            total >= CommandHeader::SIZE && head.len() >= total.min(HEAD_MAX),
            Fault::Length,
        )?;
        if let Some(answer) = Answer::parse(head, total) {
            return Ok((Self::Reply(answer?), Answer::HEAD));
        }
        // Of a length that is known: then no field's place need be checked.
        let header: Option<(&[u8; CommandHeader::SIZE], &[u8])> = head.split_first_chunk();
        let (header, body) = header.ok_or(Fault::Length)?;
        let header = CommandHeader::from_bytes(header);
        ensure(usize::try_from(header.length) == Ok(total), Fault::Length)?;
        let fixed = fixed_size(header.operation).ok_or(Fault::Operation)?;
        let used = CommandHeader::SIZE + fixed;
        let length = total.checked_sub(used).ok_or(Fault::Length)?;
        let about_request = matches!(
            header.operation,
            operation::COPY_IN | operation::COPY_OUT | operation::WORKERS | operation::BACK
        );
        ensure(about_request || header.id == 0, Fault::Reserved)?;
        ensure(header.flags == 0, Fault::Flags)?;
        let command = Self::body(header, body, length)?;
        Ok((command, used))
    }

    /// The fixed part, of which `body` has enough, with `length` bytes behind it.
    #[inline]
    fn body(header: CommandHeader, body: &[u8], length: usize) -> Result<Self, Fault> {
        let id = header.id;
        let no_more = ensure(length == 0, Fault::Length);
        Ok(match header.operation {
            operation::HELLO => {
                no_more?;
                Self::Hello(Hello::from_bytes(body).checked()?)
            }
            operation::REGISTER => Self::Register(Register::from_bytes(body).checked(length)?),
            operation::UNREGISTER => {
                no_more?;
                Self::Unregister(Unregister::from_bytes(body))
            }
            operation::NOTIFY => {
                no_more?;
                let notify = Notify::from_bytes(body);
                ensure(notify.reserved == 0, Fault::Reserved)?;
                ensure(notify.events & !POLL_MASK == 0, Fault::Range)?;
                Self::Notify(notify)
            }
            operation::NUDGE => {
                no_more?;
                Self::Nudge
            }
            operation::MEMORY => {
                no_more?;
                Self::Memory(Memory::from_bytes(body).checked()?)
            }
            operation::WORKERS => {
                no_more?;
                let workers = Workers::from_bytes(body).checked()?;
                ensure(id == 0 || workers.flags != 0, Fault::Reserved)?;
                Self::Workers { id, workers }
            }
            operation::PUBLISH => {
                no_more?;
                Self::Publish(Publish::from_bytes(body).checked()?)
            }
            operation::COOKIE => {
                no_more?;
                Self::Cookie(Cookie::from_bytes(body))
            }
            operation::RESUME => {
                no_more?;
                Self::Resume
            }
            operation::BACK => {
                no_more?;
                Self::Back { id }
            }
            operation::ATTACH => {
                no_more?;
                Self::Attach(Attach::from_bytes(body).checked()?)
            }
            operation::COPY_IN => {
                no_more?;
                let copy = CopyIn::from_bytes(body);
                ensure(copy.reserved == 0, Fault::Reserved)?;
                ensure(
                    copy.length != 0 && copy.length <= TRANSFER_MAX,
                    Fault::Range,
                )?;
                Self::CopyIn { id, copy }
            }
            operation::COPY_OUT => {
                let copy = CopyOut::from_bytes(body);
                ensure(copy.reserved == 0, Fault::Reserved)?;
                ensure(
                    copy.length != 0 && copy.length <= TRANSFER_MAX,
                    Fault::Range,
                )?;
                ensure(usize::try_from(copy.length) == Ok(length), Fault::Length)?;
                Self::CopyOut { id, copy }
            }
            _ => return Err(Fault::Operation),
        })
    }
}

/// Bytes of the fixed part of a message to the module; `None` for an operation that is none.
const fn fixed_size(operation: u16) -> Option<usize> {
    Some(match operation {
        operation::HELLO => Hello::SIZE,
        operation::REGISTER => Register::SIZE,
        operation::UNREGISTER => Unregister::SIZE,
        operation::NOTIFY => Notify::SIZE,
        operation::NUDGE => 0,
        operation::MEMORY => Memory::SIZE,
        operation::WORKERS => Workers::SIZE,
        operation::PUBLISH => Publish::SIZE,
        operation::COOKIE => Cookie::SIZE,
        operation::RESUME | operation::BACK => 0,
        operation::ATTACH => Attach::SIZE,
        operation::COPY_IN => CopyIn::SIZE,
        operation::COPY_OUT => CopyOut::SIZE,
        _ => return None,
    })
}

impl Hello {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.version == VERSION, Fault::Version)?;
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.features & !FEATURES == 0, Fault::Feature)?;
        Ok(self)
    }
}

impl Register {
    fn checked(self, length: usize) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.operations & !IMPLEMENTS_ALL == 0, Fault::Flags)?;
        ensure(
            self.flags & !(REGISTER_STREAM | REGISTER_RAW_IOCTL | REGISTER_KEEP | REGISTER_AGAIN)
                == 0,
            Fault::Flags,
        )?;
        let keeps = self.flags & REGISTER_KEEP != 0;
        ensure(keeps || self.flags & REGISTER_AGAIN == 0, Fault::Flags)?;
        ensure(keeps || self.keep == 0, Fault::Reserved)?;
        ensure(!keeps || (1..=KEEP_MAX).contains(&self.keep), Fault::Range)?;
        ensure(self.mode & !0o777 == 0, Fault::Range)?;
        ensure(
            usize::try_from(self.name_length) == Ok(length),
            Fault::Length,
        )?;
        ensure(length != 0, Fault::Range)?;
        Ok(self)
    }
}

impl Reply {
    fn checked(self, has_events: bool, length: usize) -> Result<Self, Fault> {
        ensure(self.error <= ERRNO_MAX, Fault::Range)?;
        ensure(
            self.error == 0 || (self.value == 0 && length == 0),
            Fault::Range,
        )?;
        ensure(has_events || self.events == 0, Fault::Reserved)?;
        ensure(self.events & !POLL_MASK == 0, Fault::Range)?;
        Ok(self)
    }
}

impl Memory {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.flags & !MEMORY_READ_ONLY == 0, Fault::Flags)?;
        let is_none = self.length == 0;
        ensure(
            !is_none || self.address == 0 && self.flags == 0,
            Fault::Range,
        )?;
        Ok(self)
    }
}

impl Workers {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.flags & !WORKERS_JOIN == 0, Fault::Flags)?;
        ensure(self.limit != 0 || self.flags != 0, Fault::Range)?;
        Ok(self)
    }
}

impl Publish {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.flags & !PUBLISH_NOTHING == 0, Fault::Flags)?;
        ensure(self.flags == 0 || self.length == 0, Fault::Range)?;
        ensure(self.length != 0 || self.address == 0, Fault::Range)?;
        Ok(self)
    }
}

impl Ring {
    /// The same, if it is one of those that there can be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn checked(self) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.flags & !(RING_EVENT | RING_DROP) == 0, Fault::Flags)?;
        ensure(
            self.flags & RING_EVENT != 0 || self.event == 0,
            Fault::Range,
        )?;
        ensure(self.size <= TRANSFER_MAX, Fault::Range)?;
        let rest = self.flags & !RING_DROP | self.size | self.event | self.room | self.fill;
        ensure(self.flags & RING_DROP == 0 || rest == 0, Fault::Range)?;
        Ok(self)
    }
}

impl Portion {
    /// As [`Ring::checked`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn checked(self) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(self.flags & !PORTION_LAST == 0, Fault::Flags)?;
        Ok(self)
    }
}

impl Attach {
    fn checked(self) -> Result<Self, Fault> {
        ensure(self.reserved == 0, Fault::Reserved)?;
        ensure(
            self.flags & !(ATTACH_READS | ATTACH_WRITES) == 0,
            Fault::Flags,
        )?;
        ensure(self.flags != 0, Fault::Range)?;
        Ok(self)
    }
}
