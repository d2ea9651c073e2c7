// SPDX-License-Identifier: GPL-2.0-only

//! Rings: bytes on their way between a driver and its clients, or among clients, that are here already
//! or find room here, so that nobody has to be asked. A driver makes one, and attaches files to it while it
//! answers their opens; reads take from it, writes put into it, and the driver feeds it, or takes from it,
//! whenever it likes. An event tells it that a mark has been passed.
//!
//! A file keeps what it is attached to until it is closed: so polls may wait in queues of the ring.

use kernel::{
    fs::File,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        new_spinlock, Arc, Mutex, SpinLock,
    },
};

use crate::limits::Share;
use crate::sys::{new_wait_queue, AsyncList, Buffer, Event, PollTable, WaitQueue};
use crate::wire;

mod flow;

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
        // What is being copied was begun before, and is whole.
        let buffer = self.buffer.lock();
        let before = self.state.load(Relaxed);
        let after = if on { before | bit } else { before & !bit };
        self.state.store(after, Release);
        drop(buffer);
        if before != after {
            self.stir();
        }
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
