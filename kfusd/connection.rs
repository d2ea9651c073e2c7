// SPDX-License-Identifier: GPL-2.0-only

//! A driver's connection: one open of the control node. What is under its lock, how requests get
//! into it, and how its end, or a device's, ends them. The driver's side of a request is in
//! `delivery.rs` and `answer.rs`.

use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::{lock::spinlock::SpinLockBackend, lock::Lock, new_spinlock, Arc, SpinLock},
    time::{Instant, Monotonic},
};

use crate::device::Device;
use crate::handle::Handle;
use crate::limits::{Cap, Load};
use crate::request::{Next, Request, Slot, Stage};
use crate::sys::{new_wait_queue, Mode, Viewer, WaitQueue};
use crate::{error, limits, wire};

/// How far the handshake is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No hello yet.
    Fresh,
    /// The driver has taken these features.
    Agreed(u64),
    /// The control file is closed.
    Closed,
}

/// What the connection's lock guards, with the [`kernel::sync::LockedBy`] parts of devices, files
/// and requests.
pub(crate) struct Inner {
    phase: Phase,
    /// The greeting has been read.
    pub(crate) greeted: bool,
    /// The last number given to a request or a file.
    last: u64,
    /// What the driver has yet to see, in order.
    pub(crate) queue: RBTree<u64, Arc<Request>>,
    /// What the driver has yet to answer.
    pub(crate) sent: RBTree<u64, Arc<Request>>,
    /// Requests whose callers have a signal the driver has yet to hear of.
    pub(crate) interrupts: RBTree<u64, Arc<Request>>,
    devices: RBTree<u64, Arc<Device>>,
    device_count: u32,
    /// Files the driver knows of, until it has taken their release.
    files: RBTree<u64, Arc<Handle>>,
    load: Load,
    /// Clients that wait until the load is less.
    waiting: u32,
    /// Readers that are to return with [`operation::NUDGED`](crate::wire::operation::NUDGED).
    pub(crate) nudges: u32,
}

/// A driver's connection.
#[pin_data]
pub(crate) struct Connection {
    #[pin]
    inner: SpinLock<Inner>,
    /// The driver's threads that wait for a request, and who polls the control file.
    #[pin]
    pub(crate) arrivals: WaitQueue,
    /// Clients that wait until the load is less.
    #[pin]
    room: WaitQueue,
    viewer: Viewer,
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

    /// Whether the driver has taken `feature`.
    pub(crate) fn has(&self, feature: u64) -> bool {
        matches!(self.phase, Phase::Agreed(features) if features & feature != 0)
    }

    /// Whether the driver would get something by a read.
    pub(crate) fn has_message(&self) -> bool {
        !self.greeted
            || self.nudges != 0
            || !self.interrupts.is_empty()
            || !self.queue.is_empty()
    }

    /// Has one reader more return. They need not be counted beyond what a number holds.
    pub(crate) fn add_nudge(&mut self) {
        self.nudges = self.nudges.saturating_add(1);
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
            load: Load::default(),
            waiting: 0,
            nudges: 0,
        };
        Arc::pin_init(
            pin_init!(Self {
                inner <- new_spinlock!(inner, "fusd_connection"),
                arrivals <- new_wait_queue!(c"fusd_arrivals"),
                room <- new_wait_queue!(c"fusd_room"),
                viewer,
            }),
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
        inner.phase = Phase::Agreed(hello.features);
        Ok(())
    }

    /// # Errors
    /// `EPROTO`: no hello yet.
    pub(crate) fn ensure_agreed(&self) -> Result {
        match self.lock().phase {
            Phase::Agreed(_) => Ok(()),
            Phase::Fresh | Phase::Closed => Err(error::eproto()),
        }
    }

    /// Has one reader return, now or when it comes.
    pub(crate) fn nudge(&self) {
        self.lock().add_nudge();
        self.arrivals.wake_one();
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
        Ok(())
    }

    /// Takes out the device the driver calls `number`: nobody gets to it any more. Only one caller
    /// gets it, and has to end it.
    pub(crate) fn remove_device(&self, number: u64) -> Option<Arc<Device>> {
        let node = {
            let mut inner = self.lock();
            let node = inner.devices.remove_node(&number)?;
            inner.device_count = inner.device_count.saturating_sub(1);
            let (_, device) = node.to_key_value();
            device.state.access_mut(&mut inner).live = false;
            device
        };
        Some(node)
    }

