//! What goes to the port, and what stops it.

use super::State;
use crate::port::Port;
use crate::tap::Direction;

impl State {
    /// Sends what the port takes.
    pub(super) fn pump(&mut self) {
        let stopped = self.is_stopped();
        let Some(port) = &mut self.port else { return };
        if let Some(byte) = self.urgent
            && port.send(&[byte]).is_ok_and(|count| count > 0)
        {
            self.urgent = None;
            self.drained = false;
            self.stats.sent += 1;
            if let Some(tap) = &mut self.tap {
                tap.bytes(Direction::Sent, &[byte], self.lines);
            }
        }
        if stopped {
            // What the port itself has to say is not stopped.
            if port.has_unsent() {
                let _lost = port.send(&[]);
            }
            return;
        }
        while !self.output.is_empty() || port.has_unsent() {
            let (bytes, _) = self.output.as_slices();
            // If it is lost, its thread finds out.
            let count = port.send(bytes).unwrap_or(0);
            if count == 0 {
                break;
            }
            self.drained = false;
            self.stats.sent += count as u64;
            if let Some(tap) = &mut self.tap {
                tap.bytes(Direction::Sent, &bytes[..count], self.lines);
            }
            self.output.drain(..count);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.halted || self.discipline.stopped() || self.break_until.is_some()
    }

    pub(super) fn drop_output(&mut self) {
        self.output.clear();
        if let Some(port) = &mut self.port {
            port.drop_output();
        }
    }

    /// Drops what is not sent yet.
    pub(crate) fn flush_output(&mut self) {
        self.drop_output();
    }

    /// Stops or starts the output (`TCOOFF`, `TCOON`).
    pub(crate) fn halt(&mut self, halted: bool) {
        self.halted = halted;
    }

    /// Sends the stop character, or the start character, ahead of all else.
    pub(crate) fn send_flow(&mut self, stop: bool) {
        let index = if stop { libc::VSTOP } else { libc::VSTART };
        let sends = |port: &mut Box<dyn Port>| port.send_flow(stop);
        if !self.port.as_mut().is_some_and(sends) {
            self.urgent = self.settings().character(index).or(self.urgent);
        }
    }

    /// Bytes that are not sent yet.
    pub(crate) fn queued(&mut self) -> usize {
        self.output.len() + self.port.as_mut().map_or(0, |port| port.queued())
    }
}
