//! The desk with real calls on it: who comes, waits, is answered or refused, and what is told of that.
//!
//! Locks: the desk's alone, and nothing is answered, noted or started while it is held. Whoever asks
//! (`set_asker`) is told after it is let go.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use fusd::request::{Context, OpenRequest, ReadRequest, Request, WriteRequest};
use fusd::{Errno, OpenFile};
use fusd_tool::Clock;

use crate::answer_file;
use crate::audit::Audit;
use crate::desk::{Arrival, Asked, By, Closed, Decision, Desk, Operation, Place, Policy, Verdict};
use crate::device::OpenPrompt;
use crate::notify::Notifier;
use crate::process::OwnProcesses;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::who::Who;

/// A call that waits for an answer.
pub(crate) enum Waiter {
    Open(OpenRequest<OpenPrompt>),
    Read(ReadRequest, OpenFile<OpenPrompt>),
    Write(WriteRequest),
}

impl Waiter {
    pub(crate) fn context(&self) -> &Context {
        match self {
            Self::Open(request) => request.context(),
            Self::Read(request, _) => request.context(),
            Self::Write(request) => request.context(),
        }
    }

    pub(crate) fn fail(self, errno: Errno) {
        match self {
            Self::Open(request) => request.fail(errno),
            Self::Read(request, _) => request.fail(errno),
            Self::Write(request) => request.fail(errno),
        };
    }

    /// Lets the call succeed, with this content where it reads.
    fn grant(self, content: Arc<Secret>) {
        match self {
            Self::Open(request) => {
                request.accept(OpenPrompt::of(content));
            }
            Self::Read(request, file) => file.begin(content, request),
            Self::Write(request) => {
                request.accept();
            }
        }
    }
}

/// What is called when there is something new to ask, or nothing any more.
pub(crate) type Asker = Arc<dyn Fn() + Send + Sync>;

/// The requests of a device. Clones are the same.
#[derive(Clone)]
pub(crate) struct Requests(Arc<Inner>);

struct Inner {
    desk: Mutex<Desk<Waiter>>,
    /// The programs that rules name.
    named: Vec<PathBuf>,
    settings: Arc<Settings>,
    audit: Option<Audit>,
    notifier: Option<Notifier>,
    own: OwnProcesses,
    asker: Mutex<Option<Asker>>,
    clock: OnceLock<Clock>,
    /// The content that did not come from a person and was given last: who gets the same shares it, as
    /// locked memory is scarce.
    latest: Mutex<Weak<Secret>>,
}

impl Requests {
    pub(crate) fn new(
        policy: Policy,
        settings: Arc<Settings>,
        audit: Option<Audit>,
        notifier: Option<Notifier>,
        own: OwnProcesses,
    ) -> Self {
        let ignored = policy.ignore.iter().map(PathBuf::from);
        let named = policy.rules.programs().chain(ignored).collect();
        Self(Arc::new(Inner {
            desk: Mutex::new(Desk::new(policy)),
            named,
            settings,
            audit,
            notifier,
            own,
            asker: Mutex::new(None),
            clock: OnceLock::new(),
            latest: Mutex::default(),
        }))
    }

