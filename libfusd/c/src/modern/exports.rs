//! The functions that C code calls. What they promise is in `fusd_device.h`.
#![allow(unsafe_code)]

use std::{ptr, slice};

use fusd_rust::{Area, Errno};
use libc::{c_char, c_int, c_uint, c_void, pid_t, size_t};

use super::callbacks::{self, Handle, Ops, Options};
use super::device::{self, Wanted};
use super::tables::{CALLS, Call, DEVICES, FILES};
use super::{memory, replies};
use crate::failure::{fail, set_errno};
use crate::guard::guard;
use crate::{log, text};

/// `struct fusd_area`.
#[repr(C)]
#[derive(Clone, Copy)]
struct CArea {
    address: u64,
    length: size_t,
}

/// What a function returns that has no result.
fn status(code: impl FnOnce() -> Result<(), Errno>) -> c_int {
    guard(code).map_or_else(fail, |()| 0)
}

/// So many of `T` at `data`; none where there are none.
///
/// # Errors
/// `EINVAL`: a null pointer, or more than any memory can hold.
///
/// # Safety
/// Unless `length` is 0 or refused, `data` is null or leads to so many of `T`, which stay as they are
/// while the result is in use.
unsafe fn bytes<'a, T>(data: *const T, length: usize) -> Result<&'a [T], Errno> {
    // No object is larger than this, also none of the driver's.
    let most = isize::MAX as usize / size_of::<T>().max(1);
    match (length, data.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(Errno::EINVAL),
        _ if length > most => Err(Errno::EINVAL),
        // SAFETY: the caller's duty, see above; not more than a slice can have.
        _ => Ok(unsafe { slice::from_raw_parts(data, length) }),
    }
}