    /// The file that the driver calls `id`.
    pub(crate) fn file(&self, id: u64) -> Option<Arc<Handle>> {
        self.lock().files.get(&id).cloned()
    }

    /// Makes `handle` known to the driver and queues the request that opens it.
    ///
    /// # Errors
    /// `ENOENT`: the device is gone. `ENFILE`: too many files are open on it.
    pub(crate) fn queue_open(&self, request: &Arc<Request>, slot: Slot) -> Result {
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
        Self::push(&mut inner, request, slot);
        drop(inner);
        self.arrivals.wake_one();
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
    pub(crate) fn queue(&self, request: &Arc<Request>, slot: Slot) -> Result {
        let mut inner = self.lock();
        if !inner.serves(request.handle.device()) {
            return Err(EPIPE);
        }
        Self::push(&mut inner, request, slot);
        drop(inner);
        self.arrivals.wake_one();
        Ok(())
    }

    fn push(inner: &mut Inner, request: &Arc<Request>, slot: Slot) {
        let id = inner.new_number();
        let state = request.state.access_mut(inner);
        state.id = id;
        state.stage = Stage::Queued;
        inner.queue.insert(slot.into_node(id, request.clone()));
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
                    self.arrivals.wake_one();
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
        let nodes = (inner.queue.remove_node(&id), inner.sent.remove_node(&id));
        drop(inner);
        drop(nodes);
        true
    }

    /// What a woken client finds.
    pub(crate) fn result(&self, request: &Arc<Request>) -> Option<Next> {
        let mut inner = self.lock();
        let state = request.state.access_mut(&mut inner);
        match state.stage {
            Stage::Asked => {
                state.stage = Stage::Copying;
                state.job.take().map(Next::Copy)
            }
            Stage::Done => state.outcome.take().map(Next::End),
            _ => None,
        }
    }

    /// Ends what is under way on `device`, or on all of them: blocked calls fail with `EPIPE`, and
    /// polls report it. To be called once nothing new can come.
    pub(crate) fn fail(&self, device: Option<&Device>) {
        let concerns = |request: &Request| {
            device.is_none_or(|device| core::ptr::eq(request.handle.device(), device))
        };
        self.fail_tree(|inner| &mut inner.queue, concerns);
        self.fail_tree(|inner| &mut inner.sent, concerns);
        self.fail_tree(
            |inner| &mut inner.interrupts,
            |request| {
                // A request that is interrupted has been ended above.
                concerns(request)
            },
        );
        self.room.wake_all();
        let mut next = 0;
        while let Some(handle) = self.file_from(next) {
            next = handle.id().wrapping_add(1);
            if device.is_none_or(|device| core::ptr::eq(handle.device(), device)) {
                handle.hang_up();
            }
        }
    }

    /// The first file whose number is at least `from`.
    fn file_from(&self, from: u64) -> Option<Arc<Handle>> {
        let inner = self.lock();
        let cursor = inner.files.cursor_lower_bound(&from)?;
        let (_, handle) = cursor.current();
        Some(handle.clone())
    }

    /// Takes everything out of a tree that `concerns` says, and ends it.
    fn fail_tree(
        &self,
        tree: impl Fn(&mut Inner) -> &mut RBTree<u64, Arc<Request>>,
        concerns: impl Fn(&Request) -> bool,
    ) {
        let mut next = 0;
        loop {
            let mut inner = self.lock();
            let Some((id, request)) = find(tree(&mut inner), next, &concerns) else {
                return;
            };
            next = id.wrapping_add(1);
            let node = tree(&mut inner).remove_node(&id);
            let mut file = None;
            if request.notice {
                file = request.noticed(&mut inner);
            } else {
                let state = request.state.access_mut(&mut inner);
                if !matches!(state.stage, Stage::Done | Stage::Abandoned) {
                    state.stage = Stage::Done;
                    state.outcome = Some(Err(EPIPE));
                    request.call_attention();
                }
            }
            drop(inner);
            drop((node, file));
            request.wake();
        }
    }

    /// The control file is closed: everything ends.
    pub(crate) fn close(&self) {
        self.lock().phase = Phase::Closed;
        self.fail(None);
        while let Some(number) = self.first_device() {
            if let Some(device) = self.remove_device(number) {
                device.end();
            }
        }
    }

    /// How many devices, requests in the queue, and requests without an answer there are.
    pub(crate) fn counts(&self) -> (u32, usize, usize) {
        let inner = self.lock();
        let count = |tree: &RBTree<u64, Arc<Request>>| tree.keys().count();
        (inner.device_count, count(&inner.queue), count(&inner.sent))
    }

    /// What is going on on `device`.
    pub(crate) fn activity(&self, device: &Device) -> Activity {
        let inner = self.lock();
        let concerns =
            |request: &Request| !request.notice && core::ptr::eq(request.handle.device(), device);
        let since = |tree| find(tree, 0, concerns).map(|(_, request)| request.since);
        let state = device.state.access(&inner);
        let oldest = match (since(&inner.sent), since(&inner.queue)) {
            (Some(sent), Some(queued)) => Some(if (sent - queued).is_negative() {
                sent
            } else {
                queued
            }),
            (sent, queued) => sent.or(queued),
        };
        Activity {
            files: state.files,
            requests: state.load.requests(),
            oldest,
        }
    }

    fn first_device(&self) -> Option<u64> {
        let inner = self.lock();
        let cursor = inner.devices.cursor_front()?;
        Some(*cursor.current().0)
    }
}

/// What is going on on a device.
pub(crate) struct Activity {
    /// Files open.
    pub(crate) files: u32,
    /// Requests under way.
    pub(crate) requests: u32,
    /// When the oldest of them was made.
    pub(crate) oldest: Option<Instant<Monotonic>>,
}

/// The first request in `tree` from `from` on that `concerns` says.
fn find(
    tree: &RBTree<u64, Arc<Request>>,
    from: u64,
    concerns: impl Fn(&Request) -> bool,
) -> Option<(u64, Arc<Request>)> {
    let mut from = from;
    loop {
        let cursor = tree.cursor_lower_bound(&from)?;
        let (id, request) = cursor.current();
        if concerns(request) {
            return Some((*id, request.clone()));
        }
        from = id.wrapping_add(1);
    }
}

/// A request's place within the limits, taken before memory is, given back when the call is over.
pub(crate) struct Admission<'a> {
    handle: &'a Handle,
    bytes: u64,
}

