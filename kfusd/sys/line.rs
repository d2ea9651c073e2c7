// SPDX-License-Identifier: GPL-2.0-only

//! Threads that wait in line for something to do, of whom each wake-up takes one, and who polls for it.
//!
//! Mostly one waits. It stands in front, where one exchange finds it, as in a `struct rcuwait`; the others
//! are in a queue behind. For one thread, a queue alone would take its lock three times.

use kernel::{
    bindings,
    fs::File,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full},
        rcu,
    },
};

use super::sleep::{sleep_now, Sleepy};
use super::wait::{new_wait_queue, Interrupted, Mode, WaitQueue};
use super::PollTable;

/// A line, and who polls.
///
/// # Invariants
/// `front` is null, or a task that is inside of [`Self::wait_in_front`].
#[pin_data]
pub(crate) struct Line {
    front: Atomic<*mut bindings::task_struct>,
    #[pin]
    behind: WaitQueue,
    #[pin]
    polls: WaitQueue,
}

/// What a thread in front finds.
enum Found<T> {
    /// Something to do.
    Value(T),
    /// Nothing, and it is no longer in front: it was woken for what somebody else has taken.
    Passed,
    /// Nothing.
    Nothing,
}

impl Line {
    /// Nobody.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            front: Atomic::new(core::ptr::null_mut()),
            behind <- new_wait_queue!(c"fusd_line"),
            polls <- new_wait_queue!(c"fusd_line_polls"),
        })
    }

    /// Waits until `ready` gives something. It must not sleep. Each [`Self::wake_one`] lets one who waits
    /// look, and none is lost: neither with who is taken by it but has found something before, nor with
    /// who is but returns with nothing because of a signal.
    pub(crate) fn wait<T>(
        &self,
        mode: Mode,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, Interrupted> {
        if let Some(value) = ready() {
            return Ok(value);
        }
        loop {
            let task = kernel::current!().as_ptr();
            let in_front = self.front.cmpxchg(core::ptr::null_mut(), task, Full);
            if in_front.is_err() {
                return self.behind.wait_in_line(mode, ready);
            }
            if let Some(result) = self.wait_in_front(task, mode, &mut ready) {
                return result;
            }
        }
    }

    /// Likewise, for the current task, which is in front, and is not any more when this returns. `None`:
    /// it was taken for nothing, and is to get in line again.
    fn wait_in_front<T>(
        &self,
        task: *mut bindings::task_struct,
        mode: Mode,
        ready: &mut impl FnMut() -> Option<T>,
    ) -> Option<Result<T, Interrupted>> {
        loop {
            let sleepy = Sleepy::new(mode);
            match self.look(task, ready) {
                Found::Value(value) => return Some(Ok(value)),
                Found::Passed => return None,
                Found::Nothing => {}
            }
            if mode.has_come() {
                drop(sleepy);
                self.step_back(task);
                // Taken or not: what this was taken for is there, or somebody else has it.
                return Some(ready().ok_or(Interrupted));
            }
            sleep_now(sleepy);
            match self.look(task, ready) {
                Found::Value(value) => return Some(Ok(value)),
                Found::Passed => return None,
                Found::Nothing => {}
            }
        }
    }

    /// Has the task in front look. It stays there only if there is nothing.
    fn look<T>(
        &self,
        task: *mut bindings::task_struct,
        ready: &mut impl FnMut() -> Option<T>,
    ) -> Found<T> {
        let taken = !core::ptr::eq(self.front.load(Acquire), task);
        match ready() {
            Some(value) => {
                // Taken only now, it was for something else than what it has: that is for another one.
                if !taken && !self.step_back(task) {
                    self.wake_one();
                }
                Found::Value(value)
            }
            None if taken => Found::Passed,
            None => Found::Nothing,
        }
    }

    /// Takes the task from the front. Returns false if it has been taken already.
    fn step_back(&self, task: *mut bindings::task_struct) -> bool {
        let front = self.front.cmpxchg(task, core::ptr::null_mut(), Full);
        front.is_ok()
    }

    /// Wakes one of those in line, and who polls. To be called after what they wait for has been stored.
    pub(crate) fn wake_one(&self) {
        // Who looks before it sleeps, and does not see what was stored, is seen here: here is a barrier
        // (`xchg`), and there is one after it got in line (`cmpxchg`, `prepare_to_wait_event`).
        if !self.wake_front() && !self.behind.is_empty() {
            self.behind.wake_one();
        }
        self.wake_polls();
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        self.wake_front();
        self.behind.wake_all();
        self.wake_polls();
    }

    fn wake_polls(&self) {
        if !self.polls.is_empty() {
            self.polls.wake_all();
        }
    }

    /// Wakes who is in front. Returns whether there is somebody.
    fn wake_front(&self) -> bool {
        let _read = rcu::read_lock();
        let task = self.front.xchg(core::ptr::null_mut(), Full);
        if task.is_null() {
            return false;
        }
        // SAFETY: by the invariant, the task had not ended when it was taken, in this read section:
        // until its end a task that has ended stays (`put_task_struct_rcu_user`).
        unsafe { bindings::wake_up_process(task) };
        true
    }

    /// Has a poll of `file` woken, as by [`WaitQueue::register_poll`].
    pub(crate) fn register_poll(&self, file: &File, table: &PollTable<'_>) {
        self.polls.register_poll(file, table);
    }
}
