//! The number of an ioctl and what is encoded in it.

use std::fmt;

/// An ioctl number: direction, argument size, type and number in 32 bits
/// (`include/uapi/asm-generic/ioctl.h`, the encoding of x86, Arm and RISC-V).
///
/// Old numbers, such as those of terminals, encode nothing: their size is 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IoctlCommand(u32);

impl IoctlCommand {
    const WRITE: u32 = 1;
    const READ: u32 = 2;

    /// The command with this number.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// `_IO(kind, number)`: the argument is a plain value.
    pub const fn none(kind: u8, number: u8) -> Self {
        Self::encode(0, kind, number, 0)
    }

    /// `_IOR(kind, number, size)`: the client reads `size` bytes (at most 16383).
    pub const fn read(kind: u8, number: u8, size: u16) -> Self {
        Self::encode(Self::READ, kind, number, size)
    }

    /// `_IOW(kind, number, size)`: the client hands in `size` bytes (at most 16383).
    pub const fn write(kind: u8, number: u8, size: u16) -> Self {
        Self::encode(Self::WRITE, kind, number, size)
    }

    /// `_IOWR(kind, number, size)`: both.
    pub const fn read_write(kind: u8, number: u8, size: u16) -> Self {
        Self::encode(Self::READ | Self::WRITE, kind, number, size)
    }

    const fn encode(direction: u32, kind: u8, number: u8, size: u16) -> Self {
        assert!(size < 1 << 14, "an ioctl number has 14 bits for the size");
        Self(direction << 30 | (size as u32) << 16 | (kind as u32) << 8 | number as u32)
    }

    /// The number itself.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Bytes of the argument, 0 to 16383.
    pub const fn size(self) -> usize {
        (self.0 >> 16 & 0x3fff) as usize
    }

    /// The type: by convention a letter that is the device family's own.
    pub const fn kind(self) -> u8 {
        (self.0 >> 8 & 0xff) as u8
    }

    /// The number within the type.
    pub const fn number(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// The device fills the argument.
    pub const fn reads(self) -> bool {
        self.0 >> 30 & Self::READ != 0
    }

    /// The device gets the argument's bytes.
    pub const fn writes(self) -> bool {
        self.0 >> 30 & Self::WRITE != 0
    }
}

impl fmt::Debug for IoctlCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_kernel() {
        // FS_IOC_GETFLAGS is _IOR('f', 1, long), RNDGETENTCNT is _IOR('R', 0, int).
        assert_eq!(IoctlCommand::read(b'f', 1, 8).raw(), 0x8008_6601);
        assert_eq!(IoctlCommand::read(b'R', 0, 4).raw(), 0x8004_5200);
        let both = IoctlCommand::read_write(b'U', 7, 12);
        assert!(both.reads() && both.writes());
        assert_eq!((both.kind(), both.number(), both.size()), (b'U', 7, 12));
        assert!(!IoctlCommand::none(b'U', 7).reads());
    }
}
