//! The ioctls that wait. They do so also on a file with `O_NONBLOCK`, as on any terminal, so the
//! library's queue is not the place for them.

use std::time::{Duration, Instant};

use fusd::{Errno, IoctlRequest};

use super::{Effects, State};
use crate::options::OnLost;
use crate::sys::COUNTERS;
use crate::termios::Settings;

/// How often changes of the lines are looked for while somebody waits for one. The port counts them,
/// so none is missed.
const LOOK: Duration = Duration::from_millis(2);

/// The line that drops when a port is lost.
const CARRIER: u32 = libc::TIOCM_CD as u32;

/// What is to happen, and whose call ends then.
pub(crate) struct Later {
    request: IoctlRequest,
    what: What,
}

enum What {
    /// All is sent.
    Sent,
    /// Then the settings change, and the input is dropped where that is asked for.
    Settings { id: u64, new: Settings, flush: bool },
    /// Then the line is held low for this time; since when that is over.
    Break { length: Duration, begun: bool },
    /// One of these lines changes (`TIOCM_` bits).
    Lines {
        mask: u32,
        /// `None` where the port was lost: when it is back, they may be anything.
        before: Option<[u8; COUNTERS]>,
        /// There was a carrier, which goes with the port.
        carrier: bool,
    },
}

/// Whether it has come to its end.
enum Step {
    Wait,
    Done,
    Fail(Errno),
}

impl State {
    /// Answers when all is sent.
    pub(crate) fn when_sent(&mut self, request: IoctlRequest) {
        self.wait(request, What::Sent);
    }

    /// Changes the settings when all is sent.
    pub(crate) fn set_when_sent(
        &mut self,
        request: IoctlRequest,
        id: u64,
        new: Settings,
        flush: bool,
    ) {
        self.wait(request, What::Settings { id, new, flush });
    }

    /// Sends a break when all is sent.
    pub(crate) fn send_break(&mut self, request: IoctlRequest, length: Duration) {
        let begun = false;
        self.wait(request, What::Break { length, begun });
    }

    /// Answers when one of the lines changes.
    pub(crate) fn when_lines_change(&mut self, request: IoctlRequest, mask: u32) {
        let waits = self.is_lost() && self.options.on_lost == OnLost::Wait;
        let before = match self.port().and_then(|port| port.counters()) {
            Ok(before) => Some(before),
            Err(_) if waits => None,
            Err(errno) => {
                request.fail(errno);
                return;
            }
        };
        let carrier = self.lines().is_ok_and(|lines| lines & CARRIER != 0);
        let what = What::Lines {
            mask,
            before,
            carrier,
        };
        self.wait(request, what);
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.later.len()
    }

    fn wait(&mut self, request: IoctlRequest, what: What) {
        self.later.push(Later { request, what });
    }

    /// The port has said that all it had was sent.
    pub(crate) fn drained(&mut self) {
        self.draining = false;
        self.drained = self.drained_at == self.stats.sent;
    }

    /// Whether all is sent; finds out if need be.
    pub(super) fn is_sent(&mut self, effects: &mut Effects) -> bool {
        if !self.output.is_empty() {
            return false;
        }
        let (drained, draining) = (self.drained, self.draining);
        let Some(port) = &mut self.port else {
            // Nothing is left to be sent when it is back.
            return true;
        };
        if drained {
            return true;
        }
        if draining {
            return false;
        }
        match port.drain() {
            None => {
                self.drained = port.queued() == 0;
                self.drained
            }
            drain => {
                effects.drain = drain;
                self.draining = true;
                // What is sent meanwhile has to be waited for again.
                self.drained_at = self.stats.sent;
                false
            }
        }
    }

    /// Goes on with all that wait.
    pub(super) fn serve_later(&mut self, now: Instant, effects: &mut Effects) {
        let mut waiting = std::mem::take(&mut self.later);
        waiting.retain_mut(|later| !later.request.is_abandoned());
        for mut later in waiting {
            match self.step(&mut later.what, now, effects) {
                Step::Wait => self.later.push(later),
                Step::Done => drop(later.request.reply(0, &[])),
                Step::Fail(errno) => drop(later.request.fail(errno)),
            }
        }
    }

    fn step(&mut self, what: &mut What, now: Instant, effects: &mut Effects) -> Step {
        if self.is_lost() {
            match (self.options.on_lost, &what) {
                (OnLost::Wait, What::Sent | What::Settings { .. }) => {}
                (
                    OnLost::Wait,
                    What::Lines {
                        mask,
                        carrier: true,
                        ..
                    },
                ) if mask & CARRIER != 0 => {
                    return Step::Done;
                }
                (OnLost::Wait, What::Break { .. } | What::Lines { .. }) => return Step::Wait,
                (OnLost::Eio | OnLost::Eof, _) => return Step::Fail(Errno::EIO),
            }
        }
        match what {
            What::Sent if self.is_sent(effects) => Step::Done,
            What::Settings { id, new, flush } if self.is_sent(effects) => {
                if *flush {
                    self.receive_all(now);
                    self.flush_input(*id);
                }
                match self.set(*id, *new) {
                    Ok(()) => Step::Done,
                    Err(errno) => Step::Fail(errno),
                }
            }
            What::Break { begun: true, .. } if self.break_until.is_none() => Step::Done,
            What::Break { length, begun } if !*begun && self.break_until.is_none() => {
                if !self.is_sent(effects) {
                    return Step::Wait;
                }
                if let Err(errno) = self.set_break_now(true) {
                    return Step::Fail(errno);
                }
                self.break_until = Some(now + *length);
                *begun = true;
                Step::Wait
            }
            What::Lines { before: None, .. } => Step::Done,
            What::Lines {
                mask,
                before: Some(before),
                ..
            } => self.lines_changed(*mask, before, now, effects),
            _ => Step::Wait,
        }
    }

    fn lines_changed(
        &mut self,
        mask: u32,
        before: &[u8; COUNTERS],
        now: Instant,
        effects: &mut Effects,
    ) -> Step {
        let port = match self.port() {
            Ok(port) => port,
            Err(errno) => return Step::Fail(errno),
        };
        let counters = match port.counters() {
            Ok(counters) => counters,
            Err(errno) => return Step::Fail(errno),
        };
        // In the order of struct serial_icounter_struct.
        let lines = [
            libc::TIOCM_CTS,
            libc::TIOCM_DSR,
            libc::TIOCM_RNG,
            libc::TIOCM_CD,
        ];
        for (number, line) in lines.into_iter().enumerate() {
            let place = 4 * number..4 * number + 4;
            if mask & line as u32 != 0 && counters[place.clone()] != before[place] {
                return Step::Done;
            }
        }
        if port.hides_changes() {
            effects.look_at = Some(now + LOOK);
        }
        Step::Wait
    }
}
