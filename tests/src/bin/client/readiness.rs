//! The ways to wait until a file is ready, in turns: poll(2), select(2), epoll(7) level-triggered and
//! edge-triggered.

use std::os::fd::AsFd;

use fusd_tests::client::{Handle, Outcome};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::select::{FdSet, select};

/// What is waited for.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    Readable,
    Writable,
}

/// Waits for one file.
pub(crate) struct Waiter<'a> {
    file: &'a Handle,
    wanted: Wanted,
    level: Epoll,
    edge: Epoll,
    waits: usize,
}

impl<'a> Waiter<'a> {
    /// Both epoll instances watch from now on: the edge-triggered one has to tell of every edge that
    /// comes, also while another way is used.
    pub(crate) fn new(file: &'a Handle, wanted: Wanted) -> Outcome<Self> {
        Ok(Self {
            file,
            wanted,
            level: wanted.watch(file, EpollFlags::empty())?,
            edge: wanted.watch(file, EpollFlags::EPOLLET)?,
            waits: 0,
        })
    }

    /// Waits; may return too early. To be called after `EAGAIN`: an edge comes only then.
    pub(crate) fn wait(&mut self) -> Outcome<()> {
        self.waits += 1;
        let result = match self.waits % 4 {
            0 => self.wanted.poll(self.file),
            1 => self.wanted.select(self.file),
            2 => sleep(&self.level),
            _ => sleep(&self.edge),
        };
        match result {
            Ok(()) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

impl Wanted {
    fn watch(self, file: &Handle, flags: EpollFlags) -> Outcome<Epoll> {
        let events = match self {
            Self::Readable => EpollFlags::EPOLLIN,
            Self::Writable => EpollFlags::EPOLLOUT,
        };
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(file, EpollEvent::new(events | flags, 0))?;
        Ok(epoll)
    }

    fn poll(self, file: &Handle) -> Outcome<()> {
        let events = match self {
            Self::Readable => PollFlags::POLLIN,
            Self::Writable => PollFlags::POLLOUT,
        };
        let mut fds = [PollFd::new(file.as_fd(), events)];
        nix::poll::poll(&mut fds, PollTimeout::NONE).map(drop)
    }

    fn select(self, file: &Handle) -> Outcome<()> {
        let mut set = FdSet::new();
        set.insert(file.as_fd());
        let (read, write) = match self {
            Self::Readable => (Some(&mut set), None),
            Self::Writable => (None, Some(&mut set)),
        };
        select(None, read, write, None, None).map(drop)
    }
}

fn sleep(epoll: &Epoll) -> Outcome<()> {
    let mut events = [EpollEvent::empty()];
    epoll.wait(&mut events, EpollTimeout::NONE).map(drop)
}
