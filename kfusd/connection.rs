// SPDX-License-Identifier: GPL-2.0-only

//! A driver's connection: one open of the control node, and what came of it when other drivers took
//! it over. Here is what is under its lock, and the client's side of a request: how it gets in and
//! out. The driver's side, and the rest, is below.

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        lock::{spinlock::SpinLockBackend, Lock},
        new_spinlock, Arc, SpinLock,
    },
};

use crate::deadlock::{At, Servers};
use crate::device::Device;
use crate::handle::Handle;
use crate::limits::{Budget, Cap, Load};
use crate::request::{Request, Slot, Stage, Start};
use crate::ring::Ring;
use crate::sys::{new_wait_queue, Line, Viewer, WaitQueue};
use crate::{error, limits, wire};

mod activity;
mod admission;
mod answer;
mod delivery;
mod ending;
mod head;
mod lists;
mod rings;
mod succession;
mod unseen;

pub(crate) use admission::{at_once, Admission};
pub(crate) use answer::Input;
pub(crate) use delivery::Output;
pub(crate) use succession::Patience;
use succession::Throne;

/// How far the handshake is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No hello yet.
    Fresh,
    /// There was one.
    Agreed,
    /// The control file is closed.
    Closed,
}

/// What the connection's lock guards, with the [`kernel::sync::LockedBy`] parts of devices, files
/// and requests.
pub(crate) struct Inner {
    phase: Phase,
    /// The greeting has been read.
    greeted: bool,
    /// The last number given to a request or a file.
    last: u64,
    /// What the driver has yet to see, in order.
    queue: RBTree<u64, Arc<Request>>,
    /// What the driver has yet to answer.
    sent: RBTree<u64, Arc<Request>>,
    /// Requests whose callers have a signal the driver has yet to hear of.
    interrupts: RBTree<u64, Arc<Request>>,
    devices: RBTree<u64, Arc<Device>>,
    device_count: u32,
    /// Files the driver knows of, until it has taken their release.
    files: RBTree<u64, Arc<Handle>>,
    rings: RBTree<u64, Arc<Ring>>,
    load: Load,
    /// Clients that wait until the load is less.
    waiting: u32,
    /// Which driver has it.
    throne: Throne,
}

/// A driver's connection.
#[pin_data]
pub(crate) struct Connection {
    #[pin]
    inner: SpinLock<Inner>,
    /// The driver's threads that wait for a request, and who polls the control file.
    #[pin]
    pub(crate) arrivals: Line,
    /// Whether [`Inner::has_message`] may hold: set after something has come, without the lock,
    /// and cleared under it where nothing is left. Who reads false and waits is woken.
    arrived: Atomic<bool>,
    /// Readers of more than one seat may wait: whom one wake-up takes may not be whom it is for.
    crowded: Atomic<bool>,
    /// Seats up to this number have lost what they had.
    cleared: Atomic<u64>,
    /// [`AGREED`] and the features that the driver has taken, once it has said hello.
    features: Atomic<u64>,
    /// The driver's process, in the initial pid namespace; 0 where there is none.
    driver: Atomic<u32>,
    caps: Caps,
    /// For all rings.
    ring_bytes: Arc<Budget>,
    /// Clients that wait until the load is less.
    #[pin]
    room: WaitQueue,
    viewer: Viewer,
    /// Whose waits for other drivers may be waits for this one.
    pub(crate) servers: Servers,
}

/// The driver has said hello. No feature.
const AGREED: u64 = 1 << 63;

/// The limits of a connection.
struct Caps {
    file: Cap,
    device: Cap,
    connection: Cap,
}

/// A guard of a connection's lock. Nothing that can sleep may be dropped under it: whatever is
/// taken out of a tree goes out of the guard's scope first.
pub(crate) type Guard<'a> = kernel::sync::lock::Guard<'a, Inner, SpinLockBackend>;

impl Inner {
    /// A number never used before on this connection.
    pub(crate) fn new_number(&mut self) -> u64 {
        // At one per nanosecond it would take 584 years to come round.
        self.last = self.last.wrapping_add(1);
        self.last
    }

    /// Whether requests to `device` can still get an answer.
    pub(crate) fn serves(&self, device: &Device) -> bool {
        self.phase != Phase::Closed && device.state.access(self).live
    }

    /// Whether there is something for the driver that is in charge.
    fn has_request(&self) -> bool {
        !self.interrupts.is_empty() || !self.queue.is_empty()
    }

    /// Puts a new request, or notice, behind all others.
    pub(crate) fn push(&mut self, request: Arc<Request>, slot: Slot) {
        let id = self.new_number();
        let state = request.state.access_mut(self);
        state.id = id;
        state.stage = Stage::Queued;
        self.queue.insert(slot.into_node(id, request));
    }

