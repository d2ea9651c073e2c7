//! Rings: bytes on their way between a driver and its clients that nobody has to be asked for.

mod attached;
mod content;
mod event;
mod kernel;
mod session;
mod shared;

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

pub(crate) use self::attached::Attached;
use self::event::{Side, would_block};
pub(crate) use self::session::SessionRings;
pub(crate) use self::shared::Shared;
use crate::wire::TRANSFER_MAX;
use crate::{Errno, Error, ErrorKind, Result};

/// Bytes between a driver and clients, or among clients, first in, first out: a ring that reads of
/// files are served from and writes go to, without a call of the device.
///
/// A driver [attaches](crate::OpenRequest::attach_reads) a file to it while it answers the file's open, and
/// puts bytes in, or takes some out, whenever it likes. On kfusd the ring is the kernel's, and neither a
/// read nor a write wakes the driver; elsewhere the session serves it. One ring may serve many files:
/// each byte goes to one reader. Attached for reads of some files and for writes of others, it is a pipe
/// among clients.
///
/// What clients find is what a pipe has: a read gets what is there, and waits only for the first byte; a write
/// of up to 4096 bytes (or the ring's [size](Self::size)) goes in together; `O_NONBLOCK`, poll(2),
/// signals and the driver's end are as ever. An interrupted call has lost nothing.
///
/// The driver's side comes in two forms. [`feed`](Self::feed) and [`take`](Self::take) wait for nobody;
/// to know when to try again, poll the ring's descriptor ([`AsFd`]). And `&Ring` is [`Read`] and
/// [`Write`], for threads that may wait.
///
/// Clones are the same ring. When the last one is dropped, the driver is done with it: reads get what is
/// left and then the end of the file, and writes fail with `EPIPE`.
///
/// ```
/// use std::io::Write;
/// use fusd::{Device, OpenRequest, Properties, Ring};
///
/// struct Numbers(Ring);
///
/// impl Device for Numbers {
///     type File = ();
///
///     fn properties(&self) -> Properties {
///         Properties::stream()
///     }
///
///     fn open(&self, request: OpenRequest<()>) {
///         match request.attach_reads(&self.0) {
///             Ok(()) => request.accept(()),
///             Err(error) => request.fail(error.errno()),
///         };
///     }
/// }
///
/// let ring = Ring::new(64 << 10)?;
/// let numbers = Numbers(ring.clone());
/// # let (client, _serving) = fusd::DeviceBuilder::new("numbers").loopback(numbers)?;
/// # let file = client.open(libc::O_RDONLY)?;
/// (&ring).write_all(b"1\n2\n")?; // waits where the ring is full
/// ring.finish();
/// # assert_eq!(file.read(3)?, b"1\n2");
/// # assert_eq!(file.read(100)?, b"\n");
/// # assert_eq!(file.read(100)?, b"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Ring(Arc<Handle>);

