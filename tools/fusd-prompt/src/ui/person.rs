//! The loop of the terminal's thread: what is shown follows what waits.
//!
//! Whenever another prompt takes the place of the one that is shown, also where the person has asked for
//! that, what is typed is dropped until nothing has been typed for a moment ([`GUARD`]): it was meant for
//! the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fusd::StopHandle;
use fusd_tool::Taken;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

use super::form::Form;
use super::keys::Keys;
use super::screen::{Screen, View};
use super::signals::Signals;
use super::tty::{self, Tty};
use crate::desk::Asked;
use crate::helper::Helper;
use crate::requests::Requests;

/// How long nothing must have been typed before keys count for a prompt that has taken another's place.
const GUARD: Duration = Duration::from_millis(400);

/// How long the rest of a key's bytes may take.
pub(super) const KEY: Duration = Duration::from_millis(100);

/// How often the times on the screen are brought up to date, and it is looked whether another program
/// has given the terminal back.
const TICK: Duration = Duration::from_secs(1);

/// Why the thread ends.
pub(super) enum End {
    /// It was told to.
    Told,
    /// The terminal has gone.
    Gone,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "the terminal has gone");
        Self::Gone
    }
}

/// What the terminal is taken as.
struct Front;

impl fusd_tool::Screen for Front {
    fn leave(&self) {
        tty::give_back_at_exit();
    }
}

/// The person at the terminal, as the thread knows them.
pub(super) struct Person {
    pub(super) requests: Requests,
    pub(super) tty: Tty,
    pub(super) signals: Signals,
    pub(super) end: Arc<AtomicBool>,
    /// The prompt that is shown.
    pub(super) shown: Option<u64>,
    /// What has been typed for each prompt that was shown.
    pub(super) forms: BTreeMap<u64, Form>,
    /// The prompts that the person has been told of by the bell.
    told: BTreeSet<u64>,
    /// Those that they have been told of in the background.
    told_behind: BTreeSet<u64>,
    pub(super) keys: Keys,
    /// A paste has begun, and its end has not come yet.
    pub(super) is_pasting: bool,
    /// Until when keys are dropped; each has it begin anew.
    pub(super) guard: Option<Instant>,
    /// While the terminal is taken, messages are held back.
    pub(super) taken: Option<Taken>,
    /// When bytes came last, and how long none had come before.
    pub(super) typed: Instant,
    pub(super) pause: Duration,
}

impl Person {
    pub(super) fn new(
        requests: Requests,
        tty: Tty,
        signals: Signals,
        end: Arc<AtomicBool>,
    ) -> Self {
        Self {
            requests,
            tty,
            signals,
            end,
            shown: None,
            forms: BTreeMap::new(),
            told: BTreeSet::new(),
            told_behind: BTreeSet::new(),
            keys: Keys::new(),
            is_pasting: false,
            guard: None,
            taken: None,
            typed: Instant::now(),
            pause: Duration::ZERO,
        }
    }

