//! Who reads, who works: how the threads of a session share its load.
//!
//! One thread *leads*: it takes a request from the backend, puts it into the order of its file,
//! and runs its handler itself, with no other thread involved. That is the fast way: a thread that
//! is handed a request has to be woken first, which takes longer than most handlers do. It is also
//! what keeps the calls of one file in order, for nobody else reads.
//!
//! While the leader is inside a handler nobody reads, and interrupts arrive by the same way as
//! requests. So another thread *watches*: if the leader is still in the same handler a tick later,
//! the watcher takes the lead over, and the old leader, once it is done, is one thread more that
//! can help. Where one handler took long, others will: for a while then, and also where handlers
//! are short but the leader has no rest, with calls of several files coming in, it hands them to
//! *helpers* instead of running them; not where only one handler may run at a time.
//!
//! The watcher ticks only while there are calls.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sync::lock;

#[cfg(test)]
mod tests;

/// How often the watcher looks: a handler may keep the lead for one to two of these.
const TICK: Duration = Duration::from_millis(8);

/// After so many ticks without a call the watcher sleeps until there is one.
const QUIET_TICKS: u32 = 50;

/// The leader has no rest if it was busy at so many ticks in a row.
const BUSY_TICKS: u32 = 3;

/// After a handler that took long, the leader hands its calls over for so many ticks.
const WARY_TICKS: u32 = 25;

/// How often a thread that could not be started is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Helpers that wait for the next time they are needed; more than that end.
const RESERVE: usize = 2;

/// The threads of a session. `T` is a call that is ready for its handler.
pub(super) struct Crew<T> {
    limit: usize,
    /// Even: the leader reads. Odd: it is inside a handler. It only grows; who changes an odd value
    /// has the lead from then on.
    phase: AtomicU64,
    /// Counts calls of another file than the one before.
    switches: AtomicU64,
    /// The leader must hand calls over instead of running their handlers.
    hand_over: AtomicBool,
    /// The watcher sleeps, or there is none.
    asleep: AtomicBool,
    state: Mutex<State<T>>,
    /// The watcher waits for this.
    watch: Condvar,
    /// Helpers in reserve wait for this.
    help: Condvar,
}

/// Guarded by one lock, which is never held while anything waits or runs.
struct State<T> {
    threads: usize,
    led: bool,
    watched: bool,
    /// Threads inside a handler that do not lead. Together with the leader, at most `limit`.
    working: usize,
    /// Helpers that wait.
    reserve: usize,
    /// Calls handed over, oldest first.
    calls: VecDeque<T>,
    saturated: bool,
    /// Ticks to go in which handlers are expected to take long.
    wary: u32,
    /// When a watcher that could not be started was last tried again.
    tried: Option<Instant>,
    stop: bool,
    disbanded: bool,
}

/// What a thread is to do next.
pub(super) enum Duty<T> {
    /// Read, and run handlers, until [`Crew::done`] says otherwise.
    Lead,
    /// Run this handler, then ask [`Crew::helped`].
    Help(T),
    /// End; it has been counted out.
    Leave,
}

/// What comes of a call that the leader hands over.
pub(super) enum Handed<T> {
    /// Somebody else will run its handler.
    Over,
    /// As `Over`, but start a thread, which has been counted in: nobody is free.
    Recruit,
    /// There is no crew any more: nobody else will.
    Alone(T),
}

/// What the leader is once its handler has returned.
pub(super) enum Done<T> {
    /// Still the leader.
    Leads,
    /// A helper, with the next call, if there is one.
    Helps(Option<T>),
}

/// The leader's proof that it went into a handler as the leader.
pub(super) struct Phase(u64);