    /// As [`Connection::remove_device`].
    fn remove_device(&mut self, number: u64) -> Option<Arc<Device>> {
        let (_, device) = self.devices.remove_node(&number)?.to_key_value();
        self.device_count = self.device_count.saturating_sub(1);
        self.throne.loses(&device);
        device.state.access_mut(self).live = false;
        Some(device)
    }

    /// Forgets a file that no longer exists for the driver. The node is to be dropped unlocked.
    pub(crate) fn forget(&mut self, handle: &Handle) -> Option<RBTreeNode<u64, Arc<Handle>>> {
        let node = self.files.remove_node(&handle.id())?;
        let state = handle.device().state.access_mut(self);
        state.files = state.files.saturating_sub(1);
        Some(node)
    }
}

impl Connection {
    /// A connection of a driver as seen by `viewer`.
    pub(crate) fn new(viewer: Viewer) -> Result<Arc<Self>> {
        let inner = Inner {
            phase: Phase::Fresh,
            greeted: false,
            last: 0,
            queue: RBTree::new(),
            sent: RBTree::new(),
            interrupts: RBTree::new(),
            devices: RBTree::new(),
            device_count: 0,
            files: RBTree::new(),
            rings: RBTree::new(),
            load: Load::default(),
            waiting: 0,
            throne: Throne::new(),
        };
        Arc::pin_init(
            try_pin_init!(Self {
                inner <- new_spinlock!(inner, "fusd_connection"),
                arrivals <- Line::new(),
                arrived: Atomic::new(true),
                crowded: Atomic::new(false),
                cleared: Atomic::new(0),
                features: Atomic::new(0),
                driver: Atomic::new(viewer.pid()),
                caps: Caps {
                    file: Cap::of_file(),
                    device: Cap::of_device(),
                    connection: Cap::of_connection(),
                },
                ring_bytes: Budget::new(Cap::of_connection().bytes)?,
                room <- new_wait_queue!(c"fusd_room"),
                viewer,
                servers: Servers::new()?,
            }? Error),
            GFP_KERNEL,
        )
    }

    /// The lock that guards parts of devices, files and requests.
    pub(crate) fn lock_of_state(&self) -> &Lock<Inner, SpinLockBackend> {
        &self.inner
    }

