// SPDX-License-Identifier: GPL-2.0-only

//! A call of a client on its way to the driver and back, as the client sees it: it waits, may be
//! interrupted, may be killed, and copies its own memory for the driver while it waits.

use kernel::{
    prelude::*,
    rbtree::RBTreeNodeReservation,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc, ArcBorrow, LockedBy, UniqueArc,
    },
    uaccess::{UserPtr, UserSlice},
};

use crate::bytes::{Bytes, FEW};
use crate::connection::{Connection, Guard, Inner};
use crate::handle::Handle;
use crate::sys::{sleep, Caller, Mode, Sleeper, Ticks};
use crate::wire;

/// A node for one of a connection's trees, allocated ahead: none is under the spinlock.
pub(crate) type Slot = RBTreeNodeReservation<u64, Arc<Request>>;

/// A request that is over and that nobody else holds, and its place in a tree, to be used again: less
/// work than new ones.
pub(crate) struct Spare {
    /// The request.
    pub(crate) request: Pin<UniqueArc<Request>>,
    /// The place.
    pub(crate) slot: Slot,
}

/// The fixed part of a request: at most an ioctl's.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    bytes: [u8; wire::Ioctl::SIZE],
    length: usize,
}

impl Body {
    /// `fixed`, which is no longer than an ioctl's part.
    pub(crate) fn new<const LENGTH: usize>(fixed: &[u8; LENGTH]) -> Self {
        const { assert!(LENGTH <= wire::Ioctl::SIZE) };
        let mut bytes = [0; wire::Ioctl::SIZE];
        if let Some(first) = bytes.first_chunk_mut() {
            *first = *fixed;
        }
        Self {
            bytes,
            length: LENGTH,
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The bytes, and zeros to the full length.
    pub(crate) fn padded(&self) -> &[u8; wire::Ioctl::SIZE] {
        &self.bytes
    }
}

/// What a client wants of the driver.
pub(crate) struct Ask {
    /// One of [`wire::operation`].
    pub(crate) operation: u16,
    /// `REQUEST_` flags.
    pub(crate) flags: u16,
    /// The file's flags as they are now.
    pub(crate) open_flags: u32,
    /// The fixed part.
    pub(crate) body: Body,
    /// What follows it.
    pub(crate) data: Bytes,
    /// Bytes the answer may carry.
    pub(crate) capacity: u32,
    /// Room for them, if not in memory that is yet to be taken.
    pub(crate) landing: Bytes,
    /// The driver is only told: nobody waits, and there is no number for an answer.
    pub(crate) notice: bool,
}

impl Ask {
    /// How many bytes go to the driver and may come back.
    pub(crate) fn bytes(&self) -> u64 {
        // CAST: widens.
        (self.data.len() as u64).saturating_add(self.capacity.into())
    }

    /// Whether these need no memory.
    pub(crate) fn is_small(&self) -> bool {
        // CAST: widens.
        self.capacity as usize <= FEW
            && matches!(self.data, Bytes::Empty | Bytes::Few { .. })
            && matches!(self.landing, Bytes::Empty)
    }
}

/// What goes into a request as it is queued.
#[derive(Default)]
pub(crate) struct Start {
    data: Bytes,
    landing: Bytes,
    sleeper: Option<Sleeper>,
}

impl Start {
    /// Makes it that of a request of the current task.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn prepare(&mut self, ask: &mut Ask) -> Result {
        self.landing = match core::mem::take(&mut ask.landing) {
            // CAST: widens.
            Bytes::Empty => Bytes::with_capacity(ask.capacity as usize, GFP_KERNEL_ACCOUNT)?,
            landing => landing,
        };
        self.data = core::mem::take(&mut ask.data);
        self.sleeper = Some(Sleeper::current());
        Ok(())
    }
}

/// What the driver answered.
pub(crate) struct Outcome {
    /// As of [`wire::Reply::value`].
    pub(crate) value: u64,
    /// What came with it, at most [`Ask::capacity`] bytes.
    pub(crate) data: Bytes,
}

/// Where a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not under way yet.
    New,
    /// In the queue.
    Queued,
    /// The driver has it.
    Delivered,
    /// The driver's answer is being copied; nobody else may answer.
    Answering,
    /// The driver wants [`State::job`] done; the client has not begun.
    Asked,
    /// The client copies.
    Copying,
    /// [`State::end`] is there, or has been taken.
    Done,
    /// The client has gone.
    Abandoned,
}

/// A copy from or to the caller's memory.
pub(crate) struct Job {
    /// Where, in the caller's memory.
    pub(crate) address: u64,
    /// Empty for a copy in; the bytes for a copy out.
    pub(crate) data: Bytes,
    /// Bytes.
    pub(crate) length: u32,
    /// The direction.
    pub(crate) out: bool,
}

