//! What becomes of a byte that comes from the line.

use super::Discipline;
use super::characters::to_lower;
use super::input::End;
use crate::termios::DISABLED;

/// Bytes that a line can have without its end (`N_TTY_BUF_SIZE`).
const LINE_MAX: usize = 4095;

impl Discipline {
    /// One byte, as the settings have it (`n_tty_receive_char_special`).
    pub(super) fn receive_byte(&mut self, byte: u8) {
        use libc::{EXTPROC, IEXTEN, ISTRIP, IUCLC};
        let mut byte = byte;
        if self.settings.i(ISTRIP) {
            byte &= 0x7f;
        }
        if self.settings.i(IUCLC) && self.settings.l(IEXTEN) {
            byte = to_lower(byte);
        }
        if self.settings.l(EXTPROC) {
            self.store(byte);
        } else if std::mem::take(&mut self.quoted) || !self.handles(byte) {
            self.receive_plain(byte);
        }
    }

    /// A byte that means itself (`n_tty_receive_char`).
    fn receive_plain(&mut self, byte: u8) {
        use libc::{ECHO, IXANY, IXON, PARMRK};
        if self.settings.i(IXON | IXANY) {
            self.stopped = false;
        }
        if self.settings.l(ECHO) {
            self.echo_typed(byte);
        }
        if byte == 0xff && self.settings.i(PARMRK) {
            self.store(byte);
        }
        self.store(byte);
    }

    /// Whether the byte has a meaning, which then has been obeyed (`n_tty_receive_char_special`).
    fn handles(&mut self, byte: u8) -> bool {
        use libc::{ICRNL, IGNCR, INLCR, ISIG, IXANY, IXON};
        use libc::{VINTR, VQUIT, VSTART, VSTOP, VSUSP};
        let settings = self.settings;
        if settings.i(IXON) {
            if settings.is(byte, VSTART) {
                self.stopped = false;
                return true;
            }
            if settings.is(byte, VSTOP) {
                self.stopped = true;
                return true;
            }
        }
        let signals = [VINTR, VQUIT, VSUSP];
        if settings.l(ISIG) && signals.iter().any(|index| settings.is(byte, *index)) {
            self.receive_signal(byte);
            return true;
        }
        if settings.i(IXON | IXANY) {
            self.stopped = false;
        }
        let mut meant = byte;
        match byte {
            b'\r' if settings.i(IGNCR) => return true,
            b'\r' if settings.i(ICRNL) => meant = b'\n',
            b'\n' if settings.i(INLCR) => meant = b'\r',
            _ => {}
        }
        if self.has_lines() && self.handles_in_line(meant) {
            return true;
        }
        if meant == byte {
            return false;
        }
        self.receive_changed(meant);
        true
    }

    /// A carriage return that means a newline, or the other way round.
    fn receive_changed(&mut self, byte: u8) {
        if self.settings.l(libc::ECHO) {
            match byte {
                b'\n' => {
                    self.finish_erasing();
                    self.put_echo(b'\n');
                }
                _ => self.echo_typed(byte),
            }
        }
        self.store(byte);
    }

    /// Likewise, of those that have one in canonical mode (`n_tty_receive_char_canon`).
    fn handles_in_line(&mut self, byte: u8) -> bool {
        use libc::{ECHO, ECHOCTL, ECHONL, IEXTEN, PARMRK};
        use libc::{VEOF, VEOL, VEOL2, VERASE, VKILL, VLNEXT, VREPRINT, VWERASE};
        let settings = self.settings;
        let extended = settings.l(IEXTEN);
        let is = |index| settings.is(byte, index);
        if is(VERASE) || is(VKILL) || is(VWERASE) && extended {
            self.erase(byte);
        } else if is(VLNEXT) && extended {
            self.quoted = true;
            if settings.l(ECHO) {
                self.finish_erasing();
                if settings.l(ECHOCTL) {
                    self.put_echo(b'^');
                    self.put_echo(8);
                }
            }
        } else if is(VREPRINT) && settings.l(ECHO) && extended {
            self.reprint(byte);
        } else if byte == b'\n' {
            if settings.l(ECHO) || settings.l(ECHONL) {
                self.put_echo(b'\n');
            }
            self.input.end_line(byte, End::Byte);
        } else if is(VEOF) {
            self.input.end_line(DISABLED, End::File);
        } else if is(VEOL) || is(VEOL2) && extended {
            if settings.l(ECHO) {
                self.echo_first(byte);
            }
            if byte == 0xff && settings.i(PARMRK) {
                self.store(byte);
            }
            self.input.end_line(byte, End::Byte);
        } else {
            return false;
        }
        true
    }

    fn receive_signal(&mut self, byte: u8) {
        self.flush_for_signal();
        if self.settings.i(libc::IXON) {
            self.stopped = false;
        }
        if self.settings.l(libc::ECHO) {
            self.show(byte);
        }
    }

    /// Drops what waits, both ways, as a signal does (`NOFLSH`).
    pub(super) fn flush_for_signal(&mut self) {
        if !self.settings.l(libc::NOFLSH) {
            self.clear();
            self.echo.clear();
            self.drops_output = true;
        }
    }

    /// Has a byte read as it is.
    pub(super) fn store(&mut self, byte: u8) {
        if self.has_lines() && self.input.line_length() >= LINE_MAX {
            // As the kernel: the end of the line must find room.
            self.input.erase(1);
        }
        self.input.push(byte);
    }
}