    /// Asks until it is told to end, or the terminal goes: then by `helper`, if there is one.
    pub(super) fn serve(mut self, helper: Option<&str>, stop: &StopHandle) {
        // To set the terminal up must not stop the tool, should a command have just taken it.
        let _unblockable = SigSet::from(Signal::SIGTTOU).thread_block();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            loop {
                if let Err(end) = self.turn() {
                    break end;
                }
            }
        }));
        self.give_back();
        match ended {
            Ok(End::Told) => return,
            Ok(End::Gone) => tracing::info!("the terminal has gone"),
            // What happened has been said by the panic itself.
            Err(_) => tracing::error!("the terminal is not served any more"),
        }
        let helper = helper.and_then(|command| match Helper::start(&self.requests, command) {
            Ok(helper) => Some(helper),
            Err(error) => {
                tracing::error!(%error, "no thread for the helper");
                None
            }
        });
        match helper {
            Some(helper) => {
                // The next signal for the terminal is nobody's; the end still is this thread's.
                while !self.end.load(Ordering::SeqCst) {
                    self.wait(false, None);
                    self.signals.drain();
                }
                drop(helper);
            }
            None => {
                self.requests.abandon();
                stop.stop();
            }
        }
    }

    /// Waits until something happens, and does what follows from it.
    fn turn(&mut self) -> Result<(), End> {
        self.renew()?;
        let events = self.wait(true, self.patience());
        self.signals.drain();
        if self.end.load(Ordering::SeqCst) {
            return Err(End::Told);
        }
        if self.signals.suspend() {
            self.stand_still();
        }
        if self.signals.resumed() && self.taken.is_some() && self.tty.is_ours() {
            self.tty.take_again()?;
            self.keys.clear();
            self.begin_guard();
        }
        // The screen is drawn at the next turn anyway.
        let _resized = self.signals.resized();
        if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            return Err(End::Gone);
        }
        if self.taken.is_some() && events.contains(PollFlags::POLLIN) {
            self.read()?;
        }
        self.type_all();
        Ok(())
    }

    /// Stops, with the terminal as it was; returns when the job goes on.
    fn stand_still(&mut self) {
        self.give_back();
        self.signals.stop();
    }

    /// Waits for the terminal, a signal, or the time; tells what is with the terminal.
    fn wait(&self, with_tty: bool, limit: Option<Duration>) -> PollFlags {
        let wanted = match self.taken {
            Some(_) => PollFlags::POLLIN,
            // Whether it is there still is told always.
            None => PollFlags::empty(),
        };
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if with_tty {
            fds.push(PollFd::new(self.tty.as_fd(), wanted));
        }
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            // Up, or it would spin for the last part of a millisecond.
            let limit = limit + Duration::from_micros(999);
            PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, limit) {
            Ok(_) => fds
                .get(1)
                .and_then(PollFd::revents)
                .unwrap_or(PollFlags::empty()),
            Err(Errno::EINTR) => PollFlags::empty(),
            Err(errno) => {
                tracing::error!(error = %fusd::Errno::from(errno), "poll of the terminal");
                PollFlags::POLLERR
            }
        }
    }

    /// How long nothing need be done unless something happens.
    fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        let guard = self.guard.map(|until| until.saturating_duration_since(now));
        let key = self.keys.is_partial().then(|| {
            let until = self.typed + KEY;
            until.saturating_duration_since(now)
        });
        let tick = self.requests.is_waiting().then_some(TICK);
        [guard, key, tick].into_iter().flatten().min()
    }

    /// Brings what is shown up to date with what waits.
    fn renew(&mut self) -> Result<(), End> {
        let list = self.requests.list();
        let is_there = |number: &u64| list.iter().any(|asked| asked.number == *number);
        self.forms.retain(|number, _| is_there(number));
        self.told.retain(is_there);
        self.told_behind.retain(is_there);
        let Some(oldest) = list.first() else {
            self.give_back();
            return Ok(());
        };
        if !self.tty.is_ours() {
            self.give_back();
            self.tell_in_background(&list);
            return Ok(());
        }
        let shown = self.shown.filter(is_there);
        if self.taken.is_none() {
            self.taken = Some(fusd_tool::take_screen(Arc::new(Front)));
            if !self.tty.take()? {
                // It is looked again at the next tick.
                self.give_back();
                return Ok(());
            }
            self.keys.clear();
            // Whoever was typing in the shell goes on for a moment.
            self.begin_guard();
        } else if shown.is_none() {
            self.begin_guard();
        }
        let number = shown.unwrap_or(oldest.number);
        self.shown = Some(number);
        self.ring(&list)?;
        if self.guard.is_some_and(|until| until <= Instant::now()) {
            self.guard = None;
        }
        self.draw(&list, number)
    }

    /// Shows a prompt of those that wait.
    fn draw(&mut self, list: &[Asked], number: u64) -> Result<(), End> {
        let place = list
            .iter()
            .position(|asked| asked.number == number)
            .unwrap_or(0);
        let settings = Arc::clone(self.requests.settings());
        let new = || Form::new(&settings, &list[place]);
        let form = self.forms.entry(number).or_insert_with(new);
        let view = View {
            settings: &settings,
            list,
            place,
            form,
            guarded: self.guard.is_some(),
            now: Instant::now(),
        };
        let screen = Screen::of(&view, self.tty.size());
        self.tty.write(&screen.draw()?)?;
        if screen.shows_end {
            form.end_is_seen = true;
        }
        form.pages = screen.pages;
        Ok(())
    }

    /// What was typed so far was for another prompt, or for none, and so is what comes until nothing has
    /// come for [`GUARD`].
    pub(super) fn begin_guard(&mut self) {
        // The rest of a paste that has begun is for none of them.
        for form in self.forms.values_mut() {
            form.drop_paste();
        }
        self.go_on_guarding();
    }

    /// Something has come: if keys are dropped, they are for longer.
    pub(super) fn go_on_guarding(&mut self) {
        self.guard = Some(Instant::now() + GUARD);
    }

    fn ring(&mut self, list: &[Asked]) -> Result<(), End> {
        let new = list
            .iter()
            .filter(|asked| self.told.insert(asked.number))
            .count();
        if new > 0 && self.requests.settings().bell {
            self.tty.write(b"\x07")?;
        }
        Ok(())
    }

    /// The terminal is another job's: the person is told that somebody waits.
    fn tell_in_background(&mut self, list: &[Asked]) {
        for asked in list {
            if self.told_behind.insert(asked.number) {
                let program = asked.who.title();
                fusd_tool::say(format!(
                    "fusd-prompt: {program}[{}] waits for an answer; bring this job to the \
                     foreground with fg\n",
                    asked.who.pid
                ));
            }
        }
    }

    /// Gives the terminal back as it was.
    pub(super) fn give_back(&mut self) {
        // Also where it was another job's the last time.
        tty::give_back();
        self.taken = None;
        self.shown = None;
        self.guard = None;
        self.is_pasting = false;
        self.keys.clear();
        for form in self.forms.values_mut() {
            form.drop_paste();
        }
    }
}