    /// Locks.
    pub(crate) fn lock(&self) -> Guard<'_> {
        self.inner.lock()
    }

    /// Whose ids callers are shown in.
    pub(crate) fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    /// The driver's hello.
    ///
    /// # Errors
    /// `EPROTO`: there was one already.
    pub(crate) fn agree(&self, hello: wire::Hello) -> Result {
        let mut inner = self.lock();
        if inner.phase != Phase::Fresh {
            return Err(error::eproto());
        }
        inner.phase = Phase::Agreed;
        self.features.store(hello.features | AGREED, Release);
        Ok(())
    }

    /// # Errors
    /// `EPROTO`: no hello yet.
    pub(crate) fn ensure_agreed(&self) -> Result {
        match self.has(AGREED) {
            true => Ok(()),
            false => Err(error::eproto()),
        }
    }

    /// The features that drivers have taken.
    pub(crate) fn features(&self) -> u64 {
        self.features.load(Acquire) & !AGREED
    }

    /// Adds what a successor has taken. Under the lock.
    fn add_features(&self, features: u64) {
        let all = self.features.load(Acquire) | features | AGREED;
        self.features.store(all, Release);
    }

    /// Whether the driver has taken `feature`.
    pub(crate) fn has(&self, feature: u64) -> bool {
        self.features.load(Acquire) & feature != 0
    }

    /// Something has come for the driver: one of its threads is to look. Without the lock.
    pub(crate) fn announce(&self) {
        self.arrived.store(true, Release);
        match self.crowded.load(Relaxed) {
            false => self.arrivals.wake_one(),
            true => self.arrivals.wake_all(),
        }
    }

    /// The current task serves, if the handshake is over, and works on no request. Returns where it is
    /// known already.
    #[inline(always)]
    pub(crate) fn serve(&self) -> Option<At<'_>> {
        let at = self.servers.work_on(0);
        if at.is_none() && self.has(AGREED) {
            self.servers.add_current();
        }
        at
    }

    /// Takes in a device. From here on it has a number for the driver.
    ///
    /// # Errors
    /// `EBUSY`: the driver has another device of that number. `ENOSPC`: too many devices.
    pub(crate) fn add_device(&self, device: &Arc<Device>) -> Result {
        let slot = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut inner = self.lock();
        if inner.devices.get(&device.number()).is_some() {
            return Err(EBUSY);
        }
        if inner.device_count >= limits::max_devices() {
            return Err(ENOSPC);
        }
        inner.device_count = inner.device_count.saturating_add(1);
        let node = slot.into_node(device.number(), device.clone());
        inner.devices.insert(node);
        inner.throne.keeps(device);
        Ok(())
    }

    /// Takes out the device the driver calls `number`: nobody gets to it any more. Only one caller
    /// gets it, and has to end it.
    pub(crate) fn remove_device(&self, number: u64) -> Option<Arc<Device>> {
        self.lock().remove_device(number)
    }

    /// The device that the driver calls `number`.
    pub(crate) fn device(&self, number: u64) -> Option<Arc<Device>> {
        self.lock().devices.get(&number).cloned()
    }

    /// The file that the driver calls `id`.
    pub(crate) fn file(&self, id: u64) -> Option<Arc<Handle>> {
        self.lock().files.get(&id).cloned()
    }

    /// The device that a message names, and the file of it, if it is about one: `file` is not 0.
    ///
    /// # Errors
    /// `ENOENT`: no such device, or no such file of it.
    pub(crate) fn addressed(
        &self,
        device: u64,
        file: u64,
    ) -> Result<(Arc<Device>, Option<Arc<Handle>>)> {
        let device = self.device(device).ok_or(ENOENT)?;
        if file == 0 {
            return Ok((device, None));
        }
        let file = self.file(file).filter(|file| file.is_of(&device));
        Ok((device, Some(file.ok_or(ENOENT)?)))
    }

    /// Makes `handle` known to the driver and queues the request that opens it.
    ///
    /// # Errors
    /// `ENOENT`: the device is gone. `ENFILE`: too many files are open on it.
    pub(crate) fn queue_open(
        &self,
        request: &Arc<Request>,
        slot: Slot,
        start: &mut Start,
    ) -> Result {
        let handle = &request.handle;
        let file_slot = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let mut inner = self.lock();
        if !inner.serves(handle.device()) {
            return Err(ENOENT);
        }
        let state = handle.device().state.access_mut(&mut inner);
        if state.files >= limits::max_files() {
            return Err(ENFILE);
        }
        state.files = state.files.saturating_add(1);
        let node = file_slot.into_node(handle.id(), handle.clone());
        inner.files.insert(node);
        request.state.access_mut(&mut inner).begin(start);
        inner.push(request.clone(), slot);
        drop(inner);
        self.announce();
        Ok(())
    }

    /// A number for a file.
    pub(crate) fn new_file_number(&self) -> u64 {
        self.lock().new_number()
    }

    /// Queues a request.
    ///
    /// # Errors
    /// `EPIPE`: the device is gone.
    pub(crate) fn queue(&self, request: &Arc<Request>, slot: Slot, start: &mut Start) -> Result {
        let mut inner = self.lock();
        if !inner.serves(request.handle.device()) {
            return Err(EPIPE);
        }
        request.state.access_mut(&mut inner).begin(start);
        inner.push(request.clone(), slot);
        drop(inner);
        self.announce();
        Ok(())
    }

    /// A signal for the client of `request`. Takes back what the driver has not seen, and returns
    /// true; else has the driver told.
    pub(crate) fn take_back(&self, request: &Arc<Request>) -> bool {
        // If there is no memory, the driver does not hear of it; the wait can still be killed.
        let slot = Slot::new(GFP_KERNEL_ACCOUNT).ok();
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        let id = state.id;
        match (state.stage, state.begun) {
            (Stage::Queued, false) => {
                state.stage = Stage::Abandoned;
                let node = inner.queue.remove_node(&id);
                drop(inner);
                drop(node);
                return true;
            }
            (Stage::Done | Stage::Abandoned | Stage::New, _) => {}
            _ => {
                if let Some(slot) = slot {
                    state.told = true;
                    let node = slot.into_node(id, request.clone());
                    let old = inner.interrupts.insert(node);
                    drop(inner);
                    drop(old);
                    self.announce();
                }
            }
        }
        false
    }

    /// The client of `request` is being killed. Returns whether it may go; if not, the answer is
    /// there.
    pub(crate) fn abandon(&self, request: &Arc<Request>) -> bool {
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        if state.stage == Stage::Done {
            return false;
        }
        state.stage = Stage::Abandoned;
        let id = state.id;
        // The driver may yet have to hear of the signal: what is large does not wait for that.
        let memory = (
            core::mem::take(&mut state.data),
            core::mem::take(&mut state.landing),
            state.job.take(),
            state.leave(),
        );
        let nodes = (inner.queue.remove_node(&id), inner.sent.remove_node(&id));
        drop(inner);
        drop((nodes, memory));
        true
    }
}
