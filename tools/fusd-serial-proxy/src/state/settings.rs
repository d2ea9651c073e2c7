//! Whose settings count, and where they are kept: by the port and by the line discipline.

use fusd::Errno;

use super::{DRIVEN, State};
use crate::options::Policy;
use crate::termios::Settings;

impl State {
    pub(crate) fn settings(&self) -> &Settings {
        self.discipline.settings()
    }

    /// Changes the settings, as far as this client's count.
    ///
    /// # Errors
    /// The port does not take them.
    pub(crate) fn set(&mut self, id: u64, mut new: Settings) -> Result<(), Errno> {
        let owner = self.clients.keys().next().is_none_or(|first| *first == id);
        if !self.may_change(id) {
            return Ok(());
        }
        match self.options.settings {
            Policy::Last => {}
            Policy::Owner if owner => {}
            Policy::Owner | Policy::Fixed => return Ok(()),
        }
        let before = *self.settings();
        match &mut self.port {
            Some(port) => port.apply(&mut new)?,
            None => new = new.encoded(),
        }
        self.set_discipline(new);
        // B0 hangs up, and any other speed takes the line again (uart_set_termios).
        if before.output_speed != 0 && new.output_speed == 0 {
            self.drive(self.lines & !DRIVEN);
        } else if before.output_speed == 0 && new.output_speed != 0 {
            self.drive(self.lines | DRIVEN);
        }
        self.drop_what_nobody_reads();
        Ok(())
    }

    /// From now on, clients have a line discipline of their own, whoever's settings count. What the
    /// settings were.
    pub(crate) fn bypass(&mut self) -> Settings {
        let before = *self.settings();
        self.bypassed = true;
        self.set_discipline(before);
        before
    }

    pub(super) fn set_discipline(&mut self, mut new: Settings) {
        if self.bypassed {
            new.input &= libc::IXON | libc::IXOFF | libc::IXANY | libc::INPCK;
            (new.output, new.local) = (0, 0);
        }
        self.discipline.set(new);
    }
}
