//! What the driver can ask of a call that it has kept.

use libc::{c_char, c_int, c_void, size_t};

use super::calls::{self, Call, Kind};

/// The numbers of the kinds of calls, as in `fusd.h`.
pub(crate) fn kind(call: &Call) -> c_int {
    match call.kind {
        Kind::Open(_) => 100,
        Kind::Close => 101,
        Kind::Read(..) => 102,
        Kind::Write(..) => 103,
        Kind::Ioctl(..) => 104,
        Kind::PollDiff(_) => 105,
        Kind::Unblock { .. } => 106,
        Kind::Mmap(..) => 107,
    }
}

/// A call's buffer, if it is a read.
pub(crate) fn read_buffer(call: &mut Call) -> Option<*mut c_char> {
    match &mut call.kind {
        Kind::Read(_, buffer) => Some(buffer.as_mut_ptr().cast()),
        _ => None,
    }
}

/// A call's data, if it is a write.
pub(crate) fn write_buffer(call: &mut Call) -> Option<*const c_char> {
    match &call.kind {
        Kind::Write(_, data) => Some(data.as_ptr().cast()),
        _ => None,
    }
}

/// How many bytes a read asks for or a write has.
pub(crate) fn length(call: &mut Call) -> Option<size_t> {
    match &call.kind {
        Kind::Read(_, buffer) => Some(buffer.len()),
        Kind::Write(request, _) => Some(request.data().len()),
        _ => None,
    }
}

/// `*offset` of a read or a write.
pub(crate) fn offset(call: &mut Call) -> Option<*mut i64> {
    match &call.kind {
        Kind::Read(..) | Kind::Write(..) => Some(call.info.offset().as_ptr()),
        _ => None,
    }
}

/// An ioctl's number.
pub(crate) fn ioctl_request(call: &mut Call) -> Option<c_int> {
    match &call.kind {
        Kind::Ioctl(request, _) => Some(request.command().raw().cast_signed()),
        _ => None,
    }
}

/// An ioctl's argument as the client gave it, cut to an int.
pub(crate) fn ioctl_argument(call: &mut Call) -> Option<c_int> {
    match &call.kind {
        // Cut on purpose: the original's type.
        Kind::Ioctl(request, _) => Some((request.argument() as u32).cast_signed()),
        _ => None,
    }
}

/// An ioctl's memory, where it has any.
pub(crate) fn ioctl_buffer(call: &mut Call) -> Option<*mut c_void> {
    match &mut call.kind {
        Kind::Ioctl(_, buffer) if !buffer.is_empty() => Some(buffer.as_mut_ptr().cast()),
        _ => None,
    }
}

/// The state that a poll_diff tells.
pub(crate) fn cached_state(call: &mut Call) -> Option<c_int> {
    match &call.kind {
        Kind::PollDiff(asked) => Some(asked.told.cast_signed()),
        _ => None,
    }
}

/// The call that an unblock is about: its address and its number.
pub(crate) fn interrupted(call: &mut Call) -> Option<(usize, u64)> {
    match call.kind {
        Kind::Unblock { address, serial } => Some((address, serial)),
        _ => None,
    }
}

/// Asks the call at `address`.
pub(crate) fn ask<T>(address: usize, question: impl FnOnce(&mut Call) -> Option<T>) -> Option<T> {
    calls::look(address, question).flatten()
}
