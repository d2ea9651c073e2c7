//! The thread between the terminal and the state.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::CLIENT;
use super::gate::{COPIED, Gate, Wants};
use crate::hub::Hub;
use crate::state::Writing;
use crate::sys;
use crate::termios::Settings;

/// How often the settings are looked at while somebody has the terminal open and writes nothing: nothing
/// tells of them.
const LOOK: Duration = Duration::from_millis(50);

/// The same, as poll(2) takes it.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    // Lossless: less than a second.
    tv_nsec: LOOK.as_nanos() as _,
};

pub(super) struct Bridge {
    hub: Hub,
    gate: Arc<Gate>,
    /// Tells of opens and closes.
    watches: OwnedFd,
    ends: Arc<AtomicBool>,
    /// What the port was set to last, from here, and when the terminal was looked at for that.
    settings: Option<Settings>,
    looked: Instant,
    /// Nobody has it open any more, and what was written before is not taken yet.
    hung_up: bool,
    buffer: Box<[u8; COPIED]>,
}

impl Bridge {
    pub(super) fn new(hub: Hub, gate: Arc<Gate>, watches: OwnedFd, ends: Arc<AtomicBool>) -> Self {
        Self {
            hub,
            gate,
            watches,
            ends,
            settings: None,
            looked: Instant::now(),
            hung_up: false,
            buffer: Box::new([0; COPIED]),
        }
    }

    pub(super) fn run(&mut self) {
        while !self.ends.load(Ordering::Acquire) {
            if let Err(error) = self.turn() {
                tracing::error!(%error, "the pseudo-terminal fails");
                return;
            }
        }
        self.close();
    }

    /// Waits for something, and does what has become possible.
    fn turn(&mut self) -> io::Result<()> {
        let wants = self.hub.queue().look(|state| self.gate.sleep(state));
        let result = self.wait(wants);
        self.gate.wake();
        let [found, rung, opened] = result?;
        if !rung.is_empty() {
            self.gate.bell().quiet();
        }
        let opened = !opened.is_empty();
        if opened {
            let mut events = [0; 1024];
            // Only that something has happened is of interest.
            while rustix::io::read(&self.watches, &mut events).is_ok_and(|count| count > 0) {}
        }
        if opened || !self.gate.is_open() || found.contains(PollFlags::HUP) {
            self.note_open()?;
        }
        if !self.gate.is_open() {
            let there = self.hub.queue().look(|state| state.readable(CLIENT));
            if there > 0 {
                self.hub.change(|state, _| state.flush_input(CLIENT));
            }
            return Ok(());
        }
        if self.hung_up {
            // Nobody is there to be given anything; what was left has been taken, as far as there was room.
            return Ok(());
        }
        let writes = found.contains(PollFlags::IN);
        // Before what is written after the change of them.
        if writes || opened || self.looked.elapsed() >= LOOK {
            self.follow_settings()?;
        }
        if writes {
            self.take_output()?;
        }
        if found.contains(PollFlags::OUT) {
            // The gate takes what there is.
            self.hub.change(|_, _| ());
        }
        Ok(())
    }

    /// Waits for something: at the terminal for what is wanted, of the state, or that somebody opens or
    /// closes the terminal.
    fn wait(&self, wants: Wants) -> io::Result<[PollFlags; 3]> {
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, wants.output > 0);
        events.set(PollFlags::OUT, wants.input);
        let mut ready = [
            PollFd::from_borrowed_fd(self.gate.descriptor(), events),
            PollFd::from_borrowed_fd(self.gate.bell().descriptor(), PollFlags::IN),
            PollFd::new(&self.watches, PollFlags::IN),
        ];
        // While nobody has it open it says so without end: then, only the others count, unless
        // something is left to be taken.
        let asked = self.gate.is_open() && (wants.output > 0 || !self.hung_up);
        let (these, limit) = match asked {
            true => (&mut ready[..], Some(&PAUSE)),
            false => (&mut ready[1..], None),
        };
        match poll(these, limit) {
            Err(Errno::INTR) => return Ok([PollFlags::empty(); 3]),
            result => result?,
        };
        Ok(ready.map(|ready| ready.revents()))
    }

    /// Notes whether anybody has the terminal open.
    fn note_open(&mut self) -> io::Result<()> {
        let mut ready = [PollFd::from_borrowed_fd(
            self.gate.descriptor(),
            PollFlags::IN,
        )];
        poll(&mut ready, Some(&Timespec::default()))?;
        let found = ready[0].revents();
        let is_open = !found.contains(PollFlags::HUP);
        // What was written before the close is sent all the same.
        let wanted = is_open || found.contains(PollFlags::IN);
        self.hung_up = wanted && !is_open;
        match (self.gate.is_open(), wanted) {
            (false, true) => {
                self.gate.set_open(true);
                self.hub.change(|state, _| state.take_line());
            }
            (true, false) => self.close(),
            _ => {}
        }
        if self.hung_up {
            self.follow_settings()?;
            self.take_output()?;
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.gate.is_open() {
            self.gate.set_open(false);
            self.hub.change(|state, _| state.leave_line());
        }
    }

    /// Sets the port as the terminal is set; lines and characters are the kernel's business.
    fn follow_settings(&mut self) -> io::Result<()> {
        let now = sys::settings(self.gate.master())?;
        self.looked = Instant::now();
        if self.settings == Some(now) {
            return Ok(());
        }
        self.settings = Some(now);
        let mut port = now.for_port();
        port.input &= libc::INPCK;
        let result = self.hub.change(|state, _| state.set(CLIENT, port));
        if let Err(error) = result {
            tracing::warn!(%error, "the port does not take the settings");
        }
        Ok(())
    }

    /// From the terminal to the port, as much as there is room for. It is read under the queue's lock:
    /// nothing else can have taken the room meanwhile.
    fn take_output(&mut self) -> io::Result<()> {
        let Self {
            hub, gate, buffer, ..
        } = self;
        hub.change(|state, _| {
            let room = gate.wants(state).output;
            if room == 0 {
                return Ok(());
            }
            let count = match rustix::io::read(gate.master(), &mut buffer[..room]) {
                Ok(count) => count,
                // EIO: nobody has it open any more.
                Err(Errno::AGAIN | Errno::IO) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            // All of it, or nothing where a write fails, as a line without anybody does.
            if let Writing::Take(taken) = state.writing(CLIENT, count) {
                state.write(CLIENT, &buffer[..taken], false);
            }
            Ok(())
        })
    }
}
