//! Where a panic of this library ends: never in C code.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fusd_rust::Errno;

/// Runs `code` for a C caller. A panic becomes `EIO` and a line in the log.
pub(crate) fn guard<T>(code: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|_| {
        tracing::error!("bug in the library: it panicked; the call is EIO");
        Err(Errno::EIO)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_eio() {
        assert_eq!(guard(|| Ok(5)), Ok(5));
        assert_eq!(guard::<()>(|| panic!("on purpose")), Err(Errno::EIO));
    }
}
