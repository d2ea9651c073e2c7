// SPDX-License-Identifier: GPL-2.0-only

//! A function that is called now and then, in a thread of the kernel's.

use kernel::{
    bindings, container_of, prelude::*, sync::LockClassKey, time::msecs_to_jiffies, types::Opaque,
};

use super::Ticks;

/// The function, and when it is called: a `struct delayed_work`.
pub(crate) struct Ticker {
    work: Opaque<bindings::delayed_work>,
    /// Gets by how many milliseconds it is called too late, and returns after how many it is to be called
    /// again; 0 for no more.
    run: fn(u32) -> u32,
}

// SAFETY: work is made to be queued by any thread; nothing else changes.
unsafe impl Sync for Ticker {}

impl Ticker {
    /// One that is never called before [`Self::start`].
    ///
    /// # Safety
    /// [`Self::init`] must be called before any other method.
    pub(crate) const unsafe fn new(run: fn(u32) -> u32) -> Self {
        Self {
            work: Opaque::uninit(),
            run,
        }
    }

    /// Makes it ready. The keys are for lockdep.
    ///
    /// # Safety
    /// To be called once.
    pub(crate) unsafe fn init(
        &'static self,
        name: &'static CStr,
        keys: [Pin<&'static LockClassKey>; 2],
    ) {
        let [work, timer] = keys;
        let this = self.work.get();
        // SAFETY: the place is valid for ever, and by this function's contract nobody else uses it
        // now; name and keys live for ever. The timer is the one of delayed work (`INIT_DELAYED_WORK`).
        unsafe {
            bindings::init_work_with_key(
                &raw mut (*this).work,
                Some(Self::tick),
                false,
                name.as_char_ptr(),
                work.as_ptr(),
            );
            bindings::timer_init_key(
                &raw mut (*this).timer,
                Some(bindings::delayed_work_timer_fn),
                bindings::TIMER_IRQSAFE,
                name.as_char_ptr(),
                timer.as_ptr(),
            );
        }
    }

    /// Has the function called in so many milliseconds, unless it is to be called before.
    pub(crate) fn start(&'static self, millis: u32) {
        // SAFETY: the work is ready (`new`), and stays. The kernel's own queue is always there.
        unsafe {
            bindings::queue_delayed_work_on(
                // CAST: the number of processors.
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_dfl_wq,
                self.work.get(),
                msecs_to_jiffies(millis),
            )
        };
    }

    /// Ends it: when this returns, the function does not run, and is not to be called.
    pub(crate) fn stop(&'static self) {
        // SAFETY: the work is ready (`new`).
        unsafe { bindings::cancel_delayed_work_sync(self.work.get()) };
    }

    /// The work.
    ///
    /// # Safety
    /// To be called for the work of a ticker.
    unsafe extern "C" fn tick(work: *mut bindings::work_struct) {
        // SAFETY: by the contract of this function.
        let delayed = unsafe { container_of!(work, bindings::delayed_work, work) };
        let place: *mut Opaque<bindings::delayed_work> = delayed.cast();
        // SAFETY: likewise. Tickers are queued where they stay for ever (`start`).
        let ticker: &'static Self = unsafe { &*container_of!(place, Self, work) };
        // SAFETY: the timer lies in the work, which stays. It may be set anew at this moment, by `start`:
        // hence volatile. A number for the next time makes it seem very late.
        let due = unsafe { (&raw const (*delayed).timer.expires).read_volatile() };
        match (ticker.run)(Ticks::at(due).millis_ago()) {
            0 => {}
            millis => ticker.start(millis),
        }
    }
}
