//! What is done to the bytes that go out (`OPOST`, termios(3)), and the column they lead to.

use super::characters::{is_control, to_upper};
use crate::termios::Settings;

/// Columns to the next tab stop, and of spaces instead of a tab.
const TAB: usize = 8;

/// Where the cursor of a terminal at the other end would be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Column {
    pub(super) now: usize,
    /// Where the line that is being typed begins.
    pub(super) line: usize,
}

impl Column {
    /// One byte of a program's, or of an echo (`do_output_char`).
    pub(super) fn put(&mut self, settings: &Settings, byte: u8, out: &mut Vec<u8>) {
        use libc::{OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, XTABS};
        if !settings.o(OPOST) {
            out.push(byte);
            return;
        }
        let mut byte = byte;
        match byte {
            b'\n' => {
                if settings.o(ONLRET) {
                    self.now = 0;
                }
                if settings.o(ONLCR) {
                    self.now = 0;
                    out.push(b'\r');
                }
                self.line = self.now;
            }
            b'\r' => {
                if settings.o(ONOCR) && self.now == 0 {
                    return;
                }
                if settings.o(OCRNL) {
                    byte = b'\n';
                    if settings.o(ONLRET) {
                        (self.now, self.line) = (0, 0);
                    }
                } else {
                    (self.now, self.line) = (0, 0);
                }
            }
            b'\t' => {
                let spaces = TAB - self.now % TAB;
                self.now += spaces;
                if settings.o(XTABS) {
                    out.extend(std::iter::repeat_n(b' ', spaces));
                    return;
                }
            }
            8 => self.back(),
            _ if is_control(byte) => {}
            _ => {
                if settings.o(OLCUC) {
                    byte = to_upper(byte);
                }
                if !is_continuation(byte, settings) {
                    self.now += 1;
                }
            }
        }
        out.push(byte);
    }

    /// One column to the left.
    pub(super) fn back(&mut self) {
        self.now = self.now.saturating_sub(1);
    }
}

/// Whether it is a further byte of a character of UTF-8, where those are known (`IUTF8`).
pub(super) fn is_continuation(byte: u8, settings: &Settings) -> bool {
    settings.i(libc::IUTF8) && byte & 0xc0 == 0x80
}
