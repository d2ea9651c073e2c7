// SPDX-License-Identifier: GPL-2.0-only

//! An open file of a device: its numbers, its poll state as the driver last said, and the news of
//! its end, which is ready from the beginning so that no lack of memory can hold it back.

use kernel::{
    fs::File,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed, Release},
        Arc, ArcBorrow, LockedBy, Mutex, SetOnce,
    },
};

use crate::bytes::Bytes;
use crate::connection::Inner;
use crate::device::Device;
use crate::limits::Load;
use crate::request::{Ask, Body, Request, Slot, Spare};
use crate::ring::Ring;
use crate::sys::{new_wait_queue, AsyncList, Content, Memory, PollTable, WaitQueue};
use crate::wire::{self, operation};

const POLLERR: u32 = 0x0008;
const POLLHUP: u32 = 0x0010;
/// `DEFAULT_POLLMASK` (include/linux/poll.h): what a file without poll reports.
const ALWAYS_READY: u32 = 0x0145;

/// An open file.
#[pin_data]
pub(crate) struct Handle {
    device: Arc<Device>,
    id: u64,
    /// The driver's own name for it.
    cookie: Atomic<u64>,
    /// The driver has let its client in.
    open: Atomic<bool>,
    /// The flags it was opened with.
    open_flags: u32,
    /// The poll state.
    events: Atomic<u32>,
    #[pin]
    polls: WaitQueue,
    listeners: AsyncList,
    /// What can be mapped of this file alone.
    #[pin]
    memory: Mutex<Option<Arc<Memory>>>,
    /// What reads are served from, if the driver need not be asked.
    content: LockedBy<Option<Arc<Content>>, Inner>,
    /// Whether there may be something of that: for who does without the lock.
    published: Atomic<bool>,
    /// Where reads are served from for as long as the file is open.
    reads: SetOnce<Arc<Ring>>,
    /// Where writes go to, likewise.
    writes: SetOnce<Arc<Ring>>,
    /// What is under way.
    pub(crate) load: LockedBy<Load, Inner>,
    /// The release, until it is queued.
    farewell: LockedBy<Option<(Arc<Request>, Slot)>, Inner>,
    /// A request that is over, for the next call. It refers to this handle: taken out at the end.
    pub(crate) spare: LockedBy<Option<Spare>, Inner>,
    /// A flush without an answer is in the queue.
    pub(crate) last_flush: LockedBy<bool, Inner>,
}

