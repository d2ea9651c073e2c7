//! What tells a driver that there is room in a ring, or that there are bytes: an eventfd(2) that is
//! readable from a mark on until somebody finds that there is nothing to be done.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno as Raw;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{read, write};

use crate::sys::process::above_stdio;

/// What a driver does with a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It puts bytes in, and waits for room.
    Feed,
    /// It takes bytes out, and waits for some.
    Take,
}

/// The event of a ring, its marks, and the threads of the driver that wait for it.
pub(super) struct Event {
    descriptor: OwnedFd,
    /// Bytes of free room at which it is signalled.
    room: AtomicUsize,
    /// Bytes in the ring at which it is.
    fill: AtomicUsize,
    feeders: AtomicUsize,
    takers: AtomicUsize,
}

/// A thread that waits, or is about to.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Event {
    /// One of a ring of `size` bytes, which has not been signalled.
    pub(super) fn new(size: usize) -> io::Result<Self> {
        let made = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self {
            descriptor: above_stdio(&made.into())?,
            room: AtomicUsize::new((size / 2).max(1)),
            fill: AtomicUsize::new(1),
            feeders: AtomicUsize::new(0),
            takers: AtomicUsize::new(0),
        })
    }

    /// The marks, in bytes: of room, and of what there is.
    pub(super) fn marks(&self) -> (usize, usize) {
        let load = |mark: &AtomicUsize| mark.load(Ordering::Relaxed);
        (load(&self.room), load(&self.fill))
    }

    /// Sets the mark that `side` waits for.
    pub(super) fn set_mark(&self, side: Side, bytes: usize) {
        match side {
            Side::Feed => &self.room,
            Side::Take => &self.fill,
        }
        .store(bytes, Ordering::Relaxed);
    }

    /// A client has taken bytes out: there was so much room before, and is now.
    pub(super) fn room_grew(&self, before: usize, after: usize) {
        self.signal_at(&self.room, before, after);
    }

    /// A client has put bytes in: there were so many before, and are now.
    pub(super) fn fill_grew(&self, before: usize, after: usize) {
        self.signal_at(&self.fill, before, after);
    }

    fn signal_at(&self, mark: &AtomicUsize, before: usize, after: usize) {
        let mark = mark.load(Ordering::Relaxed);
        if before < mark && mark <= after {
            self.signal();
        }
    }

    /// Has the driver look.
    pub(super) fn signal(&self) {
        // It fails for a number of signals only that nobody lives to see, and then is readable.
        let _ = write(&self.descriptor, &1_u64.to_ne_bytes());
    }

    /// Makes an attempt which fails with `EAGAIN` if there is nothing to be done yet. After that,
    /// the event is readable if anything has changed since.
    pub(super) fn attempt(
        &self,
        side: Side,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let first = call();
        if !would_block(&first) {
            self.wake(side, false);
            return first;
        }
        // There is nothing to be read where nobody has signalled.
        let _ = read(&self.descriptor, &mut [0; 8]);
        let second = call();
        self.wake(side, !would_block(&second));
        second
    }

    /// Wakes threads that could do something now. `took`: the event has been taken from others of this
    /// `side`, who might have found something as well.
    fn wake(&self, side: Side, took: bool) {
        let (same, other) = match side {
            Side::Feed => (&self.feeders, &self.takers),
            Side::Take => (&self.takers, &self.feeders),
        };
        // Who begins to wait later counts itself first, and then looks at what there is.
        if other.load(Ordering::SeqCst) > 0 || took && same.load(Ordering::SeqCst) > 0 {
            self.signal();
        }
    }

    /// Counts the calling thread among those that wait. It has to make an attempt after that, before
    /// it does.
    pub(super) fn enter(&self, side: Side) -> Waiting<'_> {
        let count = match side {
            Side::Feed => &self.feeders,
            Side::Take => &self.takers,
        };
        count.fetch_add(1, Ordering::SeqCst);
        Waiting(count)
    }

    /// Waits until it is readable.
    pub(super) fn wait(&self) -> io::Result<()> {
        let mut descriptors = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(Raw::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether there was nothing to be done yet.
pub(super) fn would_block(result: &io::Result<usize>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(event: &Event) -> bool {
        let mut descriptors = [PollFd::new(event.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO).unwrap() == 1
    }

    fn nothing() -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn it_is_signalled_at_the_marks_and_nowhere_else() {
        let event = Event::new(4096).unwrap();
        assert_eq!(event.marks(), (2048, 1));
        event.room_grew(0, 2047);
        event.room_grew(2048, 4096);
        event.fill_grew(1, 4096);
        assert!(!is_readable(&event));
        event.room_grew(2047, 2048);
        assert!(is_readable(&event));
        assert!(would_block(&event.attempt(Side::Feed, nothing)));
        assert!(!is_readable(&event), "there was nothing");
        event.set_mark(Side::Take, 100);
        event.fill_grew(0, 99);
        assert!(!is_readable(&event));
        event.fill_grew(99, 4096);
        assert!(is_readable(&event));
    }

    #[test]
    fn an_attempt_takes_no_news_from_others() {
        let event = Event::new(4096).unwrap();
        event.signal();
        event.attempt(Side::Feed, || Ok(1)).unwrap();
        assert!(is_readable(&event), "it did not need the event");
        let _feeder = event.enter(Side::Feed);
        event.attempt(Side::Feed, nothing).unwrap_err();
        assert!(
            !is_readable(&event),
            "what is not for one is not for the other"
        );
        let mut calls = [Ok(3), nothing()];
        let mut call = move || {
            calls.reverse();
            std::mem::replace(&mut calls[0], nothing())
        };
        assert_eq!(event.attempt(Side::Feed, &mut call).unwrap(), 3);
        assert!(is_readable(&event), "the other may find room, too");
        event.attempt(Side::Take, nothing).unwrap_err();
        assert!(is_readable(&event), "nothing to take is room to feed");
    }
}
