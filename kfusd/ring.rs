// SPDX-License-Identifier: GPL-2.0-only

//! Rings: bytes on their way between a driver and its clients, or among clients, that are here already
//! or find room here, so that nobody has to be asked. A driver makes one, and attaches files to it while it
//! answers their opens; reads take from it, writes put into it, and the driver feeds it, or takes from it,
//! whenever it likes. An event tells it that a mark has been passed.
//!
//! A file keeps what it is attached to until it is closed: so polls may wait in queues of the ring.

use kernel::{
    fs::file::flags::O_NONBLOCK,
    fs::File,
    iov::{IovIterDest, IovIterSource},
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        new_spinlock, Arc, Mutex, SpinLock,
    },
};

use crate::handle::Handle;
use crate::limits::Share;
use crate::sys::{
    bring_in_destination, bring_in_source, new_wait_queue, AsyncList, Buffer, Event, Mode,
    PollTable, WaitQueue, TRIES,
};
use crate::wire;

/// `POLLIN | POLLRDNORM`.
const READABLE: u32 = 0x0041;
/// `POLLOUT | POLLWRNORM`.
const WRITABLE: u32 = 0x0104;
const POLLERR: u32 = 0x0008;
const POLLHUP: u32 = 0x0010;

/// What comes after the bytes is the end.
const ENDED: u32 = 1 << 0;
/// Nobody takes what is written.
const SHUT: u32 = 1 << 1;
/// The driver is done with it: both, for good.
const DROPPED: u32 = 1 << 2;

/// A ring.
#[pin_data]
pub(crate) struct Ring {
    number: u64,
    /// Bytes that it can hold.
    size: u32,
    /// Held while bytes are copied, for which nobody's memory is waited for.
    #[pin]
    buffer: Mutex<Buffer>,
    /// How many bytes are there, for who does without the lock.
    filled: Atomic<u32>,
    state: Atomic<u32>,
    marks: Marks,
    #[pin]
    event: SpinLock<Option<Event>>,
    #[pin]
    readers: WaitQueue,
    #[pin]
    writers: WaitQueue,
    #[pin]
    polls: WaitQueue,
    listeners: AsyncList,
    _share: Share,
}

/// When the driver is told. 0: never.
struct Marks {
    room: Atomic<u32>,
    fill: Atomic<u32>,
}

