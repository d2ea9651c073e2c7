//! The functions of the original interface that C code calls. What they promise is in `fusd.h`.
#![allow(unsafe_code)]

use std::io::Write;
use std::ptr;

use fusd_rust::{DeviceBuilder, Errno, Error, ErrorKind};
use libc::{c_char, c_int, c_uint, c_void, fd_set, mode_t, size_t, ssize_t};

use super::callbacks::FileOperations;
use super::info::FileInfo;
use super::{accessors, answer, calls, dispatch, flags, polling, registry, run, sets};
use crate::failure::{self, fail, set_errno};
use crate::guard::guard;
use crate::{log, text};

/// Registers a device.
///
/// # Safety
/// As `fusd.h` says: a string and a table, or null pointers.
unsafe fn register(
    name: *const c_char,
    mode: mode_t,
    device_info: *mut c_void,
    operations: *const FileOperations,
) -> c_int {
    let registered = guard(|| {
        log::start();
        let invalid = |what: &str| {
            failure::remember(
                &Error::new(ErrorKind::Invalid, Errno::EINVAL, "register a device").because(what),
            )
        };
        // SAFETY: null or a string, by the caller's duty.
        let name = unsafe { text::borrow(name) }
            .map_err(|_errno| invalid("its name is a null pointer, or not UTF-8"))?;
        // SAFETY: null or a table, by the caller's duty; it is copied.
        let operations = unsafe { operations.as_ref() }
            .copied()
            .ok_or_else(|| invalid("its table of operations is a null pointer"))?;
        // Old drivers hand in what mknod(2) takes.
        let builder = DeviceBuilder::new(name).mode(mode & !libc::S_IFMT);
        registry::register(builder, operations, device_info.expose_provenance())
            .map_err(|error| failure::remember(&error))
    });
    registered.unwrap_or_else(fail)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_register(
    name: *const c_char,
    mode: mode_t,
    device_info: *mut c_void,
    operations: *const FileOperations,
) -> c_int {
    // SAFETY: the caller's duty, likewise.
    unsafe { register(name, mode, device_info, operations) }
}

/// `fusd_register` as it was in the releases for udev. Class and name in sysfs are the backend's
/// business today.
#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_register_class(
    name: *const c_char,
    _class: *const c_char,
    _device_name: *const c_char,
    mode: mode_t,
    device_info: *mut c_void,
    operations: *const FileOperations,
) -> c_int {
    // SAFETY: the caller's duty, likewise.
    unsafe { register(name, mode, device_info, operations) }
}

/// What `fusd_simple_register` is made of: as `fusd_register`, with a warning.
#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_register_or_warn(
    name: *const c_char,
    mode: mode_t,
    device_info: *mut c_void,
    operations: *const FileOperations,
) -> c_int {
    // SAFETY: the caller's duty, likewise.
    let fd = unsafe { register(name, mode, device_info, operations) };
    if fd < 0 {
        let errno = nix::errno::Errno::last();
        let line = failure::with_text(|text| format!("fusd: {}\n", text.to_string_lossy()));
        // Where there is no standard error, nobody can be warned.
        let _ = std::io::stderr().write_all(line.as_bytes());
        errno.set();
    }
    fd
}

#[unsafe(no_mangle)]
extern "C" fn fusd_unregister(fd: c_int) -> c_int {
    guard(|| registry::unregister(fd)).map_or_else(fail, |()| 0)
}

/// Dispatches what waits. No frame here owns anything while a callback runs.
#[unsafe(no_mangle)]
extern "C-unwind" fn fusd_dispatch(fd: c_int) -> c_int {
    let batch = match guard(|| dispatch::begin(fd)) {
        Ok(batch) => batch,
        Err(errno) => return fail(errno),
    };
    let mut left = batch.events;
    while left > 0 {
        left -= 1;
        let mut plan = match guard(|| dispatch::next(batch)) {
            Ok(plan) => plan,
            // Another thread was faster, or a callback has ended the device.
            Err(Errno::EAGAIN) => return 0,
            Err(errno) => return fail(errno),
        };
        while let Some(call) = plan {
            // SAFETY: a plan of the table, called once; all here is `Copy`.
            let result = unsafe { call.invoke() };
            plan = match guard(|| Ok(dispatch::complete(call, result))) {
                Ok(plan) => plan,
                Err(errno) => return fail(errno),
            };
        }
    }
    0
}

/// Likewise, and a device that has ended by itself is no device any more: its descriptor would be
/// readable for ever.
fn dispatch_or_unregister(fd: c_int) {
    if fusd_dispatch(fd) < 0 && nix::errno::Errno::last() == nix::errno::Errno::ENODEV {
        // It has told why. A failure means that another thread was faster.
        let _ = guard(|| registry::unregister_ended(fd));
    }
}