    /// Starts to watch the time. To be called once, before the first call.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start_clock(&self) -> std::io::Result<()> {
        let inner = Arc::downgrade(&self.0);
        let clock = Clock::start(move || {
            if let Some(inner) = inner.upgrade() {
                Self(inner).tick();
            }
        })?;
        let _first_counts = self.0.clock.set(clock);
        Ok(())
    }

    pub(crate) fn settings(&self) -> &Arc<Settings> {
        &self.0.settings
    }

    /// The processes that this program has started, which must not wait for it.
    pub(crate) fn own_processes(&self) -> &OwnProcesses {
        &self.0.own
    }

    /// Who asks from now on; what waits already is told of at once.
    pub(crate) fn set_asker(&self, asker: Asker) {
        *lock(&self.0.asker) = Some(Arc::clone(&asker));
        asker();
    }

    fn who(&self, waiter: &Waiter) -> Arc<Who> {
        Arc::new(Who::of(waiter.context().caller(), &self.0.named))
    }

    /// A call comes that needs an answer: it is answered, refused, or waits.
    pub(crate) fn arrive(&self, operation: Operation, waiter: Waiter) {
        let who = self.who(&waiter);
        if self.0.own.holds(who.pid) {
            tracing::warn!(
                pid = who.pid,
                program = who.title(),
                "the tool's own process would wait for itself: refused with EDEADLK"
            );
            waiter.fail(Errno::EDEADLK);
            return;
        }
        let patient = !waiter.context().nonblocking();
        let now = Instant::now();
        let mut desk = self.desk();
        match desk.arrive(now, Arc::clone(&who), operation.clone(), patient, waiter) {
            Arrival::Decided(decision, waiter) => {
                drop(desk);
                self.settle(vec![Closed {
                    waiters: vec![waiter],
                    who,
                    operation,
                    decision,
                    waited: std::time::Duration::ZERO,
                }]);
            }
            Arrival::WouldWait(waiter) => {
                drop(desk);
                waiter.fail(Errno::EAGAIN);
            }
            Arrival::Waits(place) => {
                let kept = desk.waiter(place).is_some_and(|waiter| {
                    let inner = Arc::downgrade(&self.0);
                    waiter.context().on_abandoned(move || {
                        if let Some(inner) = inner.upgrade() {
                            Self(inner).withdraw(place);
                        }
                    })
                });
                let asked = desk
                    .list()
                    .into_iter()
                    .find(|asked| asked.number == place.prompt);
                drop(desk);
                match (kept, asked) {
                    (true, Some(asked)) if place.is_first() => self.announce(&asked),
                    (true, Some(_)) => {}
                    _ => self.withdraw(place),
                }
            }
        }
    }

    /// Refuses a call that is no question where a rule is against its caller; else gives it back.
    pub(crate) fn pass(&self, operation: Operation, waiter: Waiter) -> Option<Waiter> {
        let who = self.who(&waiter);
        let Some(decision) = self.desk().refuses(&who) else {
            return Some(waiter);
        };
        self.settle(vec![Closed {
            waiters: vec![waiter],
            who,
            operation,
            decision,
            waited: std::time::Duration::ZERO,
        }]);
        None
    }

    /// Does what an option says for all, and notes it.
    pub(crate) fn follow(&self, operation: Operation, waiter: Waiter, verdict: Verdict) {
        let who = self.who(&waiter);
        self.settle(vec![Closed {
            waiters: vec![waiter],
            who,
            operation,
            decision: Decision {
                verdict,
                by: By::OnWrite,
            },
            waited: std::time::Duration::ZERO,
        }]);
    }

    fn announce(&self, asked: &Asked) {
        self.wake();
        if let Some(notifier) = &self.0.notifier {
            notifier.tell(asked, &self.0.settings, &self.0.own);
        }
    }

    /// The caller has stopped waiting.
    fn withdraw(&self, place: Place) {
        let withdrawn = self.desk().withdraw(place);
        let Some((waiter, ended)) = withdrawn else {
            return;
        };
        // Answers nobody: the call has ended.
        drop(waiter);
        if let Some(asked) = ended {
            if let Some(audit) = &self.0.audit {
                audit.withdrawn(&asked);
            }
            self.wake();
        }
    }

    /// All that waits, the oldest first.
    pub(crate) fn list(&self) -> Vec<Asked> {
        self.desk().list()
    }

    /// Whether anything waits.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.desk().is_empty()
    }

    /// Whether a prompt still waits.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.desk().has(number)
    }

    /// Somebody has decided; nothing happens where the prompt has ended before.
    pub(crate) fn decide(&self, number: u64, verdict: Verdict, by: By) {
        let closed = self.desk().decide(Instant::now(), number, verdict, by);
        self.settle(closed);
        self.wake();
    }

    /// There is nobody left to ask.
    pub(crate) fn abandon(&self) {
        let closed = self.desk().abandon(Instant::now());
        self.settle(closed);
    }

    /// Forgets all earlier answers.
    pub(crate) fn forget(&self) {
        self.desk().forget();
    }

    fn tick(&self) {
        let closed = self.desk().tick(Instant::now());
        if !closed.is_empty() {
            self.settle(closed);
        }
        self.wake();
    }

    /// Tells whoever asks, and the clock.
    fn wake(&self) {
        let next = self.desk().next_time();
        if let (Some(clock), Some(next)) = (self.0.clock.get(), next) {
            clock.at(next);
        }
        let asker = lock(&self.0.asker).clone();
        if let Some(asker) = asker {
            asker();
        }
    }

    /// Does what was decided: notes it first, as nobody is to get what nobody has noted.
    fn settle(&self, closed: Vec<Closed<Waiter>>) {
        for closed in closed {
            let outcome = self.outcome(&closed.decision, &closed.operation);
            let noted = match &self.0.audit {
                Some(audit) => audit.note(&closed, outcome.is_ok()),
                None => Ok(()),
            };
            let outcome = noted.and(outcome);
            for waiter in closed.waiters {
                match &outcome {
                    Ok(content) => waiter.grant(Arc::clone(content)),
                    Err(errno) => waiter.fail(*errno),
                }
            }
        }
        // What is kept may end some time.
        let next = self.desk().next_time();
        if let (Some(clock), Some(next)) = (self.0.clock.get(), next) {
            clock.at(next);
        }
    }

    /// The content that a decision comes to, or the errno.
    fn outcome(&self, decision: &Decision, operation: &Operation) -> Result<Arc<Secret>, Errno> {
        match (&decision.verdict, operation) {
            (Verdict::Deny, _) => Err(Errno::EACCES),
            (Verdict::Answer(content), _) => Ok(Arc::clone(content)),
            (Verdict::Approve, Operation::Write(_)) => Ok(Arc::new(Secret::new())),
            (Verdict::Approve, _) => match &self.0.settings.answer_file {
                Some(path) => answer_file::read(path)
                    .map(|it| self.share(it))
                    .map_err(|errno| {
                        tracing::warn!(file = %path.display(), error = %errno, "no answer");
                        Errno::EIO
                    }),
                None => Ok(self.share(self.0.settings.yes())),
            },
        }
    }

    fn share(&self, content: Secret) -> Arc<Secret> {
        let mut latest = lock(&self.0.latest);
        let same = latest.upgrade();
        if let Some(same) = same.filter(|it| it.bytes() == content.bytes()) {
            return same;
        }
        let content = Arc::new(content);
        *latest = Arc::downgrade(&content);
        content
    }

    fn desk(&self) -> MutexGuard<'_, Desk<Waiter>> {
        lock(&self.0.desk)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
