// SPDX-License-Identifier: GPL-2.0-only

//! Time in ticks of the kernel's timer: a few milliseconds long, and read by one instruction where a
//! clock takes fifty.

use kernel::{
    bindings,
    time::{msecs_to_jiffies, Jiffies},
};

/// A moment.
#[derive(Clone, Copy)]
pub(crate) struct Ticks(Jiffies);

impl Ticks {
    /// This one.
    pub(crate) fn now() -> Self {
        // SAFETY: a number for all to read, which the timer's interrupt changes: hence volatile, as
        // it is in C.
        Self(unsafe { (&raw const bindings::jiffies).read_volatile() })
    }

    /// The moment of this number.
    pub(super) fn at(jiffies: Jiffies) -> Self {
        Self(jiffies)
    }

    /// How long ago it was, in milliseconds; by up to a tick more or less.
    pub(crate) fn millis_ago(self) -> u32 {
        let ticks = Self::now().0.wrapping_sub(self.0);
        let a_second = msecs_to_jiffies(1000).max(1);
        u32::try_from(ticks.saturating_mul(1000) / a_second).unwrap_or(u32::MAX)
    }
}
