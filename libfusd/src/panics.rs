//! Where a panic of the driver's code ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code`, which is the driver's. A panic is told of and goes no further: `None`.
#[inline]
pub(crate) fn contain<T>(what: &str, code: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(code));
    if result.is_err() {
        tracing::error!("bug in the driver: {what} panicked; the device goes on");
    }
    result.ok()
}
