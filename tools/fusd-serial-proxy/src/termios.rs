//! The settings of a terminal: `struct termios2` of Linux, with numbers instead of codes for speeds.
//!
//! What they mean is in termios(3); the layout is that of `include/uapi/asm-generic/termbits.h`, as on
//! x86, Arm and RISC-V.

/// Bytes of `struct termios`.
pub(crate) const TERMIOS: usize = 36;

/// Bytes of `struct termios2`, whose beginning is a `struct termios`.
pub(crate) const TERMIOS2: usize = 44;

/// The bits of the output speed's code in the control flags, and the code for "see the number".
const CBAUD: u32 = 0o010_017;
const BOTHER: u32 = 0o010_000;

/// Where the code of the input speed is, from the right; 0 there is "as the output".
const INPUT_SHIFT: u32 = 16;

/// What code stands for which speed, in bit/s: 0 to 15, and from 0o10001 on.
const SLOW: [u32; 16] = [
    0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400,
];
const FAST: [u32; 15] = [
    57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000,
    2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

/// Characters of a new terminal (`INIT_C_CC`, include/linux/tty.h).
const CHARACTERS: [u8; 19] = [
    3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0,
];

/// What disables a special character (`__DISABLED_CHAR`).
pub(crate) const DISABLED: u8 = 0;

/// All settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) input: u32,
    pub(crate) output: u32,
    pub(crate) control: u32,
    pub(crate) local: u32,
    pub(crate) line: u8,
    pub(crate) characters: [u8; 19],
    /// In bit/s.
    pub(crate) input_speed: u32,
    /// In bit/s; 0 hangs up.
    pub(crate) output_speed: u32,
}

impl Default for Settings {
    /// Those of a serial port that nobody has used yet (`uart_register_driver`).
    fn default() -> Self {
        use libc::{CLOCAL, CREAD, CS8, HUPCL, ICRNL, IXON, ONLCR, OPOST};
        use libc::{ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ICANON, IEXTEN, ISIG};
        Self {
            input: ICRNL | IXON,
            output: OPOST | ONLCR,
            control: code(9600) | CS8 | CREAD | HUPCL | CLOCAL,
            local: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
            line: 0,
            characters: CHARACTERS,
            input_speed: 9600,
            output_speed: 9600,
        }
    }
}

impl Settings {
    /// What a client hands in: a `struct termios`, in which speeds are codes only, or a `struct
    /// termios2`. What it does not say stays as in `before`. `None` if the size is neither's.
    pub(crate) fn from_bytes(bytes: &[u8], before: &Self) -> Option<Self> {
        if bytes.len() != TERMIOS && bytes.len() != TERMIOS2 {
            return None;
        }
        let mut new = Self {
            input: word(bytes, 0),
            output: word(bytes, 4),
            control: word(bytes, 8),
            local: word(bytes, 12),
            line: bytes[16],
            characters: std::array::from_fn(|index| bytes[17 + index]),
            ..*before
        };
        let told = bytes.len() == TERMIOS2;
        let number = |at: usize, before: u32| match told {
            true => word(bytes, at),
            false => before,
        };
        new.output_speed = decode(new.control).unwrap_or(number(40, before.output_speed));
        new.input_speed = match new.control >> INPUT_SHIFT & CBAUD {
            0 => new.output_speed,
            _ => decode(new.control >> INPUT_SHIFT).unwrap_or(number(36, before.input_speed)),
        };
        Some(new)
    }

