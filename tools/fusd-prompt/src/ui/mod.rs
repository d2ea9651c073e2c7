//! The person's terminal: who asks, what they type, and what becomes of it.
//!
//! One thread does all of this. It takes the terminal when there is something to ask and gives it back
//! when there is not, so that in between the terminal is a shell's or a command's. Only one prompt is
//! shown at a time. Whenever another one takes its place, also where the person has asked for that, what is
//! typed is dropped until nothing has been typed for a moment ([`GUARD`]): it was meant for the one
//! before.

mod edit;
mod editor;
mod field;
mod form;
mod keys;
mod screen;
mod signals;
mod tty;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fusd::StopHandle;
use fusd_tool::Held;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

use self::form::{Form, Outcome};
use self::keys::{Key, Keys};
use self::screen::{Screen, View};
use self::signals::{Signals, Waker};
pub(crate) use self::tty::Tty;
use crate::desk::{Asked, By, Verdict};
use crate::helper::Helper;
use crate::requests::Requests;
use crate::secret::Secret;

/// How long nothing must have been typed before keys count for a prompt that has taken another's place.
const GUARD: Duration = Duration::from_millis(400);

/// How long the rest of a key's bytes may take.
const KEY: Duration = Duration::from_millis(100);

/// How often the times on the screen are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// Bytes that are read at once.
const PART: usize = 1024;

/// The thread's name, by which a panic of it is known.
const THREAD: &str = "terminal";