impl<'a> Admission<'a> {
    /// Waits for a place for a request on `handle` that moves `bytes` bytes.
    ///
    /// # Errors
    /// `EPIPE`: the device is gone. `ERESTARTSYS`: a signal.
    pub(crate) fn new(handle: &'a Handle, bytes: u64) -> Result<Self> {
        // CAST: widens.
        let bytes = bytes.saturating_add(core::mem::size_of::<Request>() as u64);
        let connection = handle.device().connection();
        let admit = |first: bool| {
            let mut inner = connection.lock();
            if !inner.serves(handle.device()) {
                return Some(Err(EPIPE));
            }
            let free = inner.load.admits(Cap::of_connection(), bytes)
                && handle
                    .device()
                    .state
                    .access(&inner)
                    .load
                    .admits(Cap::of_device(), bytes)
                && handle.load.access(&inner).admits(Cap::of_file(), bytes);
            if !free {
                if first {
                    inner.waiting = inner.waiting.saturating_add(1);
                }
                return None;
            }
            inner.load.add(bytes);
            handle.device().state.access_mut(&mut inner).load.add(bytes);
            handle.load.access_mut(&mut inner).add(bytes);
            Some(Ok(()))
        };
        let result = match admit(true) {
            Some(result) => result,
            None => {
                let result = connection.room.wait(Mode::Interruptible, || admit(false));
                let mut inner = connection.lock();
                inner.waiting = inner.waiting.saturating_sub(1);
                result.unwrap_or(Err(ERESTARTSYS))
            }
        };
        result.map(|()| Self { handle, bytes })
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let connection = self.handle.device().connection();
        let mut inner = connection.lock();
        inner.load.remove(self.bytes);
        let device = &mut self.handle.device().state.access_mut(&mut inner).load;
        device.remove(self.bytes);
        self.handle.load.access_mut(&mut inner).remove(self.bytes);
        let waiting = inner.waiting != 0;
        drop(inner);
        if waiting {
            connection.room.wake_all();
        }
    }
}