    /// As a `struct termios2`; a `struct termios` is its beginning.
    pub(crate) fn to_bytes(self) -> [u8; TERMIOS2] {
        let mut bytes = [0; TERMIOS2];
        for (at, word) in [
            (0, self.input),
            (4, self.output),
            (8, self.control),
            (12, self.local),
            (36, self.input_speed),
            (40, self.output_speed),
        ] {
            bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        bytes[16] = self.line;
        bytes[17..36].copy_from_slice(&self.characters);
        bytes
    }

    /// The same, where a speed that has a code is given as one (`tty_termios_encode_baud_rate`).
    pub(crate) fn encoded(mut self) -> Self {
        self.control &= !(CBAUD | CBAUD << INPUT_SHIFT);
        self.control |= code(self.output_speed);
        if self.input_speed != self.output_speed {
            self.control |= code(self.input_speed) << INPUT_SHIFT;
        }
        self
    }

    /// The same for bytes as they are, without echo: what is sensible where no person types.
    pub(crate) fn raw(mut self) -> Self {
        (self.input, self.output, self.local) = (0, 0, 0);
        self
    }

    /// What the port itself is set to, so that all its bytes and errors come as they are: the line
    /// as the client wants it, and nothing else. Breaks and errors are marked (`PARMRK`).
    pub(crate) fn for_port(&self) -> Self {
        use libc::{INPCK, IXANY, IXOFF, IXON, PARMRK, VMIN, VTIME};
        let mut port = *self;
        port.input = self.input & (IXON | IXOFF | IXANY | INPCK) | PARMRK;
        port.output = 0;
        port.local = 0;
        port.line = 0;
        port.characters[VMIN] = 1;
        port.characters[VTIME] = 0;
        port
    }

    /// Takes over what the port has made of it.
    pub(crate) fn read_back(&mut self, port: &Self) {
        self.control = port.control;
        self.input_speed = port.input_speed;
        self.output_speed = port.output_speed;
    }

    /// Whether all of these input flags are set.
    pub(crate) fn i(&self, flags: u32) -> bool {
        self.input & flags == flags
    }

    /// Likewise, of the output flags.
    pub(crate) fn o(&self, flags: u32) -> bool {
        self.output & flags == flags
    }

    /// Likewise, of the control flags.
    pub(crate) fn c(&self, flags: u32) -> bool {
        self.control & flags == flags
    }

    /// Likewise, of the local flags.
    pub(crate) fn l(&self, flags: u32) -> bool {
        self.local & flags == flags
    }

    /// The special character at `index`; `None` where it is disabled.
    pub(crate) fn character(&self, index: usize) -> Option<u8> {
        Some(self.characters[index]).filter(|byte| *byte != DISABLED)
    }

    /// Whether `byte` is the special character at `index`.
    pub(crate) fn is(&self, byte: u8, index: usize) -> bool {
        self.character(index) == Some(byte)
    }

    /// Bits on the line for each byte: start, data, parity, stop. At least 7.
    pub(crate) fn frame_bits(&self) -> u32 {
        let data = 5 + (self.control & libc::CSIZE) / libc::CS6;
        let parity = u32::from(self.c(libc::PARENB));
        1 + data + parity + 1 + u32::from(self.c(libc::CSTOPB))
    }

    /// Whether the port can have the other side wait: then input that nobody reads need not be
    /// lost.
    pub(crate) fn holds_input(&self) -> bool {
        self.i(libc::IXOFF) || self.c(libc::CRTSCTS)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|index| bytes[at + index]))
}

/// The code of a speed, in the place of the output's.
fn code(speed: u32) -> u32 {
    let slow = SLOW.iter().position(|known| *known == speed);
    let fast = FAST.iter().position(|known| *known == speed);
    // Lossless: both tables are short.
    match (slow, fast) {
        (Some(index), _) => index as u32,
        (_, Some(index)) => BOTHER + 1 + index as u32,
        (None, None) => BOTHER,
    }
}

/// The speed of a code in the place of the output's; `None` where it says "see the number".
fn decode(control: u32) -> Option<u32> {
    let code = control & CBAUD;
    if code == BOTHER {
        return None;
    }
    let index = (code & 0xf) as usize;
    Some(match code & BOTHER {
        0 => SLOW[index],
        _ => FAST[index - 1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_have_codes_or_numbers() {
        for (speed, flag) in [
            (0, libc::B0),
            (9600, libc::B9600),
            (38_400, libc::B38400),
            (57_600, libc::B57600),
            (4_000_000, libc::B4000000),
            (12_345, libc::BOTHER),
        ] {
            assert_eq!(code(speed), flag);
            let found = decode(flag);
            assert_eq!(found, (flag != libc::BOTHER).then_some(speed));
        }
    }

    #[test]
    fn what_is_handed_in_comes_back() {
        let before = Settings::default();
        let mut new = before;
        new.output_speed = 250_000;
        new.input_speed = 250_000;
        let new = new.encoded();
        assert_eq!(Settings::from_bytes(&new.to_bytes(), &before), Some(new));
        // The older structure has no room for the number.
        let old = &new.to_bytes()[..TERMIOS];
        let kept = Settings::from_bytes(old, &new);
        assert_eq!(kept, Some(new), "the number stays");
        assert_eq!(Settings::from_bytes(&[0; 18], &before), None);
    }

    #[test]
    fn a_frame_has_its_bits() {
        let mut settings = Settings::default();
        assert_eq!(settings.frame_bits(), 10);
        settings.control |= libc::PARENB | libc::CSTOPB;
        assert_eq!(settings.frame_bits(), 12);
        settings.control &= !libc::CSIZE;
        assert_eq!(settings.frame_bits(), 9);
    }
}