/// The string at `text`, if there is one.
///
/// # Safety
/// As for [`text::borrow`].
unsafe fn optional<'a>(text: *const c_char) -> Result<Option<&'a str>, Errno> {
    match text.is_null() {
        true => Ok(None),
        // SAFETY: the caller's duty, likewise.
        false => unsafe { text::borrow(text) }.map(Some),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_device_new(
    options: *const Options,
    ops: *const Ops,
    context: *mut c_void,
) -> Handle {
    let made = guard(|| {
        log::start();
        // SAFETY: null or structures with their sizes, by the caller's duty.
        let copies =
            unsafe { callbacks::copy(options).and_then(|o| Ok((o, callbacks::copy(ops)?))) };
        let (options, ops) = copies.map_err(device::malformed)?;
        // SAFETY: null or strings, by the caller's duty.
        let wanted = unsafe {
            Wanted {
                name: optional(options.name).map_err(device::malformed)?,
                path: optional(options.path).map_err(device::malformed)?,
                backend: optional(options.backend).map_err(device::malformed)?,
                flags: options.flags,
                mode: options.mode,
                owner: options.owner,
                group: options.group,
                workers: options.workers,
                max_open: options.max_open,
            }
        };
        device::register(&wanted, ops, context.expose_provenance())
    });
    match made {
        Ok(handle) => ptr::without_provenance_mut(handle),
        Err(errno) => {
            set_errno(errno);
            ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn fusd_device_run(device: Handle) -> c_int {
    status(|| device::run(device.addr()))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_device_start(device: Handle) -> c_int {
    status(|| device::start(device.addr()))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_device_stop(device: Handle) -> c_int {
    status(|| device::stop(device.addr()))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_device_free(device: Handle) -> c_int {
    match device.is_null() {
        true => 0,
        false => status(|| device::free(device.addr())),
    }
}

/// What `find` finds, or `none` with `EINVAL`.
fn find<T>(find: impl FnOnce() -> Option<T>, none: T) -> T {
    guard(|| find().ok_or(Errno::EINVAL)).unwrap_or_else(|errno| {
        set_errno(errno);
        none
    })
}

#[unsafe(no_mangle)]
extern "C" fn fusd_device_path(device: Handle) -> *const c_char {
    let path = || DEVICES.look(device.addr(), |device| device.path.as_ptr());
    find(path, ptr::null())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_device_backend(device: Handle) -> *const c_char {
    let backend = || DEVICES.look(device.addr(), |device| device.backend.as_ptr());
    find(backend, ptr::null())
}

/// What `question` finds in a call, or `none` with `EINVAL`.
fn ask<T>(call: Handle, question: impl FnOnce(&Call) -> Option<T>, none: T) -> T {
    find(
        || CALLS.look(call.addr(), |call| question(call)).flatten(),
        none,
    )
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_context(call: Handle) -> *mut c_void {
    let context = |call: &Call| Some(ptr::with_exposed_provenance_mut(call.context));
    ask(call, context, ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_data(call: Handle) -> *mut c_void {
    let data = |call: &Call| {
        let file = call.file.as_ref()?;
        Some(ptr::with_exposed_provenance_mut(file.data))
    };
    ask(call, data, ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_file(call: Handle) -> Handle {
    let file = |call: &Call| {
        let file = call.file.as_ref()?;
        Some(ptr::without_provenance_mut(file.handle))
    };
    ask(call, file, ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_pid(call: Handle) -> pid_t {
    // Asked outside of the lock: it takes a look into /proc.
    let caller = ask(call, |call| Some(Some(*call.context().caller())), None);
    caller.map_or(-1, |caller| pid_t::try_from(caller.pid()).unwrap_or(0))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_uid(call: Handle) -> libc::uid_t {
    let uid = |call: &Call| Some(call.context().caller().uid);
    ask(call, uid, libc::uid_t::MAX)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_gid(call: Handle) -> libc::gid_t {
    let gid = |call: &Call| Some(call.context().caller().gid);
    ask(call, gid, libc::gid_t::MAX)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_flags(call: Handle) -> c_int {
    ask(call, |call| Some(call.context().flags().raw()), -1)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_is_interrupted(call: Handle) -> c_int {
    let interrupted = |call: &Call| Some(c_int::from(call.context().is_abandoned()));
    ask(call, interrupted, -1)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_reply_open(
    call: Handle,
    data: *mut c_void,
    ready: c_uint,
    file: *mut Handle,
) -> c_int {
    status(|| {
        replies::open(call.addr(), data.expose_provenance(), ready, |handle| {
            if !file.is_null() {
                // SAFETY: not null, so a place for a pointer, by the caller's duty.
                unsafe { file.write(ptr::without_provenance_mut(handle)) };
            }
        })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_reply_data(call: Handle, data: *const c_void, length: size_t) -> c_int {
    // SAFETY: null or so many bytes, by the caller's duty.
    status(|| replies::data(call.addr(), unsafe { bytes(data.cast(), length) }?))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_reply_count(call: Handle, count: size_t) -> c_int {
    status(|| replies::count(call.addr(), count))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_reply_ioctl(
    call: Handle,
    result: c_int,
    output: *const c_void,
    length: size_t,
) -> c_int {
    status(|| {
        // SAFETY: null or so many bytes, by the caller's duty.
        let output = unsafe { bytes(output.cast(), length) }?;
        replies::ioctl(call.addr(), result, output)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_reply_again(
    call: Handle,
    input: *const CArea,
    inputs: size_t,
    output: *const CArea,
    outputs: size_t,
) -> c_int {
    status(|| {
        // More than any call can have: a length that is none.
        if inputs > 256 || outputs > 256 {
            return Err(Errno::EINVAL);
        }
        // SAFETY: null or so many areas, by the caller's duty.
        let (input, output) = unsafe { (bytes(input, inputs)?, bytes(output, outputs)?) };
        let areas = |from: &[CArea]| -> Vec<Area> {
            let area = |area: &CArea| Area {
                address: area.address,
                length: area.length,
            };
            from.iter().map(area).collect()
        };
        replies::again(call.addr(), &areas(input), &areas(output))
    })
}

#[unsafe(no_mangle)]
extern "C" fn fusd_reply_done(call: Handle) -> c_int {
    status(|| replies::done(call.addr()))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_reply_error(call: Handle, errno: c_int) -> c_int {
    status(|| replies::error(call.addr(), errno))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_file_set_ready(file: Handle, ready: c_uint) -> c_int {
    status(|| replies::set_ready(file.addr(), ready))
}

#[unsafe(no_mangle)]
extern "C" fn fusd_file_data(file: Handle) -> *mut c_void {
    let data = || {
        FILES.look(file.addr(), |file| {
            ptr::with_exposed_provenance_mut(file.data)
        })
    };
    find(data, ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_memory_new(length: size_t) -> Handle {
    log::start();
    match guard(|| memory::make(length)) {
        Ok(handle) => ptr::without_provenance_mut(handle),
        Err(errno) => {
            set_errno(errno);
            ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn fusd_memory_address(memory: Handle) -> *mut c_void {
    let place = || memory::place(memory.addr()).ok();
    ptr::with_exposed_provenance_mut(find(place, (0, 0)).0)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_memory_length(memory: Handle) -> size_t {
    let place = || memory::place(memory.addr()).ok();
    find(place, (0, 0)).1
}

#[unsafe(no_mangle)]
extern "C" fn fusd_memory_free(memory: Handle) -> c_int {
    match memory.is_null() {
        true => 0,
        false => status(|| memory::free(memory.addr())),
    }
}

#[unsafe(no_mangle)]
extern "C" fn fusd_call_offer(call: Handle, memory: Handle, flags: c_uint) -> c_int {
    status(|| memory::offer(call.addr(), memory.addr(), flags))
}