impl Ring {
    /// A ring that is empty, as a driver wants it.
    ///
    /// # Errors
    /// `EINVAL`: no size. `ENOMEM`.
    pub(crate) fn new(
        wanted: &wire::Ring,
        event: Option<Event>,
        share: Share,
    ) -> Result<Arc<Self>> {
        // CAST: widens.
        let buffer = Buffer::new(wanted.size as usize)?;
        let size = u32::try_from(buffer.size()).map_err(|_| EINVAL)?;
        let marks = Marks {
            room: Atomic::new(wanted.room.min(size)),
            fill: Atomic::new(wanted.fill.min(size)),
        };
        Arc::pin_init(
            pin_init!(Self {
                number: wanted.ring,
                size,
                buffer <- new_mutex!(buffer, "fusd_ring"),
                filled: Atomic::new(0),
                state: Atomic::new(0),
                marks,
                event <- new_spinlock!(event, "fusd_ring_event"),
                readers <- new_wait_queue!(c"fusd_ring_readers"),
                writers <- new_wait_queue!(c"fusd_ring_writers"),
                polls <- new_wait_queue!(c"fusd_ring_polls"),
                listeners: AsyncList::new(),
                _share: share,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// How many bytes of memory a ring takes that is to hold `size`.
    pub(crate) fn bytes(size: u32) -> u64 {
        // CAST: widens.
        u64::from(size).next_multiple_of(PAGE_SIZE as u64)
    }

    /// The driver's number for it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that it can hold.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Bytes that are there.
    pub(crate) fn filled(&self) -> u32 {
        self.filled.load(Acquire)
    }

    /// Changes when the driver is told, and by what.
    pub(crate) fn change(&self, wanted: &wire::Ring, event: Option<Event>) {
        self.marks.room.store(wanted.room.min(self.size), Relaxed);
        self.marks.fill.store(wanted.fill.min(self.size), Relaxed);
        if event.is_some() {
            let before = core::mem::replace(&mut *self.event.lock(), event);
            drop(before);
        }
    }

    /// The driver is done with it: reads come to an end, writes fail.
    pub(crate) fn abandon(&self) {
        self.set(DROPPED, true);
        let event = self.event.lock().take();
        drop(event);
    }

    /// read(2) of a file that is attached.
    ///
    /// # Errors
    /// `EAGAIN`. `EFAULT`. `EPIPE`: nothing is left, and the device is gone. `ERESTARTSYS`: a signal.
    pub(crate) fn read(
        &self,
        handle: &Handle,
        file: &File,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        while !to.is_empty() {
            let taken = self.take(to)?;
            if taken != 0 {
                // CAST: widens.
                handle.device().count(taken as u64);
                return Ok(taken);
            }
            let next = || {
                // First: what was there before is seen by who sees it.
                let state = self.state.load(Acquire);
                if self.filled() != 0 {
                    Some(Ok(true))
                } else if state & (ENDED | DROPPED) != 0 {
                    Some(Ok(false))
                } else if !handle.device().is_live() {
                    Some(Err(EPIPE))
                } else {
                    None
                }
            };
            let there = match next() {
                Some(there) => there?,
                None if is_nonblocking(file) => return Err(EAGAIN),
                None => {
                    let waited = self.readers.wait_in_line(Mode::Interruptible, next);
                    waited.map_err(|_| ERESTARTSYS)??
                }
            };
            if !there {
                break;
            }
        }
        Ok(0)
    }

    /// write(2) to a file that is attached.
    ///
    /// # Errors
    /// `EAGAIN`. `EFAULT`. `EPIPE`: nobody takes it. `ERESTARTSYS`: a signal. Of all of them: before a byte was
    /// put in.
    pub(crate) fn write(
        &self,
        handle: &Handle,
        file: &File,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut done = 0_usize;
        // CAST: widens, here and below.
        let whole = from.len() <= wire::RING_WHOLE.min(self.size) as usize;
        while !from.is_empty() {
            match self.write_part(handle, file, from, whole) {
                Ok(part) => done = done.saturating_add(part),
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            }
        }
        handle.device().count(done as u64);
        Ok(done)
    }

    /// Puts in what there is room for; waits for that.
    fn write_part(
        &self,
        handle: &Handle,
        file: &File,
        from: &mut IovIterSource<'_>,
        whole: bool,
    ) -> Result<usize> {
        let needed = if whole { from.len() } else { 1 };
        let next = || {
            if self.state.load(Acquire) & (SHUT | DROPPED) != 0 || !handle.device().is_live() {
                return Some(Err(EPIPE));
            }
            // CAST: widens.
            (self.room() as usize >= needed).then_some(Ok(()))
        };
        loop {
            match next() {
                Some(there) => there?,
                None => {
                    // The driver might go on waiting for its mark.
                    self.signal();
                    if is_nonblocking(file) {
                        return Err(EAGAIN);
                    }
                    let waited = self.writers.wait_in_line(Mode::Interruptible, next);
                    waited.map_err(|_| ERESTARTSYS)??;
                }
            }
            let put = self.put(from, whole)?;
            if put != 0 {
                return Ok(put);
            }
        }
    }

    /// What a driver has for its clients. Returns how many bytes there was room for.
    ///
    /// # Errors
    /// `EAGAIN`: for none. `EFAULT`: none was there.
    pub(crate) fn feed(&self, from: &mut IovIterSource<'_>, last: bool) -> Result<usize> {
        let mut done = 0_usize;
        while !from.is_empty() {
            match self.put(from, false) {
                Ok(0) if done == 0 => return Err(EAGAIN),
                Ok(0) => break,
                Ok(put) => done = done.saturating_add(put),
                Err(_) if done != 0 => break,
                Err(error) => return Err(error),
            }
        }
        if from.is_empty() {
            self.set(ENDED, last);
        }
        Ok(done)
    }

    /// What clients have for their driver.
    ///
    /// # Errors
    /// `EAGAIN`: nothing. `EFAULT`.
    pub(crate) fn drain(&self, to: &mut IovIterDest<'_>, last: bool) -> Result<usize> {
        self.set(SHUT, last);
        if to.is_empty() {
            return Ok(0);
        }
        match self.take(to)? {
            0 => Err(EAGAIN),
            taken => Ok(taken),
        }
    }

    /// Takes out what there is, at most as much as there is room for in `to`.
    fn take(&self, to: &mut IovIterDest<'_>) -> Result<usize> {
        let mut tries = 0;
        let mut there = to.len();
        loop {
            let mut buffer = self.buffer.lock();
            let before = buffer.room();
            let wanted = buffer.filled().min(to.len());
            let taken = buffer.take(to, there);
            let after = buffer.room();
            // CAST: less than the size.
            self.filled.store(buffer.filled() as u32, Release);
            drop(buffer);
            if taken != 0 {
                self.taken(before, after);
            }
            if taken != 0 || wanted == 0 {
                return Ok(taken);
            }
            // May wait, and may fail: if a wake-up has brought us here, it is for the next in line.
            self.readers.wake_one();
            tries += 1;
            if tries > TRIES {
                return Err(EFAULT);
            }
            there = bring_in_destination(to, wanted)?;
        }
    }

    /// Puts in what there is room for; all of it, if it is to go in `whole`, or nothing.
    fn put(&self, from: &mut IovIterSource<'_>, whole: bool) -> Result<usize> {
        let mut tries = 0;
        let mut there = from.len();
        loop {
            let mut buffer = self.buffer.lock();
            let before = buffer.filled();
            let mut wanted = there.min(buffer.room());
            if whole && wanted < from.len() {
                wanted = 0;
            }
            let put = buffer.put(from, wanted, whole);
            let after = buffer.filled();
            // CAST: at most the size.
            self.filled.store(after as u32, Release);
            drop(buffer);
            if put != 0 {
                self.put_in(before, after);
            }
            if put != 0 || wanted == 0 {
                return Ok(put);
            }
            // As in `take`.
            self.writers.wake_one();
            tries += 1;
            if tries > TRIES {
                return Err(EFAULT);
            }
            there = bring_in_source(from, wanted)?;
            if whole && there < wanted {
                return Err(EFAULT);
            }
        }
    }

    /// There is more room than before, in bytes.
    fn taken(&self, before: usize, after: usize) {
        self.writers.wake_one();
        // CAST: less than the size.
        if after < self.size as usize {
            // One wake-up takes one reader out of the line, and it may have left something.
            self.readers.wake_one();
        }
        self.polls.wake_polls(WRITABLE);
        self.listeners.notify(WRITABLE);
        if passes(&self.marks.room, before, after) {
            self.signal();
        }
    }

    /// There are more bytes than before.
    fn put_in(&self, before: usize, after: usize) {
        self.readers.wake_one();
        // CAST: widens.
        if after < self.size as usize {
            self.writers.wake_one();
        }
        self.polls.wake_polls(READABLE);
        self.listeners.notify(READABLE);
        if passes(&self.marks.fill, before, after) {
            self.signal();
        }
    }

    /// Has the driver look.
    fn signal(&self) {
        if let Some(event) = &*self.event.lock() {
            event.signal();
        }
    }

    /// Bytes that there is room for.
    fn room(&self) -> u32 {
        self.size.saturating_sub(self.filled())
    }

    /// Sets a bit of the state, or clears it.
    fn set(&self, bit: u32, on: bool) {
        let mut before = self.state.load(Relaxed);
        loop {
            let after = if on { before | bit } else { before & !bit };
            if before == after {
                return;
            }
            match self.state.cmpxchg(before, after, Release) {
                Ok(_) => break,
                Err(now) => before = now,
            }
        }
        self.stir();
    }

    /// Has everybody look who waits.
    pub(crate) fn stir(&self) {
        self.readers.wake_all();
        self.writers.wake_all();
        self.polls.wake_all();
        self.listeners.notify(READABLE | WRITABLE);
    }

    /// Has a poll of a file that is attached woken. To be called before what it finds is looked at.
    pub(crate) fn register_poll(&self, file: &File, table: &PollTable<'_>) {
        self.polls.register_poll(file, table);
    }

    /// Of `events` that the driver has said, what holds where reads are served from here.
    pub(crate) fn events_of_reads(&self, events: u32) -> u32 {
        let ended = self.state.load(Acquire) & (ENDED | DROPPED) != 0;
        let there = self.filled() != 0;
        let mut events = events & !READABLE;
        if there || ended {
            events |= READABLE;
        }
        if ended && !there {
            events |= POLLHUP;
        }
        events
    }

    /// Likewise, where writes go here.
    pub(crate) fn events_of_writes(&self, events: u32) -> u32 {
        let shut = self.state.load(Acquire) & (SHUT | DROPPED) != 0;
        let events = events & !WRITABLE;
        // What goes in whole must find room.
        if shut {
            events | WRITABLE | POLLERR
        } else if self.room() >= wire::RING_WHOLE.min(self.size) {
            events | WRITABLE
        } else {
            events
        }
    }

    /// The file operation fasync, of a file that is attached.
    pub(crate) fn listen(&self, fd: c_int, file: &File, on: c_int) -> Result<c_int> {
        self.listeners.update(fd, file, on)
    }
}

fn is_nonblocking(file: &File) -> bool {
    file.flags() & O_NONBLOCK != 0
}

/// Whether a number has come up to `mark` that was below it.
fn passes(mark: &Atomic<u32>, before: usize, after: usize) -> bool {
    // CAST: widens.
    let mark = mark.load(Relaxed) as usize;
    before < mark && mark <= after
}