/// The thread of the terminal. Dropped, it ends, and the terminal is as it was.
pub(crate) struct Ui {
    end: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Ui {
    /// Asks at `tty` from now on, and by `helper` when that has gone. Where there is no helper either,
    /// the device ends then.
    ///
    /// # Errors
    /// There is no thread to be had, or the signals cannot be taken.
    pub(crate) fn start(
        requests: &Requests,
        tty: Tty,
        helper: Option<String>,
        stop: StopHandle,
    ) -> io::Result<Self> {
        let (signals, waker) = Signals::take()?;
        fusd_tool::on_exit(tty::give_back_at_exit);
        give_back_at_panic();
        let end = Arc::new(AtomicBool::new(false));
        let person = Person {
            requests: requests.clone(),
            tty,
            signals,
            end: Arc::clone(&end),
            shown: None,
            forms: BTreeMap::new(),
            told: BTreeSet::new(),
            told_behind: BTreeSet::new(),
            keys: Keys::new(),
            guard: None,
            taken: None,
            typed: Instant::now(),
        };
        let thread = thread::Builder::new().name(THREAD.into());
        let thread = thread.spawn(move || person.serve(helper.as_deref(), &stop))?;
        let woken = waker.clone();
        requests.set_asker(Arc::new(move || woken.wake()));
        Ok(Self {
            end,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        self.waker.wake();
        // A panic of it has been dealt with there.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Has a panic of the terminal's thread be read on a terminal that is as it was.
fn give_back_at_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some(THREAD) {
            tty::give_back_at_exit();
        }
        before(panic);
    }));
}

/// Why the thread ends.
enum End {
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

/// The person at the terminal, as the thread knows them.
struct Person {
    requests: Requests,
    tty: Tty,
    signals: Signals,
    end: Arc<AtomicBool>,
    /// The prompt that is shown.
    shown: Option<u64>,
    /// What has been typed for each prompt that was shown.
    forms: BTreeMap<u64, Form>,
    /// The prompts that the person has been told of by the bell.
    told: BTreeSet<u64>,
    /// Those that they have been told of in the background.
    told_behind: BTreeSet<u64>,
    keys: Keys,
    /// Until when keys are dropped; each has it begin anew.
    guard: Option<Instant>,
    /// While the terminal is taken, messages are held back.
    taken: Option<Held>,
    /// When bytes came last.
    typed: Instant,
}

impl Person {
    fn serve(mut self, helper: Option<&str>, stop: &StopHandle) {
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
            self.give_back();
            signals::stop();
        }
        if self.signals.resumed() && self.taken.is_some() && self.tty.is_ours() {
            self.tty.take_again()?;
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
        self.forms
            .retain(|number, _| list.iter().any(|asked| asked.number == *number));
        for told in [&mut self.told, &mut self.told_behind] {
            told.retain(|number| list.iter().any(|asked| asked.number == *number));
        }
        let Some(oldest) = list.first() else {
            self.give_back();
            return Ok(());
        };
        if !self.tty.is_ours() {
            self.give_back();
            self.tell_in_background(&list);
            return Ok(());
        }
        let shown = self
            .shown
            .filter(|number| list.iter().any(|it| it.number == *number));
        if self.taken.is_none() {
            self.taken = Some(fusd_tool::hold());
            self.tty.take()?;
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
        let place = list
            .iter()
            .position(|asked| asked.number == number)
            .unwrap_or(0);
        let settings = Arc::clone(self.requests.settings());
        let new = || Form::new(&settings, &list[place]);
        let form = self.forms.entry(number).or_insert_with(new);
        let view = View {
            settings: &settings,
            list: &list,
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
        Ok(())
    }

    /// What was typed so far was for another prompt, or for none, and so is what comes until nothing has
    /// come for [`GUARD`].
    fn begin_guard(&mut self) {
        self.keys.clear();
        self.tty.drop_input();
        // The end of a paste may be among what is dropped.
        for form in self.forms.values_mut() {
            form.drop_paste();
        }
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

    fn give_back(&mut self) {
        if self.taken.is_some() {
            tty::give_back();
        }
        self.taken = None;
        self.shown = None;
        self.guard = None;
        self.keys.clear();
    }

    fn read(&mut self) -> Result<(), End> {
        let tty = &self.tty;
        let count = match self.keys.read(PART, |room| tty.read(room)) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error.into()),
        };
        if count > 0 {
            self.typed = Instant::now();
            if self.guard.is_some() {
                // Each key has the guard begin anew.
                self.begin_guard();
            }
        }
        Ok(())
    }

    /// Does what all the keys say that are there.
    fn type_all(&mut self) {
        while let Some(key) = self.keys.next(self.typed.elapsed() >= KEY) {
            // Another prompt may have taken the place since the key came.
            let number = self.shown.filter(|number| self.requests.has(*number));
            match number {
                Some(number) if self.taken.is_some() && self.guard.is_none() => {
                    self.press(number, key);
                }
                _ => self.keys.clear(),
            }
        }
    }

    fn press(&mut self, number: u64, key: Key) {
        // In a paste, nothing is a key.
        let is_key = !self.is_pasting(number);
        match key {
            Key::Tab if is_key => self.move_by(1),
            Key::BackTab if is_key => self.move_by(-1),
            Key::Escape if is_key => self.decide(number, Verdict::Deny),
            _ => {
                let settings = Arc::clone(self.requests.settings());
                let Some(form) = self.forms.get_mut(&number) else {
                    return;
                };
                match form.press(key, &settings) {
                    Outcome::Open => {}
                    Outcome::Approved => self.decide(number, Verdict::Approve),
                    Outcome::Denied => self.decide(number, Verdict::Deny),
                    Outcome::Ended => self.decide(number, Verdict::Answer(Arc::new(Secret::new()))),
                    Outcome::Answered(answers) => {
                        let content = settings.template.fill(&answers);
                        self.decide(number, Verdict::Answer(Arc::new(content)));
                    }
                    Outcome::Editor => self.edit(number),
                }
            }
        }
    }

    fn is_pasting(&self, number: u64) -> bool {
        self.forms.get(&number).is_some_and(Form::is_pasting)
    }

    /// Shows another of the prompts that wait. What is typed on without a look at it, as after the name
    /// in a form, or as of a paste that is not marked as one, is for none of them.
    fn move_by(&mut self, step: isize) {
        self.begin_guard();
        let list = self.requests.list();
        let place = list
            .iter()
            .position(|asked| Some(asked.number) == self.shown);
        if let Some(place) = place {
            let count = list.len().cast_signed();
            let next = (place.cast_signed() + step).rem_euclid(count);
            self.shown = list.get(next.cast_unsigned()).map(|asked| asked.number);
            // It may not have been shown yet.
            if let (Some(number), Some(asked)) = (self.shown, list.get(next.cast_unsigned())) {
                let new = || Form::new(self.requests.settings(), asked);
                self.forms.entry(number).or_insert_with(new);
            }
        }
    }

    /// The person has decided. What comes after that in the same breath is for nobody.
    fn decide(&mut self, number: u64, verdict: Verdict) {
        self.forms.remove(&number);
        self.keys.clear();
        if self.requests.list().len() == 1 {
            // First the terminal: what the caller says then would be gone with this screen.
            self.give_back();
        }
        self.requests.decide(number, verdict, By::Terminal);
    }

    /// Has the person write the answer in their editor.
    fn edit(&mut self, number: u64) {
        let Some(form) = self.forms.get_mut(&number) else {
            return;
        };
        let text = Secret::of(form.edit.secret().bytes());
        self.give_back();
        let (requests, end, signals) = (&self.requests, &self.end, &self.signals);
        let wanted = || {
            // The editor has stopped by itself, and the shell waits for this process.
            if signals.suspend() {
                signals::stop();
            }
            requests.has(number) && !end.load(Ordering::SeqCst)
        };
        let edited = editor::run(&text, requests.own_processes(), wanted);
        self.signals.drain();
        let Some(form) = self.forms.get_mut(&number) else {
            return;
        };
        match edited {
            Ok(text) => {
                form.note = form.take_over(text);
                self.shown = Some(number);
            }
            Err(error) => {
                tracing::warn!(error, "no answer from the editor");
                form.note = Some("the editor gave no text");
                self.shown = Some(number);
            }
        }
    }
}
