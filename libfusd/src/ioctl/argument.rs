//! What the argument of an ioctl is, as far as its number or its age tells.

use super::IoctlCommand;

/// The argument of an ioctl: a plain value, or an area of the client's memory that is handed in,
/// filled, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IoctlArgument {
    input: u32,
    pub(crate) output: u32,
}

impl IoctlArgument {
    /// A plain value, or nothing.
    pub const VALUE: Self = Self {
        input: 0,
        output: 0,
    };

    /// The client reads `size` bytes.
    pub const fn read(size: u32) -> Self {
        Self {
            input: 0,
            output: size,
        }
    }

    /// The client hands in `size` bytes.
    pub const fn write(size: u32) -> Self {
        Self {
            input: size,
            output: 0,
        }
    }

    /// Both, in the same place.
    pub const fn read_write(size: u32) -> Self {
        Self {
            input: size,
            output: size,
        }
    }

    /// The argument of `command`: what its number encodes; where it encodes nothing, that of the
    /// old ioctl of this number, which are those of terminals, serial ports and `FIONREAD`; else a
    /// plain value.
    ///
    /// Sizes of old ones are those of a client with the same word size as the driver.
    pub const fn of(command: IoctlCommand) -> Self {
        // Lossless: at most 16383.
        let size = command.size() as u32;
        match (command.writes(), command.reads()) {
            (true, true) => Self::read_write(size),
            (true, false) => Self::write(size),
            (false, true) => Self::read(size),
            (false, false) => old(command.raw()),
        }
    }

    /// Bytes that the client hands in.
    pub const fn input_len(self) -> usize {
        // Lossless: fusd runs on targets with at least 32 bits.
        self.input as usize
    }

    /// Bytes that the client has room for.
    pub const fn output_len(self) -> usize {
        self.output as usize
    }
}

/// The size of `struct serial_struct` in bytes: two of its fields are a pointer and a long.
const SERIAL: u32 = if usize::BITS == 64 { 72 } else { 60 };

/// The argument of an ioctl from before sizes were encoded
/// (`include/uapi/asm-generic/ioctls.h`; the structures are those of `termbits.h` and `serial.h`).
const fn old(raw: u32) -> IoctlArgument {
    use IoctlArgument as Is;
    match raw {
        // TCGETS, TIOCGLCKTRMIOS; TCSETS, TCSETSW, TCSETSF, TIOCSLCKTRMIOS: struct termios.
        0x5401 | 0x5456 => Is::read(36),
        0x5402..=0x5404 | 0x5457 => Is::write(36),
        // TCGETA; TCSETA, TCSETAW, TCSETAF: struct termio.
        0x5405 => Is::read(18),
        0x5406..=0x5408 => Is::write(18),
        // TIOCSTI: one character.
        0x5412 => Is::write(1),
        // TIOCGWINSZ; TIOCSWINSZ: struct winsize.
        0x5413 => Is::read(8),
        0x5414 => Is::write(8),
        // TIOCGPGRP, TIOCOUTQ, TIOCMGET, TIOCGSOFTCAR, FIONREAD, TIOCGETD, TIOCGSID,
        // TIOCSERGETLSR: an int.
        0x540f | 0x5411 | 0x5415 | 0x5419 | 0x541b | 0x5424 | 0x5429 | 0x5459 => Is::read(4),
        // TIOCSPGRP, TIOCMBIS, TIOCMBIC, TIOCMSET, TIOCSSOFTCAR, TIOCPKT, TIOCSETD: an int.
        0x5410 | 0x5416..=0x5418 | 0x541a | 0x5420 | 0x5423 => Is::write(4),
        // TIOCGSERIAL; TIOCSSERIAL: struct serial_struct.
        0x541e => Is::read(SERIAL),
        0x541f => Is::write(SERIAL),
        // TIOCGRS485; TIOCSRS485, which also tells what came of it: struct serial_rs485.
        0x542e => Is::read(32),
        0x542f => Is::read_write(32),
        // TIOCGICOUNT: struct serial_icounter_struct.
        0x545d => Is::read(80),
        _ => Is::VALUE,
    }
}

/// An area of the client's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Area {
    /// Where it begins, in the client's address space.
    pub address: u64,
    /// Its size in bytes.
    pub length: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_number_encodes_comes_first() {
        let of = IoctlArgument::of;
        assert_eq!(of(IoctlCommand::read(b'T', 1, 36)), IoctlArgument::read(36));
        assert_eq!(of(IoctlCommand::write(b'x', 1, 3)), IoctlArgument::write(3));
        assert_eq!(
            of(IoctlCommand::read_write(b'x', 1, 16383)),
            IoctlArgument::read_write(16383)
        );
        assert_eq!(of(IoctlCommand::none(b'x', 1)), IoctlArgument::VALUE);
    }

    #[test]
    fn old_numbers_are_known() {
        let of = |raw: libc::Ioctl| {
            IoctlArgument::of(IoctlCommand::from_raw(u32::try_from(raw).unwrap()))
        };
        assert_eq!(of(libc::FIONREAD), IoctlArgument::read(4));
        assert_eq!(of(libc::TIOCMBIC), IoctlArgument::write(4));
        assert_eq!(of(libc::TCGETS), IoctlArgument::read(36));
        assert_eq!(of(libc::TCSETSF), IoctlArgument::write(36));
        let window = u32::try_from(size_of::<libc::winsize>()).unwrap();
        assert_eq!(of(libc::TIOCGWINSZ), IoctlArgument::read(window));
        // Plain values: TCSBRK, TCFLSH, TIOCMIWAIT, TIOCEXCL.
        for raw in [0x5409, 0x540b, 0x545c, 0x540c] {
            assert_eq!(of(raw), IoctlArgument::VALUE);
        }
    }
}
