//! Strings that come from C.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

use fusd_rust::Errno;

/// The string at `text`.
///
/// # Errors
/// `EINVAL`: it is a null pointer, or not UTF-8.
///
/// # Safety
/// Unless it is null, `text` points to a string with a zero byte at its end, which stays as it is
/// while the result is in use.
pub(crate) unsafe fn borrow<'a>(text: *const c_char) -> Result<&'a str, Errno> {
    if text.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: not null; all else is the caller's duty, see above.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_not_utf8| Errno::EINVAL)
}
