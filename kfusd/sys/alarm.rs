// SPDX-License-Identifier: GPL-2.0-only

//! Something to be done later, in a thread of the kernel's: one alarm for the whole module, which
//! rings once for each time it is set, and never after it is gone.

use core::marker::PhantomData;

use kernel::{bindings, prelude::*, time::msecs_to_jiffies, types::Opaque};

/// What happens when the alarm rings.
pub(crate) trait Ring: 'static {
    /// It may sleep, and set the alarm again.
    fn ring();
}

/// A `struct delayed_work` that the kernel alone touches.
struct Work(Opaque<bindings::delayed_work>);

// SAFETY: Rust code never touches what is inside, but for its address.
unsafe impl Sync for Work {}

static WORK: Work = Work(Opaque::uninit());

/// The alarm, for as long as this lives: there is one, in the module's own structure.
pub(crate) struct Alarm<R: Ring>(PhantomData<R>);

impl<R: Ring> Alarm<R> {
    /// An alarm that is not set.
    pub(crate) fn new() -> Self {
        let work = WORK.0.get();
        let key = kernel::static_lock_class!();
        // SAFETY: the memory is static, and nobody has set the alarm yet: `Alarm` is made by the
        // module's init, before there is a node.
        unsafe {
            bindings::init_work_with_key(
                &raw mut (*work).work,
                Some(Self::ring),
                false,
                c"fusd_alarm".as_char_ptr(),
                key.as_ptr(),
            );
        }
        let key = kernel::static_lock_class!();
        // SAFETY: as above; the function is the one for the timer of such a work
        // (`__INIT_DELAYED_WORK`, include/linux/workqueue.h).
        unsafe {
            bindings::timer_init_key(
                &raw mut (*work).timer,
                Some(bindings::delayed_work_timer_fn),
                bindings::TIMER_IRQSAFE,
                c"fusd_alarm_timer".as_char_ptr(),
                key.as_ptr(),
            );
        }
        Self(PhantomData)
    }

    /// The work's function.
    ///
    /// # Safety
    /// To be called by the workqueue.
    unsafe extern "C" fn ring(_work: *mut bindings::work_struct) {
        R::ring();
    }
}

impl<R: Ring> Drop for Alarm<R> {
    fn drop(&mut self) {
        // SAFETY: `new` initialised it. When this returns it neither rings nor will, though it may
        // have set itself again.
        unsafe { bindings::cancel_delayed_work_sync(WORK.0.get()) };
    }
}

/// Has the alarm ring at once.
///
/// To be called while the [`Alarm`] lives: by what is done with an open control file (which keeps the
/// module from going), and by what rings.
pub(crate) fn ring_now() {
    // SAFETY: the work is initialised, as the control node came after that. The queue is the
    // kernel's, for works that take their time.
    unsafe {
        bindings::mod_delayed_work_on(
            // CAST: a small number.
            bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
            bindings::system_dfl_long_wq,
            WORK.0.get(),
            0,
        );
    }
}

/// Has the alarm ring in `millis` milliseconds, unless it is set already. As for [`ring_now`].
pub(crate) fn ring_in(millis: u32) {
    // SAFETY: as above.
    unsafe {
        bindings::queue_delayed_work_on(
            // CAST: a small number.
            bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
            bindings::system_dfl_long_wq,
            WORK.0.get(),
            msecs_to_jiffies(millis),
        );
    }
}
