//! How a failure reaches a C caller: `errno`, and a line of text for people.

use std::cell::RefCell;
use std::ffi::{CStr, CString};

use fusd_rust::{Errno, Error, ErrorKind};

thread_local! {
    /// The text of this thread's last failure.
    static TEXT: RefCell<CString> = RefCell::default();
}

/// Sets `errno`.
pub(crate) fn set_errno(errno: Errno) {
    nix::errno::Errno::from_raw(errno.raw()).set();
}

/// Sets `errno` and gives what C functions return then.
pub(crate) fn fail(errno: Errno) -> i32 {
    set_errno(errno);
    -1
}

/// The error number of a failure as C drivers expect it: `ENOPKG` where there is no backend, as the
/// original had it for a kernel without its module.
pub(crate) fn errno_of(error: &Error) -> Errno {
    match error.kind() {
        ErrorKind::Backend => Errno::from_raw(libc::ENOPKG).unwrap_or(Errno::ENOSYS),
        _ => error.errno(),
    }
}

/// Keeps the text of `error` for this thread, and gives its number.
pub(crate) fn remember(error: &Error) -> Errno {
    let text = error.to_string().replace('\0', "?");
    TEXT.with_borrow_mut(|kept| *kept = CString::new(text).unwrap_or_default());
    errno_of(error)
}

/// Calls `look` with the text of this thread's last failure; empty before the first.
pub(crate) fn with_text<T>(look: impl FnOnce(&CStr) -> T) -> T {
    TEXT.with_borrow(|text| look(text))
}