impl<T> Crew<T> {
    /// A crew in which at most `limit` handlers run at a time.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            phase: AtomicU64::new(0),
            switches: AtomicU64::new(0),
            hand_over: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            state: Mutex::new(State {
                threads: 0,
                led: false,
                watched: false,
                working: 0,
                reserve: 0,
                calls: VecDeque::new(),
                saturated: false,
                wary: 0,
                tried: None,
                stop: false,
                disbanded: false,
            }),
            watch: Condvar::new(),
            help: Condvar::new(),
        }
    }

    /// Counts a thread in that is about to be started.
    pub(super) fn recruit(&self) {
        lock(&self.state).threads += 1;
    }

    /// Counts a thread out: it could not be started, or it ends.
    pub(super) fn dismiss(&self) {
        let mut state = lock(&self.state);
        state.threads -= 1;
        if !state.watched {
            // It may have been the watcher.
            self.asleep.store(true, Ordering::SeqCst);
        }
    }

    /// Threads that have not ended, and are not in reserve.
    #[cfg(test)]
    fn threads(&self) -> usize {
        let state = lock(&self.state);
        state.threads - state.reserve
    }

    /// Sends all threads home that wait here.
    pub(super) fn stop(&self) {
        lock(&self.state).stop = true;
        self.watch.notify_all();
        self.help.notify_all();
    }

    /// After [`stop`](Self::stop): takes the calls that nobody has begun. Those that come later are
    /// for who brings them.
    pub(super) fn disband(&self) -> VecDeque<T> {
        let mut state = lock(&self.state);
        state.disbanded = true;
        mem::take(&mut state.calls)
    }

    /// Waits until there is something to do for the calling thread. `start` is to start a thread
    /// that has been counted in.
    pub(super) fn next(&self, start: &dyn Fn()) -> Duty<T> {
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                state.threads -= 1;
                return Duty::Leave;
            }
            if !state.led {
                state.led = true;
                if state.watched {
                    return Duty::Lead;
                }
                self.call_watcher(state, start);
                return Duty::Lead;
            }
            if !state.watched {
                state.watched = true;
                state = self.watch(state, start);
                state.watched = false;
            } else if self.has_room(&state)
                && let Some(call) = state.calls.pop_front()
            {
                state.working += 1;
                self.steer(&state);
                return Duty::Help(call);
            } else if state.reserve < RESERVE {
                state.reserve += 1;
                state = self
                    .help
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.reserve -= 1;
            } else {
                state.threads -= 1;
                return Duty::Leave;
            }
        }
    }

    /// The leader has a call; `switched`: of another file than the one before. With what it gets, it
    /// runs the handler, and then calls [`done`](Self::done). `None`: it has to
    /// [hand it over](Self::hand_over). `start` as for [`next`](Self::next).
    #[inline(always)]
    pub(super) fn enter(&self, switched: bool, start: &dyn Fn()) -> Option<Phase> {
        if switched {
            self.switches.fetch_add(1, Ordering::Relaxed);
        }
        if self.hand_over.load(Ordering::SeqCst) {
            return None;
        }
        let inside = self.phase.load(Ordering::Relaxed) + 1;
        self.phase.store(inside, Ordering::SeqCst);
        // Looked at again now that the phase shows: either this sees what a helper was promised,
        // or the helper sees that the leader is inside (`has_room`).
        if self.hand_over.load(Ordering::SeqCst) && self.leave(inside) {
            return None;
        }
        if self.asleep.load(Ordering::SeqCst) {
            self.see_to_watcher(start);
        }
        Some(Phase(inside))
    }

    /// The leader's handler has returned.
    #[inline]
    pub(super) fn done(&self, phase: &Phase) -> Done<T> {
        if self.leave(phase.0) {
            Done::Leads
        } else {
            Done::Helps(self.helped())
        }
    }

    /// A helper's handler has returned: the next call for it, if there is one.
    pub(super) fn helped(&self) -> Option<T> {
        let mut state = lock(&self.state);
        let next = state.calls.pop_front();
        if next.is_none() {
            state.working -= 1;
        }
        self.steer(&state);
        next
    }

    /// Hands a call to whoever is free, or will be. Not only for the leader.
    #[inline(never)]
    pub(super) fn hand_over(&self, call: T) -> Handed<T> {
        let mut state = lock(&self.state);
        if state.disbanded {
            return Handed::Alone(call);
        }
        state.calls.push_back(call);
        self.steer(&state);
        self.rouse(&state);
        if state.reserve > 0 {
            self.help.notify_one();
            return Handed::Over;
        }
        if self.needs_thread(&state) {
            state.threads += 1;
            return Handed::Recruit;
        }
        Handed::Over
    }

    /// Takes the newest call back that nobody has begun.
    pub(super) fn take_back(&self) -> Option<T> {
        let mut state = lock(&self.state);
        let call = state.calls.pop_back();
        self.steer(&state);
        call
    }

    /// The end of the phase `inside`; false if the lead is gone.
    fn leave(&self, inside: u64) -> bool {
        let order = (Ordering::SeqCst, Ordering::SeqCst);
        self.phase
            .compare_exchange(inside, inside + 1, order.0, order.1)
            .is_ok()
    }

    /// Wakes the watcher if it sleeps. It falls asleep under the lock, so it is not missed.
    fn rouse(&self, state: &MutexGuard<'_, State<T>>) {
        if state.watched && self.asleep.swap(false, Ordering::SeqCst) {
            self.watch.notify_one();
        }
    }

    /// Has a thread watch: one from the reserve, else a new one.
    fn call_watcher(&self, mut state: MutexGuard<'_, State<T>>, start: &dyn Fn()) {
        if state.reserve > 0 {
            self.help.notify_one();
        } else {
            state.threads += 1;
            drop(state);
            start();
        }
    }

    /// Wakes the watcher; where it could not be started, tries that again now and then.
    #[cold]
    fn see_to_watcher(&self, start: &dyn Fn()) {
        let mut state = lock(&self.state);
        if state.watched {
            self.rouse(&state);
        } else if state.tried.is_none_or(|tried| tried.elapsed() > RETRY) {
            state.tried = Some(Instant::now());
            self.asleep.store(false, Ordering::SeqCst);
            self.call_watcher(state, start);
        }
    }

    /// Says how the leader is to go on.
    fn steer(&self, state: &State<T>) {
        let full = state.working >= self.limit;
        // Where one handler runs at a time, to hand its call over gains nothing before it takes long.
        let expected = self.limit > 1 && (state.saturated || state.wary > 0);
        let hand_over = full || expected || !state.calls.is_empty();
        self.hand_over.store(hand_over, Ordering::SeqCst);
    }

    /// Whether one more helper may go into a handler.
    fn has_room(&self, state: &State<T>) -> bool {
        let leader =
            !self.hand_over.load(Ordering::SeqCst) || self.phase.load(Ordering::SeqCst) % 2 == 1;
        state.working + usize::from(leader) < self.limit
    }

    /// Whether calls wait that only a new thread can begin.
    fn needs_thread(&self, state: &State<T>) -> bool {
        // Beyond the workers: one that leads, one that watches.
        !state.calls.is_empty() && state.working < self.limit && state.threads < self.limit + 2
    }

    /// The watcher's time: returns when it has taken the lead from a slow handler, or when the
    /// crew stops.
    fn watch<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        start: &dyn Fn(),
    ) -> MutexGuard<'a, State<T>> {
        let mut seen = Seen::default();
        loop {
            state = self.tick(state, seen.quiet);
            if state.stop {
                return state;
            }
            let phase = self.phase.load(Ordering::SeqCst);
            if phase % 2 == 1 && phase == seen.phase && self.leave(phase) {
                // The old leader works on; this thread leads from here, as `next` will find.
                state.working += 1;
                state.wary = WARY_TICKS;
                state.led = false;
                self.steer(&state);
                return state;
            }
            state.wary = seen.caution(&state);
            state.saturated = seen.look(phase, self.switches.load(Ordering::Relaxed), &state);
            self.steer(&state);
            if state.calls.is_empty() {
                continue;
            }
            if state.reserve > 0 {
                self.help.notify_one();
            } else if self.needs_thread(&state) {
                state.threads += 1;
                drop(state);
                start();
                state = lock(&self.state);
            }
        }
    }

    /// Waits for a tick, or, if it has been `quiet` for long, for a call.
    fn tick<'a>(&'a self, state: MutexGuard<'a, State<T>>, quiet: u32) -> MutexGuard<'a, State<T>> {
        if quiet < QUIET_TICKS {
            let waited = self.watch.wait_timeout(state, TICK);
            return waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.asleep.store(true, Ordering::SeqCst);
        // Either this sees the leader inside, or the leader sees the sleeper (`enter`).
        if self.phase.load(Ordering::SeqCst) % 2 == 1 {
            self.asleep.store(false, Ordering::SeqCst);
            return state;
        }
        let state = self
            .watch
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(false, Ordering::SeqCst);
        state
    }
}

