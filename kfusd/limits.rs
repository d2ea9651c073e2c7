// SPDX-License-Identifier: GPL-2.0-only

//! The limits, out of the module's parameters, each brought into its range.

use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

use crate::module_parameters as given;
use crate::wire;

/// Bytes of data in one message, at most (4096 to [`wire::TRANSFER_MAX`]).
pub(crate) fn max_transfer() -> u32 {
    (*given::max_transfer.value()).clamp(4096, wire::TRANSFER_MAX)
}

/// Devices on one connection, at most.
pub(crate) fn max_devices() -> u32 {
    (*given::max_devices.value()).clamp(1, 1 << 16)
}

/// Files open on one device, at most, those counted whose release the driver has not yet taken.
pub(crate) fn max_files() -> u32 {
    (*given::max_files.value()).clamp(1, 1 << 20)
}

/// For how many milliseconds a call must wait, taken by nobody, before it is asked whether its driver
/// waits for the caller (100 to 3600000). None: never.
pub(crate) fn deadlock_ms() -> Option<u32> {
    match *given::deadlock_ms.value() {
        0 => None,
        millis => Some(millis.clamp(100, 3_600_000)),
    }
}

/// What may be under way at once.
#[derive(Clone, Copy)]
pub(crate) struct Cap {
    /// Requests.
    pub(crate) requests: u32,
    /// Bytes of kernel memory they take.
    pub(crate) bytes: u64,
}

impl Cap {
    /// On one open file: a sixteenth of a connection's.
    pub(crate) fn of_file() -> Self {
        Self::of_connection().part(16)
    }

    /// On one device: half of a connection's.
    pub(crate) fn of_device() -> Self {
        Self::of_connection().part(2)
    }

    /// On one connection.
    pub(crate) fn of_connection() -> Self {
        Self {
            requests: (*given::max_requests.value()).clamp(16, 1 << 20),
            bytes: (*given::max_bytes.value()).clamp(1 << 20, 1 << 40),
        }
    }

    fn part(self, parts: u32) -> Self {
        Self {
            requests: self.requests / parts,
            bytes: self.bytes / u64::from(parts),
        }
    }
}

/// Memory that many share.
pub(crate) struct Budget {
    used: Atomic<u64>,
    most: u64,
}

impl Budget {
    /// At most `most` bytes; none is in use.
    pub(crate) fn new(most: u64) -> Result<Arc<Self>> {
        let budget = Self {
            used: Atomic::new(0),
            most,
        };
        Ok(Arc::new(budget, GFP_KERNEL)?)
    }
}

/// A part of a budget that is in use as long as this value lives.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Share {
    /// `bytes` of it.
    ///
    /// # Errors
    /// `ENOSPC`: that is too much.
    pub(crate) fn of(budget: &Arc<Budget>, bytes: u64) -> Result<Self> {
        let share = Self {
            budget: budget.clone(),
            bytes,
        };
        let before = budget.used.fetch_add(bytes, Relaxed);
        match before.checked_add(bytes) {
            Some(after) if after <= budget.most => Ok(share),
            // Given back as the value goes.
            _ => Err(ENOSPC),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// What is under way.
#[derive(Default)]
pub(crate) struct Load {
    requests: u32,
    bytes: u64,
}

impl Load {
    /// Whether one more request of `bytes` may come. The first one always may: a limit must not
    /// be a reason to wait for ever.
    pub(crate) fn admits(&self, cap: Cap, bytes: u64) -> bool {
        self.requests == 0
            || (self.requests < cap.requests && self.bytes.saturating_add(bytes) <= cap.bytes)
    }

    /// Counts a request in.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.requests = self.requests.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts a request out.
    pub(crate) fn remove(&mut self, bytes: u64) {
        self.requests = self.requests.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// How many requests there are.
    pub(crate) fn requests(&self) -> u32 {
        self.requests
    }
}
