//! The node as a whole: one line discipline, the clients, and the port behind them.
//!
//! It has all rules and knows neither requests nor threads, but for the calls that wait in
//! [`later`]. Whoever changes it calls [`State::advance`] afterwards, which does what has become
//! possible, and says what is to be done outside.

mod clients;
#[cfg(test)]
mod faults;
mod later;
mod lines;
mod reading;
mod receiving;
mod sending;
mod settings;
#[cfg(test)]
mod tests;
mod writing;

pub(crate) use later::Later;
pub(crate) use lines::DRIVEN;
pub(crate) use reading::{Reading, Timing};
pub(crate) use writing::Writing;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use fusd::{Errno, PollEvents};

use crate::discipline::Discipline;
use crate::options::{OnLost, Options};
use crate::port::Port;
use crate::stats::Stats;
use crate::tap::Tap;
use crate::termios::Settings;

/// A write is announced where fewer bytes than this wait (`WAKEUP_CHARS`).
const WAKE_UP: usize = 256;

/// An open file.
#[derive(Debug)]
struct Client {
    /// What it has read until now.
    place: u64,
    readable: bool,
    /// It has the right to write and to change things, and has opened the node for the first.
    may_change: bool,
    may_write: bool,
    /// Bytes it was too slow for.
    lost: u64,
    /// The process that has opened the node, or 0.
    process: u32,
}

/// How a client has opened the node, and whether it may do more than read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    pub(crate) trusted: bool,
    /// The process that opens it; 0 if nobody knows.
    pub(crate) process: u32,
}

/// What is to be done outside of the state.
#[derive(Default)]
pub(crate) struct Effects {
    /// Look again at this time.
    pub(crate) look_at: Option<Instant>,
    /// What the port's thread waits for has changed.
    pub(crate) interest: bool,
    /// Takes long: to be called on a thread of its own, and then [`State::drained`].
    pub(crate) drain: Option<Box<dyn FnOnce() + Send>>,
}

/// What the port's thread waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) input: bool,
    pub(crate) output: bool,
}

pub(crate) struct State {
    options: Options,
    discipline: Discipline,
    /// Clients have a line discipline of their own: this one hands on bytes as they are.
    bypassed: bool,
    /// `None` while it is lost.
    port: Option<Box<dyn Port>>,
    clients: BTreeMap<u64, Client>,
    /// Where all read, if each byte goes to one client.
    common: u64,
    /// What is to be sent.
    output: VecDeque<u8>,
    /// A stop or start character, which goes before that and is stopped by nothing: the last one that
    /// is meant.
    urgent: Option<u8>,
    /// A client has stopped the output (`TCOOFF`).
    halted: bool,
    /// Input is kept back: no client has room for more.
    throttled: bool,
    /// The lines of this side, as `TIOCM_` bits.
    lines: u32,
    /// To be hung up when all is sent, or at that time.
    hangs_up: bool,
    hang_up_at: Option<Instant>,
    /// Who writes alone for now, and who has asked to (`TIOCEXCL`).
    writer: Option<u64>,
    exclusive: Option<u64>,
    later: Vec<Later>,
    break_until: Option<Instant>,
    /// The port has been asked to tell when all is sent; it has told so, and nothing came since.
    draining: bool,
    drained: bool,
    /// What was sent when it was asked.
    drained_at: u64,
    interest: Interest,
    window: [u8; 8],
    stats: Stats,
    tap: Option<Tap>,
    /// The port is as it was found, and stays so.
    ended: bool,
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            discipline: Discipline::default(),
            bypassed: false,
            port: None,
            clients: BTreeMap::new(),
            common: 0,
            output: VecDeque::new(),
            urgent: None,
            halted: false,
            throttled: false,
            lines: 0,
            hangs_up: false,
            hang_up_at: None,
            writer: None,
            exclusive: None,
            later: Vec::new(),
            break_until: None,
            draining: false,
            drained: true,
            drained_at: 0,
            interest: Interest::default(),
            window: [0; 8],
            stats: Stats::default(),
            tap: None,
            ended: false,
        }
    }

    /// Has all that goes through noted.
    pub(crate) fn tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// The port is there, for the first time or again. `found` is what it was set to.
    pub(crate) fn connect(&mut self, mut port: Box<dyn Port>, found: Option<Settings>) {
        if self.ended {
            // It has come back too late.
            return port.restore();
        }
        let mut settings = found.unwrap_or(*self.discipline.settings());
        if let Err(error) = port.apply(&mut settings) {
            tracing::warn!(%error, "the port does not take its settings");
        }
        self.set_discipline(settings);
        match found {
            Some(_) => self.lines = port.lines().unwrap_or(0) & DRIVEN,
            None => drop(port.set_lines(self.lines)),
        }
        self.port = Some(port);
    }

    /// The port is gone.
    pub(crate) fn disconnect(&mut self) {
        self.port = None;
        self.urgent = None;
        self.drained = false;
        self.stats.losses += 1;
        self.note_lines();
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.port.is_none()
    }

    /// Leaves the port as it was found, also one that comes back later, and brings what was noted to its
    /// files.
    pub(crate) fn restore(&mut self) {
        self.ended = true;
        self.tap = None;
        if let Some(port) = &mut self.port {
            port.restore();
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            clients: self.clients.len(),
            ..self.stats
        }
    }

    /// Does what has become possible.
    pub(crate) fn advance(&mut self, now: Instant) -> Effects {
        let mut effects = Effects::default();
        if self.break_until.is_some_and(|until| until <= now) {
            self.break_until = None;
            self.set_break(false);
        }
        self.throttle();
        self.pump();
        self.serve_later(now, &mut effects);
        // That may have made room, or changed the settings.
        self.throttle();
        self.pump();
        self.hang_up(now, &mut effects);
        if let Some(until) = self.break_until {
            effects.look_at = Some(effects.look_at.map_or(until, |then| then.min(until)));
        }
        let unsent = self.port.as_ref().is_some_and(|port| port.has_unsent());
        let suspended = self.port.as_ref().is_some_and(|port| port.is_suspended());
        let waits = self.urgent.is_some() || !self.output.is_empty() && !self.is_stopped();
        let interest = Interest {
            input: !self.throttled,
            output: unsent || waits && !suspended,
        };
        effects.interest = interest != self.interest;
        self.interest = interest;
        effects
    }

    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// What poll(2) says of a file (`n_tty_poll`).
    pub(crate) fn readiness(&self, id: u64) -> PollEvents {
        let mut events = PollEvents::empty();
        let lost = self.is_lost() && self.options.on_lost != OnLost::Wait;
        events.set(PollEvents::READ, lost || self.has_enough(id));
        let backlog = self.port.as_ref().map_or(0, |port| port.backlog());
        let queued = self.output.len() + backlog;
        let has_turn = self.writer.is_none_or(|writer| writer == id);
        events.set(PollEvents::WRITE, lost || has_turn && queued < WAKE_UP);
        events
    }

    /// The port, to be asked for what only it knows.
    ///
    /// # Errors
    /// It is lost (`EIO`).
    pub(crate) fn port(&mut self) -> Result<&mut dyn Port, Errno> {
        match &mut self.port {
            Some(port) => Ok(port.as_mut()),
            None => Err(Errno::EIO),
        }
    }

    /// Rows and columns that somebody has set: nobody here uses them.
    pub(crate) fn window(&mut self) -> &mut [u8; 8] {
        &mut self.window
    }
}
