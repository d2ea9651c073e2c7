//! What a driver hands in: its callbacks and options, of any size that it was compiled with, and the
//! one place where its callbacks are called.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::{ptr, slice};

use fusd_rust::Errno;
use libc::{c_char, c_int, c_uint, c_void, gid_t, mode_t, size_t, uid_t};

/// `struct fusd_call`, `struct fusd_file` and `struct fusd_device`: handles.
pub(crate) type Handle = *mut c_void;

type Open = unsafe extern "C" fn(Handle);
type Release = unsafe extern "C" fn(*mut c_void, *mut c_void);
type Read = unsafe extern "C" fn(Handle, size_t, u64);
type Write = unsafe extern "C" fn(Handle, *const c_void, size_t, u64);
type Ioctl = unsafe extern "C" fn(Handle, c_uint, u64, *const c_void, size_t, size_t);
type Sync = unsafe extern "C" fn(Handle, c_int);

/// `struct fusd_ops`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Ops {
    size: size_t,
    pub(crate) open: Option<Open>,
    pub(crate) release: Option<Release>,
    pub(crate) read: Option<Read>,
    pub(crate) write: Option<Write>,
    pub(crate) ioctl: Option<Ioctl>,
    pub(crate) interrupted: Option<Open>,
    pub(crate) sync: Option<Sync>,
}

/// `struct fusd_options`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Options {
    size: size_t,
    pub(crate) name: *const c_char,
    pub(crate) path: *const c_char,
    pub(crate) backend: *const c_char,
    pub(crate) flags: c_uint,
    pub(crate) mode: mode_t,
    pub(crate) owner: uid_t,
    pub(crate) group: gid_t,
    pub(crate) workers: c_uint,
    pub(crate) max_open: c_uint,
}

/// A structure that begins with its size, and for which zeros everywhere mean nothing in particular.
///
/// # Safety
/// It is `repr(C)`, begins with a `size_t`, and any bytes that C code puts into it, zeros among them,
/// are a valid value.
pub(crate) unsafe trait Versioned: Copy {}

// SAFETY: a size and pointers to functions, where null is `None`; the driver's are functions.
unsafe impl Versioned for Ops {}
// SAFETY: a size, pointers that are only compared until their duty is known, and numbers.
unsafe impl Versioned for Options {}

/// Copies a structure of the size that it says it has: what an older one lacks is zero; what a newer
/// one has beyond must be zero.
///
/// # Errors
/// `EINVAL`: a null pointer, or too small for its own size. `E2BIG`: it asks for what this library
/// does not have.
///
/// # Safety
/// `from` is null, or leads to as many bytes as its first `size_t` says.
pub(crate) unsafe fn copy<T: Versioned>(from: *const T) -> Result<T, Errno> {
    if from.is_null() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: not null, so it has at least a size, by the caller's duty.
    let size = unsafe { from.cast::<size_t>().read_unaligned() };
    // Far more than any such structure will ever have: a size that has not been set.
    if !(size_of::<size_t>()..=65536).contains(&size) {
        return Err(Errno::EINVAL);
    }
    let known = size.min(size_of::<T>());
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: both have `known` bytes: the one by the caller's duty, the other by its type.
    unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), copy.as_mut_ptr().cast(), known) };
    // SAFETY: the rest of the `size` bytes, by the caller's duty.
    let beyond = unsafe { slice::from_raw_parts(from.cast::<u8>().add(known), size - known) };
    if beyond.iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    // SAFETY: all bytes are set, and any are valid, see `Versioned`.
    Ok(unsafe { copy.assume_init() })
}

/// A callback with its arguments.
///
/// Invariant ALIVE: memory that an argument leads to is owned by the call that the table of calls has
/// under the callback's handle, until the driver answers it.
pub(crate) enum Plan {
    Open(Open, Handle),
    Release(Release, *mut c_void, *mut c_void),
    Read(Read, Handle, usize, u64),
    Write(Write, Handle, *const c_void, usize, u64),
    Ioctl(Ioctl, Handle, u32, u64, (*const c_void, usize), usize),
    Sync(Sync, Handle, bool),
}

impl Plan {
    /// Calls it.
    pub(crate) fn invoke(self) {
        // SAFETY: the driver gave these functions for these purposes (`fusd_device_new`); handles are
        // numbers, and by ALIVE the memory is there, as long as said.
        unsafe {
            match self {
                Self::Open(callback, call) => callback(call),
                Self::Release(callback, data, context) => callback(data, context),
                Self::Read(callback, call, length, offset) => callback(call, length, offset),
                Self::Write(callback, call, data, length, offset) => {
                    callback(call, data, length, offset);
                }
                Self::Ioctl(callback, call, number, argument, (input, length), room) => {
                    callback(call, number, argument, input, length, room);
                }
                Self::Sync(callback, call, data_only) => callback(call, c_int::from(data_only)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Two {
        size: size_t,
        one: usize,
        two: usize,
    }

    // SAFETY: numbers only.
    unsafe impl Versioned for Two {}

    fn copied(values: &[usize]) -> Result<(usize, usize), Errno> {
        // SAFETY: the tests below give sizes of at most their own arrays, or ones that are refused.
        unsafe { copy(values.as_ptr().cast::<Two>()) }.map(|two| (two.one, two.two))
    }

    #[test]
    fn what_is_missing_is_zero_and_what_is_beyond_must_be() {
        let word = size_of::<usize>();
        assert_eq!(copied(&[3 * word, 5, 6]), Ok((5, 6)));
        assert_eq!(copied(&[2 * word, 5, 6]), Ok((5, 0)), "an older one");
        assert_eq!(copied(&[word, 5, 6]), Ok((0, 0)));
        assert_eq!(copied(&[4 * word, 5, 6, 0]), Ok((5, 6)), "a newer one");
        assert_eq!(copied(&[4 * word, 5, 6, 7]), Err(Errno::E2BIG));
        for size in [0, 1, word - 1, usize::MAX] {
            assert_eq!(copied(&[size, 5, 6]), Err(Errno::EINVAL));
        }
        // SAFETY: null is refused.
        assert!(unsafe { copy(ptr::null::<Two>()) }.is_err());
    }
}
