// SPDX-License-Identifier: GPL-2.0-only

//! A queue of sleeping threads, and the waits the module needs: for a condition, ended by any
//! signal or by a fatal one alone. (`kernel::sync::CondVar` cannot be killed without being
//! interrupted, and wakes one thread at a time.)

use kernel::{bindings, fs::File, prelude::*, sync::LockClassKey, types::Opaque};

use super::PollTable;

/// What ends a wait before its condition holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Any signal.
    Interruptible,
    /// A signal that kills.
    Killable,
}

impl Mode {
    /// The task's state. A sleeping client must not keep a suspend from freezing it, and it may
    /// hold locks of the kernel's meanwhile (`f_pos_lock`): lockdep must be told that this is
    /// meant (`TASK_FREEZABLE_UNSAFE`, include/linux/sched.h).
    pub(super) fn state(self) -> c_int {
        const UNSAFE: u32 = if cfg!(CONFIG_LOCKDEP) { 0x4000 } else { 0 };
        let state = match self {
            Self::Interruptible => bindings::TASK_INTERRUPTIBLE,
            Self::Killable => bindings::TASK_KILLABLE,
        };
        // CAST: a handful of low bits.
        (state | bindings::TASK_FREEZABLE | UNSAFE) as c_int
    }

    /// Whether the current task has such a signal (`signal_pending_state`).
    pub(super) fn has_come(self) -> bool {
        let task = kernel::current!();
        if !task.signal_pending() {
            return false;
        }
        match self {
            Self::Interruptible => true,
            Self::Killable => {
                // SAFETY: the task is the current one. Others may set bits meanwhile, under a lock
                // that `__fatal_signal_pending` does not take either: hence volatile.
                let first =
                    unsafe { (&raw const (*task.as_ptr()).pending.signal.sig[0]).read_volatile() };
                first & (1 << (bindings::SIGKILL - 1)) != 0
            }
        }
    }
}

/// A signal came first.
pub(crate) struct Interrupted;

/// A `struct wait_queue_head`.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: a wait queue is made to be used by many threads; its own lock orders them.
unsafe impl Send for WaitQueue {}
// SAFETY: as above.
unsafe impl Sync for WaitQueue {}

/// Makes a [`WaitQueue`] with a lock class of its own.
macro_rules! new_wait_queue {
    ($name:literal) => {
        $crate::sys::WaitQueue::new($name, ::kernel::static_lock_class!())
    };
}
pub(crate) use new_wait_queue;

impl WaitQueue {
    /// An empty queue. `name` and `key` are for lockdep.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for the call; name and key live for ever.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }

    /// Waits until `ready` gives something. It must not sleep.
    pub(crate) fn wait<T>(
        &self,
        mode: Mode,
        ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Interrupted> {
        self.wait_as(mode, 0, ready)
    }

    /// Likewise, in a line with others of whom each [`Self::wake_one`] takes one. Who returns with
    /// nothing because of a signal has looked at the condition after it left the line, so no
    /// wake-up is lost with it (`prepare_to_wait_event`).
    pub(crate) fn wait_in_line<T>(
        &self,
        mode: Mode,
        ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Interrupted> {
        // CAST: the flag is 1.
        self.wait_as(mode, bindings::WQ_FLAG_EXCLUSIVE as c_int, ready)
    }

    fn wait_as<T>(
        &self,
        mode: Mode,
        flags: c_int,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Interrupted> {
        if let Some(value) = ready() {
            return Ok(value);
        }
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: `entry` is this frame's own, and this function leaves no trace of it in the
        // queue: `finish_wait` takes it out below.
        unsafe { bindings::init_wait_entry(entry.get(), flags) };
        let result = loop {
            // SAFETY: `head` is initialised and pinned; `entry` was initialised above.
            let signal = unsafe {
                bindings::prepare_to_wait_event(self.head.get(), entry.get(), mode.state())
            };
            if let Some(value) = ready() {
                break Ok(value);
            }
            if signal != 0 {
                break Err(Interrupted);
            }
            // SAFETY: the caller is a task in a system call that holds no spinlock: every user
            // of this type calls it from a file operation or a function it calls.
            unsafe { bindings::schedule() };
            // Who was woken is out of the queue already (`autoremove_wake_function`) and awake: if
            // there is something, it need not get into line again.
            if let Some(value) = ready() {
                break Ok(value);
            }
        };
        // SAFETY: as for `prepare_to_wait_event`.
        unsafe { bindings::finish_wait(self.head.get(), entry.get()) };
        result
    }

    /// Whether nobody waits, as far as that can be said without the lock (`waitqueue_active`): who got in
    /// before a barrier is seen after it.
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: `head` is initialised and pinned. Others link entries at any time: hence volatile.
        unsafe {
            let list = &raw const (*self.head.get()).head;
            core::ptr::eq((&raw const (*list).next).read_volatile(), list)
        }
    }

    /// Wakes all that wait and one of those in line.
    pub(crate) fn wake_one(&self) {
        self.wake(1, 0);
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        self.wake(0, 0);
    }

    /// Wakes those who wait, and polls for one of `events` (bits of poll(2)).
    pub(crate) fn wake_polls(&self, events: u32) {
        self.wake(0, events);
    }

    fn wake(&self, count: c_int, key: u32) {
        // The key is no address: a number that travels as a pointer (poll_to_key, wait.h). 0
        // means every event.
        let key = core::ptr::without_provenance_mut::<c_void>(key as usize);
        // SAFETY: `head` is initialised and pinned.
        unsafe { bindings::__wake_up(self.head.get(), bindings::TASK_NORMAL, count, key) };
    }

    /// Has a poll of `file` woken by this queue.
    ///
    /// The queue must live as long as `file`: epoll and poll let go of it at the latest when the
    /// file is released (`__fput`, eventpoll_release).
    pub(crate) fn register_poll(&self, file: &File, table: &PollTable<'_>) {
        // SAFETY: all three are valid for the call; the queue outlives the file, as every user of
        // this method owns it from what is in the file's private data.
        unsafe { bindings::poll_wait(file.as_ptr(), self.head.get(), table.as_ptr()) };
    }
}