/// The changing part of a request, under the connection's lock.
pub(crate) struct State {
    /// Its number on the connection; 0 before it is queued.
    pub(crate) id: u64,
    /// Where it is.
    pub(crate) stage: Stage,
    /// The driver has seen it: it must not be taken back unseen.
    pub(crate) begun: bool,
    /// The driver is, or will be, told of a signal.
    pub(crate) told: bool,
    /// The seat whose driver has it, or had it last; 0 for none.
    pub(crate) seat: u64,
    /// Another driver had it, which is gone.
    pub(crate) again: bool,
    /// The driver is just getting it: its data are elsewhere, and come back.
    pub(crate) sending: bool,
    /// How the last copy ended, while the driver has yet to hear of it.
    pub(crate) copied: Option<u32>,
    /// To the driver.
    pub(crate) data: Bytes,
    /// Room for the driver's data, the client's own or charged to it; then the data.
    pub(crate) landing: Bytes,
    /// What the driver wants copied.
    pub(crate) job: Option<Job>,
    /// The end of it: an error, or the driver's value.
    pub(crate) end: Option<Result<u64>>,
    /// It was ended because it would wait for itself.
    pub(crate) broken: bool,
    /// Its place in the trees, which it has left: answered, it is in none.
    pub(crate) slot: Option<Slot>,
    /// The client, unless nobody waits. It stays valid without the lock, where it is woken.
    sleeper: Option<Sleeper>,
}

impl State {
    /// Of a request that is not under way.
    fn idle() -> Self {
        Self {
            id: 0,
            stage: Stage::New,
            begun: false,
            told: false,
            seat: 0,
            again: false,
            sending: false,
            copied: None,
            data: Bytes::Empty,
            landing: Bytes::Empty,
            job: None,
            end: None,
            broken: false,
            slot: None,
            sleeper: None,
        }
    }

    /// Of one that begins. Nothing is freed here, under the lock: the request is new, or the last
    /// call made with it was answered, and has taken all there was.
    #[inline(always)]
    pub(crate) fn begin(&mut self, start: &mut Start) {
        self.reset();
        self.data = core::mem::take(&mut start.data);
        self.landing = core::mem::take(&mut start.landing);
        self.sleeper = start.sleeper.take();
    }

    /// Likewise, of one of the current task that needs no memory ([`Ask::is_small`]).
    #[inline(always)]
    pub(crate) fn begin_small(&mut self, ask: &mut Ask) {
        self.reset();
        if !matches!(ask.data, Bytes::Empty) {
            self.data = core::mem::take(&mut ask.data);
        }
        // CAST: widens.
        self.landing.make_room(ask.capacity as usize);
        self.sleeper = Some(Sleeper::current());
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.begun = false;
        self.told = false;
        self.seat = 0;
        self.again = false;
        self.sending = false;
    }

    /// The client, if somebody waits.
    pub(crate) fn waiter(&self) -> Option<Sleeper> {
        self.sleeper.as_ref().map(Sleeper::again)
    }

    /// Whether a driver has it, and has not answered.
    pub(crate) fn is_with_driver(&self) -> bool {
        matches!(
            self.stage,
            Stage::Delivered | Stage::Answering | Stage::Asked | Stage::Copying
        )
    }

    /// What the driver wants copied, if it does.
    fn begin_copy(&mut self) -> Option<Job> {
        if self.stage != Stage::Asked {
            return None;
        }
        self.stage = Stage::Copying;
        self.job.take()
    }

    /// The client does not wait any more: nobody is to keep its task. To be dropped unlocked.
    pub(crate) fn leave(&mut self) -> Option<Sleeper> {
        self.sleeper.take()
    }

    /// How it ended, for its client; to be asked once. Of a failure, what there was room for stays.
    pub(crate) fn outcome(&mut self) -> Result<Outcome> {
        Ok(Outcome {
            value: self.end.take().unwrap_or(Err(EIO))?,
            data: core::mem::take(&mut self.landing),
        })
    }

    /// Likewise, of one that needed no memory: the room stays.
    #[inline(always)]
    pub(crate) fn small_outcome(&mut self) -> Result<Outcome> {
        Ok(Outcome {
            value: self.end.take().unwrap_or(Err(EIO))?,
            data: self.landing.copy_small(),
        })
    }
}