impl Handle {
    /// A file of `device` that its driver does not know yet.
    pub(crate) fn new(device: &Arc<Device>, open_flags: u32) -> Result<Arc<Self>> {
        let connection = device.connection();
        let lock = connection.lock_of_state();
        let id = connection.new_file_number();
        let handle = Arc::pin_init(
            pin_init!(Self {
                device: device.clone(),
                id,
                cookie: Atomic::new(0),
                open: Atomic::new(false),
                open_flags,
                events: Atomic::new(0),
                polls <- new_wait_queue!(c"fusd_polls"),
                listeners: AsyncList::new(),
                memory <- new_mutex!(None, "fusd_file_memory"),
                content: LockedBy::new(lock, None),
                published: Atomic::new(false),
                reads: SetOnce::new(),
                writes: SetOnce::new(),
                load: LockedBy::new(lock, Load::default()),
                farewell: LockedBy::new(lock, None),
                spare: LockedBy::new(lock, None),
                last_flush: LockedBy::new(lock, false),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        let release = Request::new(
            handle.as_arc_borrow(),
            &notice(operation::RELEASE, open_flags),
        )?;
        let slot = Slot::new(GFP_KERNEL_ACCOUNT)?;
        // The request refers to the handle and the handle to the request, until `release` or
        // `discard` takes it out. One of them is always called: the first for a file that was
        // opened, the second for one that was not.
        let mut inner = connection.lock();
        *handle.farewell.access_mut(&mut inner) = Some((release, slot));
        drop(inner);
        Ok(handle)
    }

    /// The device.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Whether it is a file of this device.
    pub(crate) fn is_of(&self, device: &Arc<Device>) -> bool {
        Arc::ptr_eq(&self.device, device)
    }

    /// What can be mapped of this file, if anything.
    pub(crate) fn memory(&self) -> Option<Arc<Memory>> {
        let own = self.memory.lock().clone();
        own.or_else(|| self.device.memory())
    }

    /// Has this be what can be mapped of the file; `None`: what can be of the device.
    pub(crate) fn offer(&self, memory: Option<Arc<Memory>>) {
        let before = core::mem::replace(&mut *self.memory.lock(), memory);
        drop(before);
    }

    /// What reads are served from, if the driver need not be asked.
    ///
    /// # Errors
    /// `EPIPE`: there was something, and the device is gone.
    pub(crate) fn content(&self) -> Result<Option<Arc<Content>>> {
        if !self.published.load(Acquire) {
            return Ok(None);
        }
        let inner = self.device.connection().lock();
        if !inner.serves(&self.device) {
            return Err(EPIPE);
        }
        Ok(self.content.access(&inner).clone())
    }

    /// Has reads served from `content`, or by the driver. Returns what they were served from before,
    /// to be dropped unlocked.
    pub(crate) fn publish(
        &self,
        inner: &mut Inner,
        content: Option<Arc<Content>>,
    ) -> Option<Arc<Content>> {
        self.published.store(content.is_some(), Release);
        core::mem::replace(self.content.access_mut(inner), content)
    }

    /// Where reads are served from, if that is a ring.
    #[inline]
    pub(crate) fn reads(&self) -> Option<&Ring> {
        self.reads.as_ref().map(|ring| &**ring)
    }

    /// Where writes go to, if that is a ring.
    #[inline]
    pub(crate) fn writes(&self) -> Option<&Ring> {
        self.writes.as_ref().map(|ring| &**ring)
    }

    /// Has reads, or writes, or both, served by a ring (`ATTACH_`), for good. Under the connection's lock,
    /// before the file is open. Returns false, and changes nothing, if one of them is attached already.
    pub(crate) fn attach(&self, ring: &Arc<Ring>, flags: u32) -> bool {
        let (reads, writes) = (flags & wire::ATTACH_READS, flags & wire::ATTACH_WRITES);
        let taken =
            (reads != 0 && self.reads().is_some()) || (writes != 0 && self.writes().is_some());
        if taken {
            return false;
        }
        if reads != 0 {
            self.reads.populate(ring.clone());
        }
        if writes != 0 {
            self.writes.populate(ring.clone());
        }
        true
    }

    /// The file is open: where nothing is published for it alone, it has what is for the device.
    pub(crate) fn inherit(&self, inner: &mut Inner) {
        let content = match self.content.access(inner) {
            None => self.device.state.access(inner).content.clone(),
            Some(_) => None,
        };
        if content.is_some() {
            // There was nothing: nothing is dropped.
            self.publish(inner, content);
        }
    }

    /// The module's number for it, unique on its connection.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The driver's name for it.
    pub(crate) fn cookie(&self) -> u64 {
        self.cookie.load(Relaxed)
    }

    /// The driver has let its client in, and calls it `cookie`.
    pub(crate) fn opened(&self, cookie: u64) {
        self.set_cookie(cookie);
        self.open.store(true, Release);
    }

    /// Whether the driver has let its client in.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Acquire)
    }

    /// What a successor of its driver is told of it.
    pub(crate) fn record(&self) -> wire::FileRecord {
        wire::FileRecord {
            file: self.id,
            device: self.device.number(),
            cookie: self.cookie(),
            open_flags: self.open_flags,
            events: self.events(),
        }
    }

    /// Sets the driver's name for it.
    pub(crate) fn set_cookie(&self, cookie: u64) {
        self.cookie.store(cookie, Relaxed);
    }

    /// The file was not opened after all.
    pub(crate) fn discard(&self) {
        let mut inner = self.device.connection().lock();
        let farewell = self.farewell.access_mut(&mut inner).take();
        let spare = self.spare.access_mut(&mut inner).take();
        let file = inner.forget(self);
        drop(inner);
        drop((farewell, spare, file));
    }

    /// The file is closed for good: the driver is told, if there still is one.
    pub(crate) fn release(&self) {
        let connection = self.device.connection();
        let mut inner = connection.lock();
        let farewell = self.farewell.access_mut(&mut inner).take();
        // No call is left on the file, and none will come, that could leave another one.
        let spare = self.spare.access_mut(&mut inner).take();
        if !inner.serves(&self.device) {
            let file = inner.forget(self);
            drop(inner);
            drop((farewell, spare, file));
            return;
        }
        if let Some((request, slot)) = farewell {
            inner.push(request, slot);
        }
        drop(inner);
        drop(spare);
        connection.announce();
    }

    /// Queues a flush that nobody waits for, unless one is queued already.
    pub(crate) fn flush_without_answer(this: ArcBorrow<'_, Self>, open_flags: u32) -> Result {
        let connection = this.device.connection();
        let request = Request::new(this, &notice(operation::FLUSH, open_flags))?;
        let slot = Slot::new(GFP_KERNEL_ACCOUNT)?;
        let mut inner = connection.lock();
        let queued = this.last_flush.access_mut(&mut inner);
        if core::mem::replace(queued, true) {
            return Ok(());
        }
        if !inner.serves(&this.device) {
            return Err(EPIPE);
        }
        inner.push(request, slot);
        drop(inner);
        connection.announce();
        Ok(())
    }

    /// The file operation poll.
    pub(crate) fn poll(&self, file: &File, table: &PollTable<'_>) -> u32 {
        self.polls.register_poll(file, table);
        for ring in [self.reads(), self.writes()].into_iter().flatten() {
            // Held as long as the file.
            ring.register_poll(file, table);
        }
        // `poll_wait` has a full barrier: a state stored before a wake-up that was missed is seen.
        let live = self.device.is_live();
        let mut events = match live && self.device.implements(wire::IMPLEMENTS_POLL) {
            _ if !live => POLLERR | POLLHUP,
            true => self.events.load(Relaxed),
            false => ALWAYS_READY,
        };
        if let Some(ring) = self.reads() {
            events = ring.events_of_reads(events);
        }
        if let Some(ring) = self.writes().filter(|_| live) {
            events = ring.events_of_writes(events);
        }
        events
    }

    /// The poll state.
    pub(crate) fn events(&self) -> u32 {
        self.events.load(Relaxed)
    }

    /// Sets the poll state. Returns what of it is new.
    pub(crate) fn store_events(&self, events: u32) -> u32 {
        events & !self.events.xchg(events, Full)
    }

    /// Wakes who waits for any of `events`.
    pub(crate) fn announce(&self, events: u32) {
        if events != 0 {
            self.polls.wake_polls(events);
            self.listeners.notify(events);
        }
    }

    /// The device is gone.
    pub(crate) fn hang_up(&self) {
        // Its memory goes. Reads go on to find that there was some.
        let mut inner = self.device.connection().lock();
        let content = self.content.access_mut(&mut inner).take();
        drop(inner);
        drop(content);
        self.polls.wake_all();
        // Reads and writes do not wait any more: they fail.
        self.listeners.notify(ALWAYS_READY);
    }

    /// The file operation fasync.
    pub(crate) fn listen(&self, fd: c_int, file: &File, on: c_int) -> Result<c_int> {
        for ring in [self.reads(), self.writes()].into_iter().flatten() {
            ring.listen(fd, file, on)?;
        }
        self.listeners.update(fd, file, on)
    }
}

/// A message that has no answer and no fixed part.
fn notice(operation: u16, open_flags: u32) -> Ask {
    Ask {
        operation,
        flags: 0,
        open_flags,
        body: Body::new(&[]),
        data: Bytes::Empty,
        capacity: 0,
        landing: Bytes::Empty,
        notice: true,
    }
}
