//! Requests that wait for somebody's decision, and what was decided before: the state of the tool,
//! without any input or output.
//!
//! A *prompt* is what a person is asked; it has one or more *waiters*, the calls that it will answer.
//! Whatever ends a prompt hands its waiters back, to be answered without the lock that guards this.

mod asked;
mod kept;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use self::asked::{Arrival, Asked, By, Closed, Decision, Operation, Place, Verdict};
use self::kept::Kept;
pub(crate) use self::kept::Key;
pub use self::kept::RememberBy;
use crate::rules::{Rules, Ruling};
use crate::who::Who;

/// What is decided without asking, and for how long a decision holds.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) rules: Rules,
    /// Programs that are refused silently.
    pub(crate) ignore: Vec<OsString>,
    /// Whoever a rule allows need not be asked about: the content is there.
    pub(crate) content_is_there: bool,
    /// Nobody is asked at all: those whom no rule is about are allowed, or denied where a rule allows
    /// others.
    pub(crate) unasked: bool,
    /// One answer is for everybody, for good.
    pub(crate) once: bool,
    pub(crate) remember: Option<(Duration, RememberBy)>,
    /// For so long a program that comes again is not asked about again.
    pub(crate) again: Duration,
    pub(crate) timeout: Option<Duration>,
    pub(crate) on_timeout: Verdict,
}

struct Prompt<W> {
    asked: Asked,
    waiters: BTreeMap<u64, W>,
}

/// The requests that wait, and what is remembered.
pub(crate) struct Desk<W> {
    policy: Policy,
    prompts: BTreeMap<u64, Prompt<W>>,
    kept: Kept,
    next: u64,
    /// Whether there is anybody to ask.
    attended: bool,
}

