//! The driver's callbacks: their table, and the one place where they are called.
#![allow(unsafe_code)]

use libc::{c_char, c_int, c_uint, c_void, off64_t, size_t, ssize_t};

use super::info::FileInfo;

type File = *mut FileInfo;

type Plain = unsafe extern "C-unwind" fn(File) -> c_int;
type Read = unsafe extern "C-unwind" fn(File, *mut c_char, size_t, *mut off64_t) -> ssize_t;
type Write = unsafe extern "C-unwind" fn(File, *const c_char, size_t, *mut off64_t) -> ssize_t;
type Ioctl = unsafe extern "C-unwind" fn(File, c_int, *mut c_void) -> c_int;
type PollDiff = unsafe extern "C-unwind" fn(File, c_uint) -> c_int;
pub(crate) type Mmap = unsafe extern "C-unwind" fn(
    File,
    c_int,
    size_t,
    c_int,
    c_int,
    *mut *mut c_void,
    *mut size_t,
) -> c_int;

/// `struct fusd_file_operations`. Its layout is part of the binary interface, and final: programs
/// that were compiled with it hand it in without its size.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct FileOperations {
    pub(crate) open: Option<Plain>,
    pub(crate) close: Option<Plain>,
    pub(crate) read: Option<Read>,
    pub(crate) write: Option<Write>,
    pub(crate) ioctl: Option<Ioctl>,
    pub(crate) poll_diff: Option<PollDiff>,
    pub(crate) unblock: Option<Plain>,
    pub(crate) mmap: Option<Mmap>,
}

const _: () = assert!(size_of::<FileOperations>() == 8 * size_of::<*const c_void>());

/// A callback with its arguments.
///
/// Invariant ALIVE: the pointers lead to what the table of calls keeps for the call with this number
/// (its slot, its buffer) until the driver has returned or destroyed it.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) file: File,
    pub(crate) serial: u64,
    pub(crate) action: Action,
}

/// Which callback, and what it gets beside the file.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    Plain(Plain),
    Read(Read, *mut c_char, size_t, *mut off64_t),
    Write(Write, *const c_char, size_t, *mut off64_t),
    Ioctl(Ioctl, c_int, *mut c_void),
    PollDiff(PollDiff, c_uint),
    /// With the length, the protection, and where the result goes.
    Mmap(Mmap, size_t, c_int, *mut *mut c_void, *mut size_t),
}

impl Plan {
    /// Calls it. It may leave by longjmp(3) or an exception of C++ instead of returning.
    ///
    /// # Safety
    /// The plan is one of the table of calls, not used before; the frames between here and the C
    /// code that dispatches own nothing that has to be dropped.
    pub(crate) unsafe fn invoke(&self) -> i64 {
        let file = self.file;
        // SAFETY: the driver gave these functions for these purposes (`fusd_register`); by ALIVE
        // the pointers are valid, the buffers as long as said.
        unsafe {
            match self.action {
                Action::Plain(callback) => i64::from(callback(file)),
                Action::Read(callback, buffer, length, offset) => {
                    callback(file, buffer, length, offset) as i64
                }
                Action::Write(callback, data, length, offset) => {
                    callback(file, data, length, offset) as i64
                }
                Action::Ioctl(callback, request, data) => i64::from(callback(file, request, data)),
                Action::PollDiff(callback, state) => i64::from(callback(file, state)),
                Action::Mmap(callback, length, protection, address, out) => {
                    let flags = libc::MAP_SHARED;
                    i64::from(callback(file, 0, length, protection, flags, address, out))
                }
            }
        }
    }
}