/// A call of a client.
pub(crate) struct Request {
    /// The file it was made on.
    pub(crate) handle: Arc<Handle>,
    /// As of [`Ask`].
    pub(crate) operation: u16,
    /// As of [`Ask`].
    pub(crate) flags: u16,
    /// As of [`Ask`].
    pub(crate) open_flags: u32,
    /// As of [`Ask`].
    pub(crate) body: Body,
    /// As of [`Ask`].
    pub(crate) capacity: u32,
    /// As of [`Ask`].
    pub(crate) notice: bool,
    /// Who called.
    pub(crate) caller: Caller,
    /// When.
    pub(crate) since: Ticks,
    /// The rest.
    pub(crate) state: LockedBy<State, Inner>,
    /// The client is to look at the state: set under the lock, with `Done` or `Asked`.
    attention: Atomic<bool>,
}

impl Request {
    /// A request that nobody knows of yet.
    pub(crate) fn new(handle: ArcBorrow<'_, Handle>, ask: &Ask) -> Result<Arc<Self>> {
        let connection = handle.device().connection();
        let request = Self {
            operation: ask.operation,
            flags: ask.flags,
            open_flags: ask.open_flags,
            body: ask.body,
            capacity: ask.capacity,
            notice: ask.notice,
            caller: connection.viewer().caller(),
            since: Ticks::now(),
            state: LockedBy::new(connection.lock_of_state(), State::idle()),
            attention: Atomic::new(false),
            handle: handle.into(),
        };
        Ok(Arc::new(request, GFP_KERNEL_ACCOUNT)?)
    }

    /// Likewise, of `caller`, out of one that was answered, which was made on the same file.
    #[inline(always)]
    pub(crate) fn again(spare: Pin<UniqueArc<Self>>, ask: &Ask, caller: Caller) -> Arc<Self> {
        let mut spare = Pin::into_inner(spare);
        let request: &mut Self = &mut spare;
        request.operation = ask.operation;
        request.flags = ask.flags;
        request.open_flags = ask.open_flags;
        request.body = ask.body;
        request.capacity = ask.capacity;
        request.notice = ask.notice;
        request.caller = caller;
        request.since = Ticks::now();
        request.attention = Atomic::new(false);
        spare.into()
    }

    /// Says that there is something to look at. Under the lock; the client is to be woken without
    /// it, so that it does not run into it.
    pub(crate) fn call_attention(&self, state: &mut State) -> Option<Sleeper> {
        self.attention.store(true, Release);
        match state.stage {
            Stage::Done => state.sleeper.take(),
            _ => state.sleeper.as_ref().map(Sleeper::again),
        }
    }

    /// Waits for the answer of a request that has been queued on `connection`. Returns with its lock
    /// taken, for [`State::outcome`].
    ///
    /// A signal takes back what the driver has not seen (`ERESTARTSYS`: the call has not begun).
    /// Of what the driver has, it is told, and the client waits on: the answer would be lost
    /// otherwise. Only a signal that kills ends that wait; an answer then comes too late.
    pub(crate) fn wait<'a>(self: &Arc<Self>, connection: &'a Connection) -> Result<Guard<'a>> {
        let mut mode = Mode::Interruptible;
        loop {
            let woken = sleep(mode, || self.attention.load(Acquire));
            if woken.is_err() {
                match mode {
                    Mode::Interruptible => {
                        if connection.take_back(self) {
                            return Err(ERESTARTSYS);
                        }
                        mode = Mode::Killable;
                    }
                    Mode::Killable => {
                        if connection.abandon(self) {
                            return Err(EINTR);
                        }
                    }
                }
                // Either it goes on, or the answer has come in between.
                continue;
            }
            self.attention.store(false, Release);
            let mut inner = connection.lock();
            let state = self.state.access_mut(&mut inner);
            if state.stage == Stage::Done {
                return Ok(inner);
            }
            let job = state.begin_copy();
            drop(inner);
            if let Some(job) = job {
                let (error, data) = job.run();
                connection.copied(self, error, data);
            }
        }
    }
}

impl Job {
    /// Copies, in the client's own context: its own memory, its own page faults, its own limits.
    /// Returns the errno, 0 if all went well, and the bytes of a copy in.
    fn run(mut self) -> (u32, Bytes) {
        let result = self.copy();
        let error = result.map_or_else(crate::error::to_errno, |()| 0);
        if self.out || error != 0 {
            self.data.clear();
        }
        (error, self.data)
    }

    fn copy(&mut self) -> Result {
        let address = usize::try_from(self.address).map_err(|_| EFAULT)?;
        let length = usize::try_from(self.length).map_err(|_| EFAULT)?;
        let memory = UserSlice::new(UserPtr::from_addr(address), length);
        if self.out {
            memory.writer().write_slice(self.data.as_slice())
        } else {
            self.data = Bytes::with_capacity(length, GFP_KERNEL_ACCOUNT)?;
            self.data.read(memory, length)
        }
    }
}
