//! What comes from the port, and when that is to wait.

use std::time::{Duration, Instant};

use super::State;
use crate::options::Share;
use crate::port::Unit;

/// Echoes are dropped where more bytes than this wait: what a write may fill, and as much again
/// (`N_TTY_BUF_SIZE`).
const ECHOES: usize = 2 * 4096;

/// Longer than anything takes on the line that was sent before.
const AGES: Duration = Duration::from_secs(24 * 3600);

impl State {
    /// Whether bytes from the port would go through as they are, and the file `id` has read all before.
    pub(crate) fn passes_on(&self, id: u64) -> bool {
        self.bypassed && self.discipline.is_raw() && self.receives() && self.readable(id) == 0
    }

    /// Whether what comes from the line is heard (`CREAD`). Ports count it all the same.
    fn receives(&self) -> bool {
        self.settings().c(libc::CREAD)
    }

    /// Something has come from the port, of whose bytes the only client has the first ones already.
    pub(crate) fn receive_rest(&mut self, unit: Unit, taken: usize) {
        match unit {
            Unit::Bytes(bytes) if taken > 0 => {
                let rest = bytes.get(taken..).unwrap_or_default().to_vec();
                let mut taken_bytes = bytes;
                taken_bytes.truncate(taken);
                let first = Unit::Bytes(taken_bytes);
                if let Some(port) = &mut self.port {
                    port.came(&first);
                }
                if let Some(tap) = &mut self.tap {
                    tap.received(&first, self.lines);
                }
                self.stats.received += taken as u64;
                self.stats.read += taken as u64;
                if !rest.is_empty() {
                    self.receive(Unit::Bytes(rest));
                }
            }
            unit => self.receive(unit),
        }
    }

    /// Something has come from the port.
    pub(crate) fn receive(&mut self, unit: Unit) {
        if let Some(port) = &mut self.port {
            port.came(&unit);
        }
        if let Some(tap) = &mut self.tap {
            tap.received(&unit, self.lines);
        }
        match unit {
            Unit::Bytes(_) | Unit::Break | Unit::Error(_) if !self.receives() => {}
            Unit::Bytes(bytes) => {
                self.stats.received += bytes.len() as u64;
                self.discipline.receive(&bytes);
            }
            Unit::Break => {
                self.stats.breaks += 1;
                self.discipline.receive_break();
            }
            Unit::Error(byte) => {
                self.stats.errors += 1;
                self.discipline.receive_error(byte);
            }
            Unit::Lines => self.note_lines(),
            Unit::Speed(speed) => {
                let mut settings = *self.settings();
                (settings.input_speed, settings.output_speed) = (speed, speed);
                self.set_discipline(settings.encoded());
            }
        }
        if self.discipline.takes_output_back() {
            self.drop_output();
        }
        let echo = self.discipline.take_echo();
        // As a port that nobody has open. To read-only clients, nobody types.
        if !self.clients.is_empty() && !self.options.read_only {
            let room = ECHOES.saturating_sub(self.output.len());
            self.output.extend(echo.into_iter().take(room));
        }
        self.drop_what_nobody_reads();
    }

    /// Takes what comes next from a port that has no thread to bring it, if that has come by `now`;
    /// whether it has.
    pub(crate) fn receive_next(&mut self, now: Instant) -> bool {
        let unit = self.port.as_mut().and_then(|port| port.next(now));
        unit.map(|unit| self.receive(unit)).is_some()
    }

    /// Takes all of it: who asks for what comes from now on gets nothing that came before.
    pub(crate) fn receive_all(&mut self, now: Instant) {
        while self.receive_next(now) {}
    }

    /// Somebody is about to open the node. Where that is the first one, what others have sent is not for
    /// it if it comes back: the last close of a real port waits until it is on the line
    /// (`tty_port_close_start`), which the last release of a node cannot.
    pub(crate) fn settle(&mut self, now: Instant) {
        if !self.clients.is_empty() {
            return;
        }
        let looped = self.port.as_ref().is_some_and(|port| port.is_looped());
        let then = if looped { now + AGES } else { now };
        loop {
            self.pump();
            if !self.receive_next(then) {
                return;
            }
        }
    }

    pub(super) fn throttle(&mut self) {
        let full = self.is_full();
        if full == self.throttled {
            return;
        }
        self.throttled = full;
        let settings = *self.settings();
        if let Some(port) = self.port.as_mut().filter(|port| !port.handles_flow()) {
            port.want(!full);
            let index = if full { libc::VSTOP } else { libc::VSTART };
            if settings.i(libc::IXOFF) {
                self.urgent = settings.character(index).or(self.urgent);
            }
        }
    }

    /// Drops what has come and was not read by this client.
    pub(crate) fn flush_input(&mut self, id: u64) {
        let mut readers = self.clients.iter().filter(|(_, client)| client.readable);
        if self.options.share == Share::First || readers.all(|(reader, _)| *reader == id) {
            self.discipline.clear();
        }
        let start = self.discipline.start();
        if let Some(client) = self.clients.get_mut(&id) {
            client.place = start;
        }
        if self.options.share == Share::First {
            self.common = start;
        }
        self.drop_what_nobody_reads();
    }
}