/// Serves all devices until there are none.
#[unsafe(no_mangle)]
extern "C-unwind" fn fusd_run() {
    loop {
        let fd = match guard(run::wait) {
            Ok(Some(fd)) => fd,
            Ok(None) => {
                log::start();
                tracing::debug!("no device is left to run");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "cannot wait for the devices");
                return;
            }
        };
        dispatch_or_unregister(fd);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fusd_fdset_add(set: *mut fd_set, max: *mut c_int) {
    let added = guard(|| {
        polling::leave();
        // SAFETY: null or a number, by the caller's duty.
        let max = unsafe { max.as_mut() };
        if set.is_null() {
            return Err(Errno::EINVAL);
        }
        let mut highest = -1;
        for fd in registry::descriptors() {
            // SAFETY: not null, so a set, by the caller's duty.
            match unsafe { sets::add(set, fd) } {
                true => highest = highest.max(fd),
                false => tracing::error!(
                    fd,
                    "a device's descriptor is too high for select(2); use poll(2)"
                ),
            }
        }
        if let Some(max) = max {
            *max = highest.max(*max);
        }
        Ok(())
    });
    if let Err(errno) = added {
        set_errno(errno);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn fusd_dispatch_fdset(set: *const fd_set) {
    if set.is_null() {
        set_errno(Errno::EINVAL);
        return;
    }
    let mut after = -1;
    loop {
        let next = guard(|| {
            let all = registry::descriptors();
            // SAFETY: not null, so a set, by the caller's duty.
            let set = all
                .into_iter()
                .find(|fd| *fd > after && unsafe { sets::contains(set, *fd) });
            Ok(set)
        });
        let Ok(Some(fd)) = next else { return };
        after = fd;
        dispatch_or_unregister(fd);
    }
}

#[unsafe(no_mangle)]
extern "C" fn fusd_return(file: *mut FileInfo, result: ssize_t) -> c_int {
    let returned = guard(|| {
        calls::check_own(file.expose_provenance())?;
        let call = calls::take(file.expose_provenance(), None).ok_or_else(|| {
            tracing::warn!(
                "bug in the driver: fusd_return of a file that is no call's, or not any more"
            );
            Errno::EINVAL
        })?;
        answer::handed_in(call, result as i64)
    });
    returned.map_or_else(|errno| -errno.raw(), |()| 0)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_destroy(file: *mut FileInfo) {
    let destroyed = guard(|| {
        calls::check_own(file.expose_provenance())?;
        match calls::take(file.expose_provenance(), None) {
            Some(call) => answer::thrown_away(call),
            None if file.is_null() => {}
            None => tracing::warn!(
                "bug in the driver: fusd_destroy of a file that is no call's, or not any more"
            ),
        }
        Ok(())
    });
    if let Err(errno) = destroyed {
        set_errno(errno);
    }
}

/// The answer to a question about a call; without one, `none` and `EINVAL`.
fn ask<T>(file: *mut FileInfo, question: impl FnOnce(&mut calls::Call) -> Option<T>, none: T) -> T {
    let answer = guard(|| accessors::ask(file.expose_provenance(), question).ok_or(Errno::EINVAL));
    answer.unwrap_or_else(|errno| {
        set_errno(errno);
        none
    })
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_call_type(file: *mut FileInfo) -> c_int {
    ask(file, |call| Some(accessors::kind(call)), -1)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_read_buffer(file: *mut FileInfo) -> *mut c_char {
    ask(file, accessors::read_buffer, ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_write_buffer(file: *mut FileInfo) -> *const c_char {
    ask(file, accessors::write_buffer, ptr::null())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_length(file: *mut FileInfo) -> size_t {
    ask(file, accessors::length, 0)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_offset(file: *mut FileInfo) -> *mut i64 {
    ask(file, accessors::offset, ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_ioctl_request(file: *mut FileInfo) -> c_int {
    ask(file, accessors::ioctl_request, -1)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_ioctl_arg(file: *mut FileInfo) -> c_int {
    ask(file, accessors::ioctl_argument, -1)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_ioctl_buffer(file: *mut FileInfo) -> *mut c_void {
    ask(file, accessors::ioctl_buffer, ptr::null_mut())
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_poll_diff_cached_state(file: *mut FileInfo) -> c_int {
    ask(file, accessors::cached_state, -1)
}

#[unsafe(no_mangle)]
extern "C" fn fusd_get_interrupted(file: *mut FileInfo) -> *mut FileInfo {
    let (address, serial) = ask(file, accessors::interrupted, (0, 0));
    // Its slot may be another call's by now.
    match calls::look(address, |call| call.serial == serial) {
        Some(true) => ptr::with_exposed_provenance_mut(address),
        _ => ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn fusd_unparse_flags(state: c_int) -> *mut c_char {
    let state: c_uint = state.cast_unsigned();
    // The type is the original's; nobody is to write there.
    flags::text(state).as_ptr().cast_mut()
}

/// What this thread's last failure was about, as a line of text.
#[unsafe(no_mangle)]
extern "C" fn fusd_error_text() -> *const c_char {
    failure::with_text(|text| text.as_ptr())
}
