// SPDX-License-Identifier: GPL-2.0-only

//! A task that sleeps until one thing has happened, and the reference by which another one wakes
//! it. That is a wait queue with one place, without the queue: its lock would be taken six times.

use kernel::{bindings, prelude::*, sync::aref::ARef, sync::barrier::smp_mb, task::Task};

use super::wait::{Interrupted, Mode};
use super::Worker;

/// A task that sleeps, or may have woken up long ago.
pub(crate) struct Sleeper(ARef<Task>);

impl Sleeper {
    /// The current task, which is going to [`sleep`].
    pub(crate) fn current() -> Self {
        Self(ARef::from(&**kernel::current!()))
    }

    /// Wakes it. To be called after what it waits for has been stored. If it waits for something
    /// else by now, it looks, and sleeps on: every sleep of the kernel bears that.
    pub(crate) fn wake(&self) {
        self.0.wake_up();
    }

    /// The same task once more.
    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }

    /// The task, as a thread to be looked at.
    pub(crate) fn worker(&self) -> Worker {
        Worker::of(&self.0)
    }
}

/// Has the current task sleep until `ready`, or until a signal that `mode` tells of. `ready` must
/// not sleep.
pub(crate) fn sleep(mode: Mode, mut ready: impl FnMut() -> bool) -> Result<(), Interrupted> {
    loop {
        if ready() {
            return Ok(());
        }
        let sleepy = Sleepy::new(mode);
        if ready() {
            return Ok(());
        }
        if mode.has_come() {
            return Err(Interrupted);
        }
        sleep_now(sleepy);
    }
}

/// The current task is about to sleep. What was stored before a wake-up that came before this was made is
/// seen after it: here is a barrier between the two (`set_state`), there is one as well
/// (`try_to_wake_up`). Dropped, it does not sleep after all.
pub(super) struct Sleepy(());

impl Sleepy {
    #[inline(always)]
    pub(super) fn new(mode: Mode) -> Self {
        set_state(mode.state());
        Self(())
    }
}

impl Drop for Sleepy {
    #[inline(always)]
    fn drop(&mut self) {
        set_state(bindings::TASK_RUNNING as c_int);
    }
}

/// Sleeps until the next wake-up, unless it has come.
#[inline(always)]
pub(super) fn sleep_now(sleepy: Sleepy) {
    // It returns running.
    core::mem::forget(sleepy);
    // SAFETY: the caller is a task in a system call that holds no spinlock: every user of this module
    // calls it from a file operation or a function it calls.
    unsafe { bindings::schedule() };
}

/// `set_current_state` (include/linux/sched.h), which is a macro.
fn set_state(state: c_int) {
    let task = kernel::current!().as_ptr();
    // SAFETY: the task is the current one. Others change its state only from sleeping to running
    // (`ttwu_state_match`, under its `pi_lock`), and read it at any time: hence volatile, as
    // WRITE_ONCE is.
    unsafe { (&raw mut (*task).__state).write_volatile(state.unsigned_abs()) };
    smp_mb();
}
