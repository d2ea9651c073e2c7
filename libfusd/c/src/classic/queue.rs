//! What clients have done and nobody has dispatched yet, and the descriptor that tells of it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use fusd_rust::{Errno, IoctlRequest, OpenRequest, ReadRequest, WriteRequest};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

use super::file::State;

/// Something to dispatch.
pub(crate) enum Event {
    Open(OpenRequest<State>),
    Read(State, ReadRequest),
    Write(State, WriteRequest),
    Ioctl(State, IoctlRequest),
    Closed(State),
    /// The client has stopped waiting for the call at this address with this number.
    Interrupted {
        address: usize,
        serial: u64,
    },
    /// The driver is to be asked anew for the file's poll state.
    Ask(State),
}

/// The events of a device. While there are any, or once the device has ended, its descriptor is
/// readable.
///
/// That descriptor is one end of a pair of sockets, with a byte in it for as long as needed: unlike an
/// eventfd, it has a number that no other file has, and this end hears if the other one is closed.
pub(crate) struct Queue {
    events: VecDeque<Event>,
    end: OwnedFd,
    told: bool,
    ended: bool,
}

/// The driver has closed the descriptor.
pub(crate) struct Closed;

impl Queue {
    /// A queue, and the descriptor that is the driver's.
    pub(crate) fn new() -> Result<(Self, OwnedFd), Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (end, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
        let queue = Self {
            events: VecDeque::new(),
            end,
            told: false,
            ended: false,
        };
        // A copy has a number above those of the standard files, in a program that has closed them.
        let theirs = theirs.try_clone().map_err(Errno::from)?;
        Ok((queue, theirs))
    }

    /// Adds an event. It is lost where the device has ended: whoever waits has been told then.
    pub(crate) fn push(&mut self, event: Event) -> Result<(), Closed> {
        if self.ended {
            return Ok(());
        }
        self.events.push_back(event);
        self.tell()
    }

    /// Takes the oldest event. `theirs` is the driver's descriptor.
    pub(crate) fn pop(&mut self, theirs: i32) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() && self.told && !self.ended {
            // There is one byte in it, unless the driver has read it: then it is as wanted.
            let _ = recv(theirs, &mut [0; 8], MsgFlags::MSG_DONTWAIT);
            self.told = false;
        }
        event
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The device has ended. Returns what has been left, to be dropped outside of the lock.
    pub(crate) fn end(&mut self) -> VecDeque<Event> {
        self.ended = true;
        // Nobody listens: then nobody need know.
        let _ = self.tell();
        std::mem::take(&mut self.events)
    }

    fn tell(&mut self) -> Result<(), Closed> {
        if self.told {
            // Nothing is sent that would fail.
            return match self.is_alone() {
                true => Err(Closed),
                false => Ok(()),
            };
        }
        self.told = true;
        match send(self.end.as_raw_fd(), &[0], MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "nobody has the device's descriptor");
                Err(Closed)
            }
        }
    }

    /// Whether nobody has the driver's descriptor any more.
    fn is_alone(&self) -> bool {
        let mut end = [PollFd::new(self.end.as_fd(), PollFlags::empty())];
        // A failure is no news: the next event asks again.
        poll(&mut end, PollTimeout::ZERO).is_ok()
            && end[0].revents().unwrap_or(PollFlags::empty()) != PollFlags::empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::FileState;
    use super::*;

    fn event() -> Event {
        Event::Closed(FileState::new(false))
    }

    #[test]
    fn a_closed_descriptor_is_noticed_with_the_next_event() {
        let (mut first, theirs) = Queue::new().expect("a pair of sockets");
        drop(theirs);
        assert!(first.push(event()).is_err());

        let (mut later, theirs) = Queue::new().expect("a pair of sockets");
        assert!(later.push(event()).is_ok());
        assert!(later.push(event()).is_ok());
        drop(theirs);
        assert!(later.push(event()).is_err(), "while there are others");
    }
}
