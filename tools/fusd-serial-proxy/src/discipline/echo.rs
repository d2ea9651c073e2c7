//! Echo, and the keys that edit a line.

use super::Discipline;
use super::characters::{is_alphanumeric, is_control};
use super::output::is_continuation;

/// What an erasing key takes away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Character,
    Word,
    Line,
}

impl Discipline {
    /// Echoes a byte as it is.
    pub(super) fn put_echo(&mut self, byte: u8) {
        if byte == 0xff {
            // The kernel's own code for "what follows is no byte", which it sends as it is.
            self.echo.push(byte);
            self.column.now += 1;
            return;
        }
        self.column.put(&self.settings, byte, &mut self.echo);
    }

    /// Echoes a byte so that it can be seen: a control character with a caret (`ECHOCTL`).
    pub(super) fn show(&mut self, byte: u8) {
        if !self.settings.l(libc::ECHOCTL) || !is_control(byte) || byte == b'\t' {
            self.put_echo(byte);
            return;
        }
        self.echo.extend([b'^', byte ^ 0o100]);
        self.column.now += 2;
    }

    /// Echoes a byte that may be the first of a line.
    pub(super) fn echo_first(&mut self, byte: u8) {
        if self.input.line_length() == 0 {
            self.column.line = self.column.now;
        }
        self.show(byte);
    }

    /// Echoes a byte that becomes part of a line.
    pub(super) fn echo_typed(&mut self, byte: u8) {
        self.finish_erasing();
        self.echo_first(byte);
    }

    /// Ends the display of erased characters.
    pub(super) fn finish_erasing(&mut self) {
        if std::mem::take(&mut self.erasing) {
            self.put_echo(b'/');
        }
    }

    /// Shows the line once more.
    pub(super) fn reprint(&mut self, key: u8) {
        self.finish_erasing();
        self.show(key);
        self.put_echo(b'\n');
        for back in (0..self.input.line_length()).rev() {
            if let Some(byte) = self.input.last(back) {
                self.show(byte);
            }
        }
    }

    /// Erases a character, a word or the line (`eraser`).
    pub(super) fn erase(&mut self, key: u8) {
        use libc::{ECHO, ECHOE, ECHOK, ECHOKE, VERASE, VKILL, VWERASE};
        if self.input.line_length() == 0 {
            return;
        }
        let settings = self.settings;
        let kind = match () {
            () if settings.is(key, VERASE) => Kind::Character,
            () if settings.is(key, VWERASE) => Kind::Word,
            () => Kind::Line,
        };
        if kind == Kind::Line {
            if !settings.l(ECHO) {
                self.input.erase(usize::MAX);
                return;
            }
            if !settings.l(ECHOK | ECHOKE | ECHOE) {
                self.input.erase(usize::MAX);
                self.finish_erasing();
                self.show(settings.characters[VKILL]);
                if settings.l(ECHOK) {
                    self.put_echo(b'\n');
                }
                return;
            }
        }
        self.erase_characters(kind);
        if self.input.line_length() == 0 && settings.l(ECHO) {
            self.finish_erasing();
        }
    }

    fn erase_characters(&mut self, kind: Kind) {
        let mut in_word = false;
        while let Some(last) = self.input.last(0) {
            // One character may be several bytes; a part of one is left alone.
            let (mut count, mut first) = (1, last);
            while is_continuation(first, &self.settings) {
                let Some(before) = self.input.last(count) else {
                    return;
                };
                first = before;
                count += 1;
            }
            if kind == Kind::Word {
                if is_alphanumeric(first) || first == b'_' {
                    in_word = true;
                } else if in_word {
                    return;
                }
            }
            let rest: Vec<u8> = (0..count - 1)
                .rev()
                .filter_map(|back| self.input.last(back))
                .collect();
            self.input.erase(count);
            if self.settings.l(libc::ECHO) {
                self.show_erased(kind, first, &rest);
            }
            if kind == Kind::Character {
                return;
            }
        }
    }

    /// Shows that the character `first`, with the bytes `rest`, is no longer there.
    fn show_erased(&mut self, kind: Kind, first: u8, rest: &[u8]) {
        use libc::{ECHOCTL, ECHOE, ECHOPRT, VERASE};
        if self.settings.l(ECHOPRT) {
            if !self.erasing {
                self.put_echo(b'\\');
                self.erasing = true;
            }
            self.show(first);
            for byte in rest {
                self.put_echo(*byte);
                self.column.back();
            }
        } else if kind == Kind::Character && !self.settings.l(ECHOE) {
            self.show(self.settings.characters[VERASE]);
        } else if first == b'\t' {
            self.erase_tab();
        } else {
            let carets = self.settings.l(ECHOCTL);
            let columns = match is_control(first) {
                true => 2 * usize::from(carets),
                false => 1,
            };
            for _ in 0..columns {
                for byte in [8, b' ', 8] {
                    self.put_echo(byte);
                }
            }
        }
    }

    /// Goes back over a tab: how far depends on what is before it in the line.
    fn erase_tab(&mut self) {
        let mut columns = 0;
        let mut after_tab = false;
        for back in 0..self.input.line_length() {
            let Some(byte) = self.input.last(back) else {
                break;
            };
            if byte == b'\t' {
                after_tab = true;
                break;
            } else if is_control(byte) {
                columns += 2 * usize::from(self.settings.l(libc::ECHOCTL));
            } else if !is_continuation(byte, &self.settings) {
                columns += 1;
            }
        }
        columns &= 7;
        if !after_tab {
            columns += self.column.line;
        }
        for _ in 0..8 - (columns & 7) {
            self.echo.push(8);
            self.column.back();
        }
    }
}