impl<W> Desk<W> {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            prompts: BTreeMap::new(),
            kept: Kept::default(),
            next: 0,
            attended: true,
        }
    }

    /// A call comes.
    pub(crate) fn arrive(
        &mut self,
        now: Instant,
        who: Arc<Who>,
        operation: Operation,
        patient: bool,
        waiter: W,
    ) -> Arrival<W> {
        if let Some(decision) = self.unasked(now, &who, &operation) {
            return Arrival::Decided(decision, waiter);
        }
        if !self.attended {
            return Arrival::Decided(Decision::new(Verdict::Deny, By::Nobody), waiter);
        }
        if !patient {
            return Arrival::WouldWait(waiter);
        }
        let number = self.number();
        let joined = self.prompts.values_mut().find(|prompt| {
            let asked = &prompt.asked;
            !operation.is_write() && asked.operation == operation && same_process(&asked.who, &who)
        });
        let prompt = match joined {
            Some(prompt) => {
                prompt.waiters.insert(number, waiter);
                prompt.asked.number
            }
            None => {
                let asked = Asked {
                    number,
                    who,
                    operation,
                    since: now,
                    deadline: self.policy.timeout.and_then(|limit| now.checked_add(limit)),
                };
                let waiters = BTreeMap::from([(number, waiter)]);
                self.prompts.insert(number, Prompt { asked, waiters });
                number
            }
        };
        Arrival::Waits(Place {
            prompt,
            waiter: number,
        })
    }

    /// Whether a rule is against `who`, whatever it does.
    pub(crate) fn refuses(&self, who: &Who) -> Option<Decision> {
        let policy = &self.policy;
        if policy
            .ignore
            .iter()
            .any(|program| who.may_be_program(program))
        {
            return Some(Decision::new(Verdict::Deny, By::Ignored));
        }
        let denied = policy.rules.ruling(who) == Some(Ruling::Deny);
        denied.then(|| Decision::new(Verdict::Deny, By::Rule))
    }

    /// What needs nobody to be asked.
    fn unasked(&mut self, now: Instant, who: &Who, operation: &Operation) -> Option<Decision> {
        if let Some(decision) = self.refuses(who) {
            return Some(decision);
        }
        let policy = &self.policy;
        let ruling = policy.rules.ruling(who);
        let at_hand = policy.content_is_there || operation.is_write();
        if ruling == Some(Ruling::Allow) && at_hand {
            return Some(Decision::new(Verdict::Approve, By::Rule));
        }
        if policy.unasked && !operation.is_write() {
            return Some(match policy.rules.has_allow() {
                true => Decision::new(Verdict::Deny, By::Rule),
                false => Decision::new(Verdict::Approve, By::File),
            });
        }
        if operation.is_write() {
            return None;
        }
        let verdict = self.kept.find(now, who)?;
        Some(Decision::new(verdict, By::Remembered))
    }

    /// Lets a waiter be seen while it waits.
    pub(crate) fn waiter(&self, place: Place) -> Option<&W> {
        self.prompts.get(&place.prompt)?.waiters.get(&place.waiter)
    }

    /// A caller has stopped waiting. Gives back its waiter, and its prompt if that has ended by this.
    pub(crate) fn withdraw(&mut self, place: Place) -> Option<(W, Option<Asked>)> {
        let prompt = self.prompts.get_mut(&place.prompt)?;
        let waiter = prompt.waiters.remove(&place.waiter)?;
        let ended = match prompt.waiters.is_empty() {
            true => self.prompts.remove(&place.prompt),
            false => None,
        };
        Some((waiter, ended.map(|prompt| prompt.asked)))
    }

    /// Somebody has decided. Gives back the prompts that this ends: none where it has ended before.
    pub(crate) fn decide(
        &mut self,
        now: Instant,
        number: u64,
        verdict: Verdict,
        by: By,
    ) -> Vec<Closed<W>> {
        let Some(prompt) = self.prompts.remove(&number) else {
            return Vec::new();
        };
        let (who, is_write) = (
            Arc::clone(&prompt.asked.who),
            prompt.asked.operation.is_write(),
        );
        let mut closed = vec![close(now, prompt, Decision::new(verdict.clone(), by))];
        if is_write {
            return closed;
        }
        let again = Some(Key::again(&who)).filter(|_| !self.policy.again.is_zero());
        if let Some(key) = again.flatten() {
            let until = now.checked_add(self.policy.again);
            // Also those that have come at the same moment, as the workers of a build do.
            closed.extend(self.keep(now, key, &verdict, until));
        }
        if !matches!(verdict, Verdict::Deny) {
            closed.extend(self.remember(now, &who, &verdict));
        }
        closed
    }

    /// Keeps an answer as long as it is to be kept, and gives it to others who wait for the same.
    fn remember(&mut self, now: Instant, who: &Who, verdict: &Verdict) -> Vec<Closed<W>> {
        let key = match self.policy.remember {
            _ if self.policy.once => Some((Key::Everybody, None)),
            Some((limit, by)) => by.key(who).map(|key| (key, now.checked_add(limit))),
            None => None,
        };
        match key {
            Some((key, until)) => self.keep(now, key, verdict, until),
            None => Vec::new(),
        }
    }

    fn keep(
        &mut self,
        now: Instant,
        key: Key,
        verdict: &Verdict,
        until: Option<Instant>,
    ) -> Vec<Closed<W>> {
        let fits =
            |prompt: &Prompt<W>| !prompt.asked.operation.is_write() && key.is_of(&prompt.asked.who);
        let numbers = self.prompts.iter().filter(|(_, prompt)| fits(prompt));
        let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
        self.kept.keep(key, verdict.clone(), until);
        let decision = Decision::new(verdict.clone(), By::Remembered);
        let others = numbers
            .iter()
            .filter_map(|number| self.prompts.remove(number));
        others
            .map(|prompt| close(now, prompt, decision.clone()))
            .collect()
    }

    /// Time has gone by: gives back the prompts whose time is over, and forgets what is to be
    /// forgotten.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Closed<W>> {
        self.kept.forget_until(now);
        let late = self
            .prompts
            .values()
            .filter(|prompt| {
                prompt
                    .asked
                    .deadline
                    .is_some_and(|deadline| deadline <= now)
            })
            .map(|prompt| prompt.asked.number);
        let late: Vec<u64> = late.collect();
        let decision = |prompt: &Prompt<W>| {
            // The default is an answer, not a leave to write.
            let verdict = match (prompt.asked.operation.is_write(), &self.policy.on_timeout) {
                (true, _) => Verdict::Deny,
                (false, verdict) => verdict.clone(),
            };
            Decision::new(verdict, By::Timeout)
        };
        let prompts = late.iter().filter_map(|number| self.prompts.remove(number));
        prompts
            .map(|prompt| {
                let decision = decision(&prompt);
                close(now, prompt, decision)
            })
            .collect()
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        let deadlines = self
            .prompts
            .values()
            .filter_map(|prompt| prompt.asked.deadline);
        deadlines.chain(self.kept.ends()).min()
    }

    /// Nobody can be asked from now on: gives back all prompts.
    pub(crate) fn abandon(&mut self, now: Instant) -> Vec<Closed<W>> {
        self.attended = false;
        let decision = Decision::new(Verdict::Deny, By::Nobody);
        let prompts = std::mem::take(&mut self.prompts).into_values();
        prompts
            .map(|prompt| close(now, prompt, decision.clone()))
            .collect()
    }

    /// Forgets all earlier decisions.
    pub(crate) fn forget(&mut self) {
        self.kept = Kept::default();
    }

    /// All that waits, the oldest first.
    pub(crate) fn list(&self) -> Vec<Asked> {
        self.prompts
            .values()
            .map(|prompt| prompt.asked.clone())
            .collect()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    /// Whether a prompt still waits.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.prompts.contains_key(&number)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn same_process(one: &Who, other: &Who) -> bool {
    one.pid != 0 && one.pid == other.pid && one.started.is_some() && one.started == other.started
}

fn close<W>(now: Instant, prompt: Prompt<W>, decision: Decision) -> Closed<W> {
    Closed {
        waiters: prompt.waiters.into_values().collect(),
        waited: now.saturating_duration_since(prompt.asked.since),
        who: prompt.asked.who,
        operation: prompt.asked.operation,
        decision,
    }
}
