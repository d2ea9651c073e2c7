//! System calls that have no safe form elsewhere: the only unsafe code of the tests.
#![allow(unsafe_code)]

pub mod mapping;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Largest argument an ioctl number can encode.
const IOCTL_MAX: usize = 0x3fff;

/// ioctl(2) with a buffer: `argument` takes the bytes in and out. The size that the number
/// encodes is what the call may touch.
///
/// # Errors
/// The call's errno.
pub fn ioctl(file: &impl AsFd, number: u32, argument: &mut [u8]) -> Result<i32, Errno> {
    let mut memory = [0u8; IOCTL_MAX + 1];
    memory[..argument.len()].copy_from_slice(argument);
    // SAFETY: a driver or kernel that follows the encoding touches at most 16383 bytes, and those
    // are all in `memory`, which outlives the call.
    let result = unsafe {
        libc::ioctl(
            file.as_fd().as_raw_fd(),
            libc::Ioctl::from(number),
            memory.as_mut_ptr(),
        )
    };
    argument.copy_from_slice(&memory[..argument.len()]);
    Errno::result(result)
}

/// ioctl(2) with a plain value, for numbers without a size.
///
/// # Errors
/// The call's errno.
pub fn ioctl_value(file: &impl AsFd, number: u32, value: usize) -> Result<i32, Errno> {
    assert_eq!(number >> 16 & 0x3fff, 0, "the number encodes an argument");
    // SAFETY: the nodes of these tests treat the argument of a number without a size as a value;
    // as an address it would be checked by the kernel on access.
    let result = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), libc::Ioctl::from(number), value) };
    Errno::result(result)
}

/// ioctl(2) with an argument of two numbers of 64 bits: the address of `memory` and its length.
/// What it points to may be changed.
///
/// # Errors
/// The call's errno.
pub fn ioctl_behind(file: &impl AsFd, number: u32, memory: &mut [u8]) -> Result<i32, Errno> {
    let mut argument = [memory.as_mut_ptr().expose_provenance(), memory.len()];
    // SAFETY: `argument` and, by its address and length, `memory` are valid for reads and writes
    // and borrowed for the duration of the call; a driver that keeps to the length it is told
    // touches nothing else.
    let result = unsafe {
        libc::ioctl(
            file.as_fd().as_raw_fd(),
            libc::Ioctl::from(number),
            argument.as_mut_ptr(),
        )
    };
    Errno::result(result)
}

extern "C" fn ignore(_: libc::c_int) {}

/// ioctl(2) with an argument that is no address.
///
/// # Errors
/// The call's errno.
pub fn ioctl_nowhere(file: &impl AsFd, number: u32) -> Result<i32, Errno> {
    // SAFETY: nothing is ever mapped at address 1, so no memory can be touched through it.
    let result = unsafe {
        libc::ioctl(
            file.as_fd().as_raw_fd(),
            libc::Ioctl::from(number),
            ptr::without_provenance_mut::<u8>(1),
        )
    };
    Errno::result(result)
}

/// Installs a handler that does nothing, so that `signal` interrupts calls and none restarts.
///
/// # Errors
/// The signal cannot be caught.
pub fn catch(signal: Signal) -> Result<(), Errno> {
    catch_with(signal, SaFlags::empty())
}

/// The same, but for the calls, which are to restart (`SA_RESTART`).
///
/// # Errors
/// The signal cannot be caught.
pub fn catch_and_restart(signal: Signal) -> Result<(), Errno> {
    catch_with(signal, SaFlags::SA_RESTART)
}

fn catch_with(signal: Signal, flags: SaFlags) -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::Handler(ignore), flags, SigSet::empty());
    // SAFETY: the handler is empty, hence async-signal-safe; no other code relies on the old one.
    unsafe { sigaction(signal, &action) }.map(drop)
}

/// Sends this process `SIGALRM` every `micros` microseconds (below a million; 0 ends it).
///
/// # Errors
/// The timer cannot be set.
pub fn alarm_every(micros: u32) -> Result<(), Errno> {
    let period = libc::timeval {
        tv_sec: 0,
        tv_usec: micros.into(),
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: `timer` is a valid itimerval for the duration of the call; the old value is not
    // asked for.
    let result = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) };
    Errno::result(result).map(drop)
}

/// finit_module(2): inserts a module of the kernel.
///
/// # Errors
/// The call's errno.
///
/// # Panics
/// The parameters hold a zero byte.
pub fn insert_module(file: &File, parameters: &str) -> Result<(), Errno> {
    let parameters = std::ffi::CString::new(parameters).expect("no zero byte");
    // SAFETY: the descriptor is open and the string ends with a zero; the kernel copies both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_finit_module,
            file.as_raw_fd(),
            parameters.as_ptr(),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Takes over the descriptor `number` that the process was started with.
///
/// # Errors
/// There is no such descriptor.
pub fn inherited(number: i32) -> Result<OwnedFd, Errno> {
    use std::os::fd::{BorrowedFd, FromRawFd};
    if number <= libc::STDERR_FILENO {
        return Err(Errno::EBADF);
    }
    // SAFETY: borrowed only to ask whether it is open; a closed number gives EBADF.
    let probe = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(probe, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and by the convention of `--ready-fd` it is this program's to close:
    // nothing else in the process knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
