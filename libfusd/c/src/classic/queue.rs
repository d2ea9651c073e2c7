//! What clients have done and nobody has dispatched yet, and the descriptor that tells of it.

use std::collections::VecDeque;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use fusd_rust::{Errno, IoctlRequest, OpenRequest, ReadRequest, WriteRequest};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

use super::calls::Opened;
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
    /// The driver has let a client in, and is to be asked what that may map.
    Map(Box<Opened>),
}

impl Event {
    /// Whether the driver is to be told of it after the device's end as well: it has something for
    /// the file or the call, and would keep that for ever.
    fn outlives_the_device(&self) -> bool {
        matches!(
            self,
            Self::Closed(_) | Self::Interrupted { .. } | Self::Map(_)
        )
    }
}

/// The events of a device. While there are any, or once the device has ended, its descriptor is
/// readable.
///
/// That descriptor is one end of a pair of sockets, with a byte in it for as long as needed: unlike an
/// eventfd, it has a number that no other file has, and this end hears if the other one is closed.
pub(crate) struct Queue {
    events: VecDeque<Event>,
    /// Until the driver has unregistered the device: then nobody dispatches any more.
    end: Option<OwnedFd>,
    told: bool,
    /// Nothing comes from clients any more.
    ended: bool,
    /// Files whose close has not come yet. That of one for which the open was answered as the device
    /// ended comes later than the end.
    files: usize,
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
            end: Some(end),
            told: false,
            ended: false,
            files: 0,
        };
        Ok((queue, theirs))
    }

    /// The driver has a file, or is about to: its [`Event::Closed`] comes in any case.
    pub(crate) fn opened(&mut self) {
        self.files += 1;
    }

    /// Adds an event. It is lost where the device has ended, and whoever waits has been told then;
    /// or where nobody dispatches any more.
    pub(crate) fn push(&mut self, event: Event) -> Result<(), Closed> {
        if matches!(event, Event::Closed(_)) {
            self.files = self.files.saturating_sub(1);
        }
        if self.end.is_none() || self.ended && !event.outlives_the_device() {
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

    /// Whether the driver has been told of all that there will ever be.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.files == 0 && self.events.is_empty()
    }

    /// The device has ended. Returns what need not be dispatched, to be dropped outside of the lock.
    pub(crate) fn end(&mut self) -> VecDeque<Event> {
        self.ended = true;
        // Nobody listens: then nobody need know.
        let _ = self.tell();
        let (kept, left) = mem::take(&mut self.events)
            .into_iter()
            .partition(Event::outlives_the_device);
        self.events = kept;
        left
    }

    /// The driver has unregistered the device. Returns what has been left, likewise.
    pub(crate) fn discard(&mut self) -> VecDeque<Event> {
        self.ended = true;
        self.end = None;
        mem::take(&mut self.events)
    }

    fn tell(&mut self) -> Result<(), Closed> {
        let Some(end) = &self.end else {
            return Ok(());
        };
        if self.told {
            // Nothing is sent that would fail.
            return match is_alone(end) {
                true => Err(Closed),
                false => Ok(()),
            };
        }
        self.told = true;
        match send(end.as_raw_fd(), &[0], MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "nobody has the device's descriptor");
                Err(Closed)
            }
        }
    }
}

/// Whether nobody has the driver's descriptor any more.
fn is_alone(end: &OwnedFd) -> bool {
    let mut end = [PollFd::new(end.as_fd(), PollFlags::empty())];
    // A failure is no news: the next event asks again.
    poll(&mut end, PollTimeout::ZERO).is_ok()
        && end[0].revents().unwrap_or(PollFlags::empty()) != PollFlags::empty()
}

#[cfg(test)]
mod tests {
    use super::super::file::FileState;
    use super::*;

    fn event() -> Event {
        Event::Interrupted {
            address: 0,
            serial: 1,
        }
    }

    fn closed() -> Event {
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

    #[test]
    fn closes_are_dispatched_after_the_end_until_the_device_is_unregistered() {
        let (mut queue, theirs) = Queue::new().expect("a pair of sockets");
        let asked = || Event::Ask(FileState::new(false));
        queue.opened();
        queue.opened();
        assert!(queue.push(asked()).is_ok());
        assert!(queue.push(closed()).is_ok());
        assert!(!queue.is_over());
        assert_eq!(queue.end().len(), 1, "that of no use is left");
        assert!(queue.push(asked()).is_ok());
        let close = |queue: &mut Queue| {
            assert!(!queue.is_over());
            let event = queue.pop(theirs.as_raw_fd());
            assert!(matches!(event, Some(Event::Closed(_))));
        };
        close(&mut queue);
        assert!(queue.pop(theirs.as_raw_fd()).is_none());
        assert!(!queue.is_over(), "a close is still to come");
        assert!(queue.push(closed()).is_ok(), "of a file that came late");
        close(&mut queue);
        assert!(queue.is_over());
        assert!(queue.pop(theirs.as_raw_fd()).is_none());
        assert!(!is_alone(queue.end.as_ref().expect("it is open")));
        let mut byte = [0; 8];
        let told = recv(theirs.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT);
        assert_eq!(told, Ok(1), "the descriptor has stayed readable");

        assert!(queue.push(event()).is_ok());
        assert_eq!(queue.discard().len(), 1);
        assert!(queue.push(event()).is_ok());
        assert_eq!(queue.len(), 0);
        let hung_up = recv(theirs.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT);
        assert_eq!(hung_up, Ok(0), "the other end is closed");
    }
}
