//! The ioctls of terminals and serial ports that no crate has: the only unsafe code of the tool.
//!
//! Sizes are those of the structures in `include/uapi/asm-generic/termbits.h` and
//! `include/uapi/linux/serial.h`, as on x86, Arm and RISC-V.

#![allow(unsafe_code)]

use std::os::fd::AsFd;

use rustix::io::Result;
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, ioctl, opcode};

use crate::termios::{Settings, TERMIOS2};

/// Bytes of `struct serial_struct`.
pub(crate) const SERIAL: usize = if usize::BITS == 64 { 72 } else { 60 };

/// Bytes of `struct serial_icounter_struct`.
pub(crate) const COUNTERS: usize = 80;

/// Bytes of `struct serial_rs485`.
pub(crate) const RS485: usize = 32;

const TCGETS2: Opcode = opcode::read::<[u8; TERMIOS2]>(b'T', 0x2a);
const TCSETS2: Opcode = opcode::write::<[u8; TERMIOS2]>(b'T', 0x2b);
const TIOCOUTQ: Opcode = 0x5411;
const TIOCMGET: Opcode = 0x5415;
const TIOCMBIS: Opcode = 0x5416;
const TIOCMBIC: Opcode = 0x5417;
const TIOCMSET: Opcode = 0x5418;
const TIOCGSERIAL: Opcode = 0x541e;
const TIOCSBRK: Opcode = 0x5427;
const TIOCCBRK: Opcode = 0x5428;
const TIOCGRS485: Opcode = 0x542e;
const TIOCSRS485: Opcode = 0x542f;
const TIOCGICOUNT: Opcode = 0x545d;

/// Gets a plain structure by an ioctl that fills `T` and nothing else.
///
/// # Safety
/// `OPCODE` writes at most the bytes of `T`, of which every pattern is a value.
unsafe fn get<const OPCODE: Opcode, T>(port: impl AsFd) -> Result<T> {
    // SAFETY: the caller's duty is that of Getter.
    unsafe { ioctl(port, Getter::<OPCODE, T>::new()) }
}

/// Hands in a plain structure by an ioctl that reads, or fills, `T` and nothing else.
///
/// # Safety
/// `OPCODE` reads or writes at most the bytes of `T`.
unsafe fn set<const OPCODE: Opcode, T>(port: impl AsFd, value: T) -> Result<()> {
    // SAFETY: the caller's duty is that of Setter; where the ioctl writes, it writes to the copy.
    unsafe { ioctl(port, Setter::<OPCODE, T>::new(value)) }
}

/// The settings.
pub(crate) fn settings(port: impl AsFd) -> Result<Settings> {
    // SAFETY: TCGETS2 fills a struct termios2, which has this size.
    let bytes = unsafe { get::<TCGETS2, [u8; TERMIOS2]>(port)? };
    Settings::from_bytes(&bytes, &Settings::default()).ok_or(rustix::io::Errno::INVAL)
}

/// Changes the settings at once.
pub(crate) fn set_settings(port: impl AsFd, settings: &Settings) -> Result<()> {
    // SAFETY: TCSETS2 reads a struct termios2, which has this size.
    unsafe { set::<TCSETS2, _>(port, settings.to_bytes()) }
}

/// Bytes that are not sent yet.
pub(crate) fn queued(port: impl AsFd) -> Result<usize> {
    // SAFETY: TIOCOUTQ fills an int.
    let count = unsafe { get::<TIOCOUTQ, i32>(port)? };
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The modem lines, as `TIOCM_` bits.
pub(crate) fn lines(port: impl AsFd) -> Result<u32> {
    // SAFETY: TIOCMGET fills an int.
    unsafe { get::<TIOCMGET, u32>(port) }
}

/// Raises modem lines that this side drives, and lowers others. The rest stays, such as the one that
/// lets a PC's port interrupt.
pub(crate) fn change_lines(port: impl AsFd, raised: u32, lowered: u32) -> Result<()> {
    match (raised, lowered) {
        (0, 0) => Ok(()),
        // SAFETY: TIOCMBIS reads an int.
        (raised, 0) => unsafe { set::<TIOCMBIS, u32>(port, raised) },
        // SAFETY: TIOCMBIC reads an int.
        (0, lowered) => unsafe { set::<TIOCMBIC, u32>(port, lowered) },
        // At once, as what is reset by both may need it.
        (raised, lowered) => {
            let new = (lines(&port)? | raised) & !lowered;
            // SAFETY: TIOCMSET reads an int.
            unsafe { set::<TIOCMSET, u32>(port, new) }
        }
    }
}

/// Begins or ends a break.
pub(crate) fn set_break(port: impl AsFd, on: bool) -> Result<()> {
    match on {
        // SAFETY: TIOCSBRK takes no argument.
        true => unsafe { ioctl(port, NoArg::<TIOCSBRK>::new()) },
        // SAFETY: TIOCCBRK takes no argument.
        false => unsafe { ioctl(port, NoArg::<TIOCCBRK>::new()) },
    }
}

/// The counters of the modem lines' changes and of errors.
pub(crate) fn counters(port: impl AsFd) -> Result<[u8; COUNTERS]> {
    // SAFETY: TIOCGICOUNT fills a struct serial_icounter_struct, which has this size.
    unsafe { get::<TIOCGICOUNT, [u8; COUNTERS]>(port) }
}

/// What the kernel knows of the hardware.
pub(crate) fn serial(port: impl AsFd) -> Result<[u8; SERIAL]> {
    // SAFETY: TIOCGSERIAL fills a struct serial_struct, which has this size.
    unsafe { get::<TIOCGSERIAL, [u8; SERIAL]>(port) }
}

/// The settings of RS485.
pub(crate) fn rs485(port: impl AsFd) -> Result<[u8; RS485]> {
    // SAFETY: TIOCGRS485 fills a struct serial_rs485, which has this size.
    unsafe { get::<TIOCGRS485, [u8; RS485]>(port) }
}

/// Changes the settings of RS485.
pub(crate) fn set_rs485(port: impl AsFd, value: [u8; RS485]) -> Result<()> {
    // SAFETY: TIOCSRS485 reads and fills a struct serial_rs485, which has this size.
    unsafe { set::<TIOCSRS485, _>(port, value) }
}