/// What the watcher remembers from tick to tick.
#[derive(Default)]
struct Seen {
    phase: u64,
    switches: u64,
    quiet: u32,
    busy: u32,
    /// The most handlers that took long at a time.
    slow: usize,
}

impl Seen {
    /// For how many more ticks handlers are expected to take long: anew for each one more that did.
    fn caution<T>(&mut self, state: &State<T>) -> u32 {
        if state.wary > 0 && state.working > self.slow {
            self.slow = state.working;
            return WARY_TICKS;
        }
        if state.working < self.slow {
            self.slow = state.working;
        }
        state.wary.saturating_sub(1)
    }

    /// Takes in how things are; returns whether the leader should hand its calls over.
    fn look<T>(&mut self, phase: u64, switches: u64, state: &State<T>) -> bool {
        let inside = phase % 2 == 1;
        let helped = state.working > 0 || !state.calls.is_empty();
        // Calls of one file alone gain nothing from a second thread.
        let mixed = switches != self.switches;
        let busy = mixed && (inside || state.saturated && helped);
        let quiet =
            !inside && phase == self.phase && !mixed && state.calls.is_empty() && state.wary == 0;
        self.quiet = if quiet { self.quiet + 1 } else { 0 };
        self.busy = if busy { self.busy + 1 } else { 0 };
        self.phase = phase;
        self.switches = switches;
        if state.saturated {
            busy
        } else {
            self.busy >= BUSY_TICKS
        }
    }
}