/// The driver's own hold of a ring: files that are attached do not count.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Ring {
    /// A ring that is empty, for `size` bytes, rounded up to whole pages; 16 MiB at most. A connection's rings
    /// in the kernel have room for 64 MiB together, unless the module is told otherwise; what goes
    /// beyond that is served by the session.
    ///
    /// # Errors
    /// `EINVAL`: no size, or too large a one. `EMFILE`, `ENFILE`: too many descriptors are open (it takes
    /// one).
    pub fn new(size: usize) -> Result<Self> {
        let failed = |errno| {
            let what = format!("make a ring of {size} bytes");
            Error::system(ErrorKind::Runtime, errno, what)
        };
        let page = crate::backend::page_size() as usize;
        let rounded = size.checked_next_multiple_of(page);
        let fits = |size: &usize| (1..=TRANSFER_MAX as usize).contains(size);
        let rounded = rounded
            .filter(fits)
            .ok_or_else(|| failed(Errno::EINVAL).because("a ring has 1 to 16777216 bytes"))?;
        let shared = Shared::new(rounded).map_err(|error| failed(Errno::from(&error)))?;
        Ok(Self(Arc::new(Handle(Arc::new(shared)))))
    }

    /// Bytes that it holds at most.
    pub fn size(&self) -> usize {
        self.shared().size()
    }

    /// Bytes that are in it at this moment.
    pub fn filled(&self) -> usize {
        self.shared().filled()
    }

    /// Puts the first bytes of `data` in, as many as there is room for; returns how many. Does not wait.
    /// What [`finish`](Self::finish) said is over with it.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) (`EAGAIN`): there is no room.
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) (`EPIPE`): the session has ended.
    pub fn feed(&self, data: &[u8]) -> io::Result<usize> {
        let shared = self.shared();
        match data {
            [] => Ok(0),
            _ => shared.event.attempt(Side::Feed, || shared.feed(data)),
        }
    }

    /// Takes bytes that clients have written, as many as there are and `out` has room for; returns how many.
    /// Does not wait. 0: the session has ended, and all that was written has been taken.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) (`EAGAIN`): there are none.
    pub fn take(&self, out: &mut [u8]) -> io::Result<usize> {
        let shared = self.shared();
        match out {
            [] => Ok(0),
            _ => shared.event.attempt(Side::Take, || shared.take(out)),
        }
    }

    /// Says that behind the bytes is the end of the file: reads that find nothing more get it, and polls
    /// report it (`POLLHUP`), until something is fed or [`resume`](Self::resume) is called.
    pub fn finish(&self) {
        self.shared().set_ended(true);
    }

    /// Takes back [`finish`](Self::finish): reads that find nothing wait again.
    pub fn resume(&self) {
        self.shared().set_ended(false);
    }

    /// Says that nobody takes what is written: writes fail with `EPIPE`, those that wait included, and polls
    /// report it (`POLLERR`), until [`reopen`](Self::reopen). What has been written can still be taken.
    pub fn shut(&self) {
        self.shared().set_shut(true);
    }

    /// Takes back [`shut`](Self::shut).
    pub fn reopen(&self) {
        self.shared().set_shut(false);
    }

    /// Has the driver woken when a read has made so many bytes of room, 1 to [`size`](Self::size): the descriptor becomes
    /// readable, and threads go on that wait to feed it. Half of the size unless said otherwise: what
    /// is more wakes the driver less often, what is less keeps the ring fuller.
    pub fn set_room_mark(&self, bytes: usize) {
        self.set_mark(Side::Feed, bytes);
    }

    /// Has the driver woken when a write has brought the ring to so many bytes, 1 to
    /// [`size`](Self::size): 1 unless said otherwise. A write that has to wait wakes it as well.
    pub fn set_fill_mark(&self, bytes: usize) {
        self.set_mark(Side::Take, bytes);
    }

    fn set_mark(&self, side: Side, bytes: usize) {
        let shared = self.shared();
        shared.event.set_mark(side, bytes.clamp(1, shared.size()));
        shared.tell_marks();
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Waits until `call` finds something to do.
    fn wait_for(
        &self,
        side: Side,
        mut call: impl FnMut(&Shared) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let shared = self.shared();
        let mut attempt = || shared.event.attempt(side, || call(shared));
        let first = attempt();
        if !would_block(&first) {
            return first;
        }
        let _waiting = shared.event.enter(side);
        loop {
            let result = attempt();
            if !would_block(&result) {
                return result;
            }
            shared.event.wait()?;
        }
    }
}

/// As [`Ring::take`], but waits for the first byte. Any number of threads may wait.
impl Read for &Ring {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match out {
            [] => Ok(0),
            _ => self.wait_for(Side::Take, |shared| shared.take(out)),
        }
    }
}

/// As [`Ring::feed`], but waits for room. Any number of threads may wait.
impl Write for &Ring {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match data {
            [] => Ok(0),
            _ => self.wait_for(Side::Feed, |shared| shared.feed(data)),
        }
    }

    /// Does nothing: what has been fed is there.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A descriptor that poll(2) finds readable (`POLLIN`) once a mark has been passed, until
/// [`Ring::feed`] finds no room or [`Ring::take`] finds nothing. So poll it after one of them has
/// said `EAGAIN`; do not read it.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().event.as_fd()
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
