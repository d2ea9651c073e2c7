//! The node as a whole: one line discipline, the clients, and the port behind them.
//!
//! It has all rules and knows neither requests nor threads, but for the calls that wait in
//! [`later`]. Whoever changes it calls [`State::advance`] afterwards, which does what has become
//! possible, and says what is to be done outside.

mod clients;
#[cfg(test)]
mod faults;
mod later;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

pub(crate) use later::Later;
pub(crate) use reading::{Reading, Timing};
pub(crate) use writing::Writing;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fusd::{Errno, PollEvents};

use crate::discipline::Discipline;
use crate::options::{OnLost, Options, Policy, Share};
use crate::port::{Port, Unit};
use crate::stats::Stats;
use crate::tap::{Direction, Tap};
use crate::termios::Settings;

/// Lines that the port's own side drives.
const DRIVEN: u32 = (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32;

/// How long what is sent may take after the last close, until the line is hung up all the same
/// (`closing_wait`).
const CLOSING: Duration = Duration::from_secs(30);

/// A write is announced where fewer bytes than this wait (`WAKEUP_CHARS`).
const WAKE_UP: usize = 256;

/// Echoes are dropped where more bytes than this wait: what a write may fill, and as much again
/// (`N_TTY_BUF_SIZE`).
const ECHOES: usize = 2 * 4096;

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
}

/// How a client has opened the node, and whether it may do more than read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    pub(crate) trusted: bool,
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
        }
    }

    /// Has all that goes through noted.
    pub(crate) fn tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// The port is there, for the first time or again. `found` is what it was set to.
    pub(crate) fn connect(&mut self, mut port: Box<dyn Port>, found: Option<Settings>) {
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

    /// From now on, clients have a line discipline of their own, whoever's settings count. What the
    /// settings were.
    pub(crate) fn bypass(&mut self) -> Settings {
        let before = *self.settings();
        self.bypassed = true;
        self.set_discipline(before);
        before
    }

    fn set_discipline(&mut self, mut new: Settings) {
        if self.bypassed {
            new.input &= libc::IXON | libc::IXOFF | libc::IXANY | libc::INPCK;
            (new.output, new.local) = (0, 0);
        }
        self.discipline.set(new);
    }

    /// The port is gone.
    pub(crate) fn disconnect(&mut self) {
        self.port = None;
        self.urgent = None;
        self.drained = false;
        self.stats.losses += 1;
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.port.is_none()
    }

    /// Leaves the port as it was found, and brings what was noted to its files.
    pub(crate) fn restore(&mut self) {
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

    pub(crate) fn settings(&self) -> &Settings {
        self.discipline.settings()
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
            Unit::Lines => {}
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

    fn throttle(&mut self) {
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

    /// Hangs up, if that is to be done and all is sent. What is stopped is not waited for without end.
    fn hang_up(&mut self, now: Instant, effects: &mut Effects) {
        if !self.hangs_up {
            self.hang_up_at = None;
            return;
        }
        let latest = *self.hang_up_at.get_or_insert(now + CLOSING);
        if now < latest && !self.is_sent(effects) {
            effects.look_at = Some(effects.look_at.map_or(latest, |then| then.min(latest)));
            return;
        }
        self.hangs_up = false;
        self.hang_up_at = None;
        self.drive(self.lines & !DRIVEN);
    }

    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    fn is_stopped(&self) -> bool {
        self.halted || self.discipline.stopped() || self.break_until.is_some()
    }

    /// Sends what the port takes.
    fn pump(&mut self) {
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

    fn drop_output(&mut self) {
        self.output.clear();
        if let Some(port) = &mut self.port {
            port.drop_output();
        }
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

    /// The modem lines. While the port is lost, there is no carrier.
    ///
    /// # Errors
    /// The port has none.
    pub(crate) fn lines(&mut self) -> Result<u32, Errno> {
        match &mut self.port {
            Some(port) => port.lines(),
            None => Ok(self.lines),
        }
    }

    /// The lines of this side.
    pub(crate) fn driven(&self) -> u32 {
        self.lines
    }

    /// Drives the lines of this side.
    ///
    /// # Errors
    /// The port has none.
    pub(crate) fn set_lines(&mut self, lines: u32) -> Result<(), Errno> {
        if let Some(port) = &mut self.port {
            port.set_lines(lines)?;
        }
        self.lines = lines;
        if let Some(tap) = &mut self.tap {
            tap.lines(lines);
        }
        Ok(())
    }

    /// Likewise; a port without lines has none to drive.
    fn drive(&mut self, lines: u32) {
        let _none = self.set_lines(lines);
    }

    /// Begins or ends a break at once.
    ///
    /// # Errors
    /// The port cannot.
    pub(crate) fn set_break_now(&mut self, on: bool) -> Result<(), Errno> {
        match &mut self.port {
            Some(port) => port.set_break(on),
            None => Err(Errno::EIO),
        }
    }

    fn set_break(&mut self, on: bool) {
        let _lost = self.set_break_now(on);
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
