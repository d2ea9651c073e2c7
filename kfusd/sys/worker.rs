// SPDX-License-Identifier: GPL-2.0-only

//! A thread as others see it: whether it lives, whether it sleeps and for how long it has, and whose
//! it is.

use kernel::{
    bindings,
    sync::{aref::ARef, rcu},
    task::Task,
};

/// How many generations [`Worker::descends_from`] goes up.
const GENERATIONS: u32 = 64;

/// A thread. It may have ended long ago: its place is not given to another one while this is held.
pub(crate) struct Worker(ARef<Task>);

impl Worker {
    /// The current task.
    pub(crate) fn current() -> Self {
        Self(ARef::from(&**kernel::current!()))
    }

    /// What [`Self::place`] is of the current task.
    #[inline(always)]
    pub(crate) fn current_place() -> usize {
        kernel::current!().as_ptr().addr()
    }

    pub(super) fn of(task: &ARef<Task>) -> Self {
        Self(task.clone())
    }

    /// A number that no other thread has as long as this value lives.
    pub(crate) fn place(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Its process, in the initial pid namespace; 0 if it has ended.
    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.0.tgid_nr_ns(None)).unwrap_or(0)
    }

    /// Whether it has not begun to end.
    pub(crate) fn is_alive(&self) -> bool {
        // SAFETY: the task is held. It alone changes its flags, at any time: hence volatile.
        let flags = unsafe { (&raw const (*self.0.as_ptr()).flags).read_volatile() };
        flags & bindings::PF_EXITING == 0
    }

    /// Whether it sleeps so that a signal would wake it: not for a disk, and not stopped.
    pub(crate) fn is_asleep(&self) -> bool {
        // SAFETY: the task is held. Its state changes at any time: hence volatile.
        let state = unsafe { (&raw const (*self.0.as_ptr()).__state).read_volatile() };
        state & bindings::TASK_INTERRUPTIBLE != 0
    }

    /// How often it has stopped running. It has not run since if the number is the same.
    pub(crate) fn switches(&self) -> usize {
        let task = self.0.as_ptr();
        // SAFETY: the task is held. The scheduler counts at any time: hence volatile.
        let (own, forced) = unsafe {
            (
                (&raw const (*task).nvcsw).read_volatile(),
                (&raw const (*task).nivcsw).read_volatile(),
            )
        };
        own.wrapping_add(forced)
    }

    /// A number that all threads of its process have, and no others as long as this value lives.
    pub(crate) fn process(&self) -> usize {
        // SAFETY: the task is held, and keeps what it shares with its process to its own end
        // (`free_signal_struct`, by `free_task`): the pointer never changes.
        unsafe { (*self.0.as_ptr()).signal }.addr()
    }

    /// How many threads its process has, those counted that are just ending.
    pub(crate) fn threads(&self) -> usize {
        // SAFETY: as for `process`. Others count it at any time: hence volatile.
        let threads = unsafe {
            let signal = (*self.0.as_ptr()).signal;
            (&raw const (*signal).nr_threads).read_volatile()
        };
        usize::try_from(threads).unwrap_or(0)
    }

    /// Whether it is of this process ([`Self::process`]), or of a child of it, or of a child's child.
    pub(crate) fn descends_from(&self, process: usize) -> bool {
        let _read = rcu::read_lock();
        let mut task = self.0.as_ptr();
        for _ in 0..GENERATIONS {
            // SAFETY: the first task is held. The others are parents of tasks that had a number, and
            // so were not released, when they were looked at: they stay for the read section
            // (`delayed_put_task_struct`). As in `task_ppid_nr_ns`.
            unsafe {
                if (*task).signal.addr() == process {
                    return true;
                }
                if (&raw const (*task).thread_pid).read_volatile().is_null() {
                    return false;
                }
                let parent = (&raw const (*task).real_parent).read_volatile();
                if parent.is_null() || core::ptr::eq(parent, task) {
                    return false;
                }
                task = parent;
            }
        }
        false
    }
}
