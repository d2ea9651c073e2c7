//! The life of one request: pending, then answered or abandoned, whichever comes first.

use std::fmt;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{carried, held};
use crate::backend::{Answer, Backend, Call, Content, FileId, Offer, RequestId, RingUse};
use crate::idmap::IdMap;
use crate::panics::contain;
use crate::ring::{self, SessionRings};
use crate::sync::lock;
use crate::trace::Trace;
use crate::{Caller, Delivery, Errno};

const PENDING: u64 = 0;
const ANSWERED: u64 = 1;
const ABANDONED: u64 = 2;

/// The part of a ticket's state that is one of those; above it, the bytes that have been taken.
const STAGE: u64 = 0b11;
const TAKEN: u32 = 32;

type Notice = Box<dyn FnOnce() + Send>;

/// One request that the kernel waits for. Shared by the request a device holds and the table in
/// which an interrupt finds it.
///
/// `state` leaves `PENDING` once; who takes it there, and nobody else, tells the kernel.
pub(crate) struct Ticket {
    id: RequestId,
    state: AtomicU64,
    /// It may be in the link's table.
    tabled: AtomicBool,
    /// It waits in a queue of the library's.
    parked: AtomicBool,
    caller: Caller,
    call: Call,
    notice: Mutex<Option<Notice>>,
    /// There has been a notice: where there never was one, nobody need look for it.
    noticed: AtomicBool,
    link: Arc<Link>,
    /// Set where an access log is kept, or somebody traces.
    since: Option<Instant>,
    /// What the call is about, where somebody traces.
    arguments: Option<Box<str>>,
}

impl Ticket {
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    pub(crate) fn call(&self) -> Call {
        self.call
    }

    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state.load(Ordering::Acquire) & STAGE == ABANDONED
    }

    #[inline]
    fn is_pending(&self) -> bool {
        self.state.load(Ordering::SeqCst) & STAGE == PENDING
    }

    /// Notes that `total` bytes of the call have been taken: from now on it cannot fail, but
    /// returns that number. False where the client has stopped waiting: then they have not been.
    pub(crate) fn take(&self, total: u32) -> bool {
        let next = PENDING | u64::from(total) << TAKEN;
        let take = |state| (state & STAGE == PENDING).then_some(next);
        let order = (Ordering::SeqCst, Ordering::Acquire);
        self.state.fetch_update(order.0, order.1, take).is_ok()
    }

    /// Lets the file that this opens be mapped.
    pub(crate) fn offer(&self, offer: &Offer) -> io::Result<()> {
        self.link.backend.offer(self.id, offer)
    }

    /// Has the kernel serve reads of the file that this opens, where it can and nobody wants to hear
    /// of each: else they come, and the session answers them.
    pub(crate) fn publish(&self, content: &Content) {
        if self.link.access_log || self.arguments.is_some() {
            return;
        }
        match self.link.backend.publish(self.id, content) {
            Ok(()) => {}
            // The client has gone, and this opens nothing; or not through this backend.
            Err(error) if matches!(Errno::from(&error), Errno::ENOENT | Errno::EOPNOTSUPP) => {}
            Err(error) => tracing::debug!(%error, "not published: reads come to the driver"),
        }
    }

    /// Whether somebody traces.
    pub(crate) fn is_traced(&self) -> bool {
        self.arguments.is_some()
    }

    /// The file that this opens, by the kernel's number.
    pub(crate) fn file(&self) -> Option<FileId> {
        self.link.backend.file_of(self.id)
    }

    /// Notes that the request waits in a queue, and nothing of it has been done.
    pub(crate) fn park(&self) {
        self.parked.store(true, Ordering::Release);
    }

    /// Which backend, and where its node is.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.link.backend
    }

    pub(crate) fn on_abandoned(&self, notice: Notice) -> bool {
        let replaced = {
            let mut slot = lock(&self.notice);
            // `abandon` changes the state before it looks for a notice under this lock.
            if self.is_abandoned() {
                return false;
            }
            self.noticed.store(true, Ordering::Release);
            slot.replace(notice)
        };
        drop(replaced);
        true
    }

    /// Answers the request unless somebody was faster.
    #[inline]
    pub(crate) fn finish(&self, answer: Answer<'_>) -> Delivery {
        self.end(answer, false)
    }

    /// Likewise, once the handler that runs on this thread has returned, or before. What becomes of
    /// the answer is not known.
    #[inline]
    pub(crate) fn finish_at_return(&self, answer: Answer<'_>) {
        self.end(answer, true);
    }

    #[inline]
    fn end(&self, answer: Answer<'_>, at_return: bool) -> Delivery {
        let Some(taken) = self.leave(ANSWERED) else {
            return Delivery::Unwanted;
        };
        let answer = instead_of_failure(answer, taken);
        self.link.forget(self);
        self.log(&answer);
        let backend = &self.link.backend;
        let kept = self.link.holds && held::keep(backend, self.id, self.call, &answer)
            || at_return && carried::keep(backend, self.id, self.call, &answer);
        let delivery = if kept {
            Delivery::Delivered
        } else {
            self.send(answer)
        };
        // The notice may own what the driver must drop outside of any lock of ours.
        if self.noticed.load(Ordering::Acquire) {
            let unused = lock(&self.notice).take();
            drop(unused);
        }
        delivery
    }

    fn send(&self, answer: Answer<'_>) -> Delivery {
        match self.link.backend.answer(self.id, self.call, answer) {
            Ok(()) => Delivery::Delivered,
            Err(error) => {
                if Errno::from(&error) != Errno::ENOENT {
                    tracing::debug!(call = %self.call, %error, "answer not delivered");
                }
                Delivery::Unwanted
            }
        }
    }

    /// Ends the request for the client with `errno` unless it was answered, and tells the driver.
    fn abandon(&self, errno: Errno) -> bool {
        let Some(taken) = self.leave(ABANDONED) else {
            return false;
        };
        self.link.forget(self);
        let answer = instead_of_failure(Answer::Error(errno), taken);
        self.log(&answer);
        if let Err(error) = self.link.backend.answer(self.id, self.call, answer) {
            tracing::debug!(call = %self.call, %error, "interrupt not answered");
        }
        let notice = lock(&self.notice).take();
        if let Some(notice) = notice {
            // This thread has more to do than to serve this one caller.
            contain("a notice", notice);
        }
        true
    }

    /// Gives the request back for the driver's successor, unless it was answered, and tells this
    /// driver that it is rid of it. Of what has been taken already, the client is told.
    pub(crate) fn give_back(&self) {
        let Some(taken) = self.leave(ABANDONED) else {
            return;
        };
        self.link.forget(self);
        let backend = &self.link.backend;
        let given = match taken {
            0 => backend.give_back(self.id, self.call),
            taken => backend.answer(self.id, self.call, Answer::Count(taken)),
        };
        if let Err(error) = given {
            tracing::debug!(call = %self.call, %error, "request not given back");
        }
        let notice = lock(&self.notice).take();
        if let Some(notice) = notice {
            contain("a notice", notice);
        }
    }

    /// Ends the pending stage; returns how many bytes had been taken by then, or `None` where
    /// somebody was faster.
    #[inline]
    fn leave(&self, stage: u64) -> Option<u32> {
        let order = (Ordering::SeqCst, Ordering::Acquire);
        let leave = |state: u64| (state & STAGE == PENDING).then_some(state | stage);
        let left = self.state.fetch_update(order.0, order.1, leave);
        // Lossless: the upper half.
        left.ok().map(|state| (state >> TAKEN) as u32)
    }

    #[inline]
    fn log(&self, answer: &Answer<'_>) {
        let Some(since) = self.since else { return };
        if let Some(arguments) = &self.arguments {
            let (call, result) = (self.call.to_string(), Outcome(answer).to_string());
            let outcome = (answer, result.as_str());
            let trace = &self.link.trace;
            trace.tell(&self.caller, &call, arguments, outcome, since.elapsed());
        }
        if !self.link.access_log {
            return;
        }
        tracing::info!(
            target: crate::ACCESS_LOG,
            pid = self.caller.pid(),
            uid = self.caller.uid,
            program = self.caller.program().as_deref().unwrap_or("?"),
            operation = %self.call,
            result = %Outcome(answer),
            micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

/// The answer of a call of which so many bytes have been taken: it has come so far, whatever stops
/// it there, or the client would do it again.
#[inline]
fn instead_of_failure(answer: Answer<'_>, taken: u32) -> Answer<'_> {
    match answer {
        Answer::Error(_) if taken > 0 => Answer::Count(taken),
        answer => answer,
    }
}

/// An answer as the access log shows it: a count or the name of an errno.
struct Outcome<'a>(&'a Answer<'a>);

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Answer::Error(errno) => write!(f, "{errno:?}"),
            Answer::Unimplemented => f.write_str("unimplemented"),
            Answer::Done => f.write_str("0"),
            Answer::Opened(file, _) => write!(f, "file {}", file.0),
            Answer::Data(parts) => write!(f, "{}", parts.iter().map(|p| p.len()).sum::<usize>()),
            Answer::Count(count) => write!(f, "{count}"),
            Answer::Ioctl { result, .. } => write!(f, "{result}"),
            Answer::Again { .. } => f.write_str("again"),
            Answer::Ready(events) => write!(f, "{:#x}", events.bits()),
            Answer::Size(size) => write!(f, "{size}"),
        }
    }
}

/// The device's own end of a ticket: answers `EIO` when it is dropped unanswered.
pub(crate) struct Pending(Arc<Ticket>);

impl Pending {
    pub(crate) fn ticket(&self) -> &Ticket {
        &self.0
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.0.is_pending() {
            return;
        }
        // The client first: the log is other people's code.
        self.0.finish(Answer::Error(Errno::EIO));
        let call = self.0.call;
        if std::thread::panicking() {
            tracing::error!(
                %call,
                "bug in the driver: its handler panicked; the call is EIO"
            );
        } else {
            tracing::error!(
                %call,
                "bug in the driver: request dropped unanswered; it is EIO"
            );
        }
    }
}

/// The requests a session has not answered yet, and the backend that carries the answers.
pub(crate) struct Link {
    pub(crate) backend: Arc<dyn Backend>,
    /// Lock order: before `table`.
    latest: Mutex<Latest>,
    /// Requests that were still pending when the next one came.
    table: Mutex<IdMap<RequestId, Arc<Ticket>>>,
    access_log: bool,
    trace: Trace,
    /// Answers may have to wait for the readiness they bring about.
    holds: bool,
    rings: SessionRings,
}

/// The request that came last. Most are answered before the next one comes: those never see the
/// table, and leave their ticket to their successor.
#[derive(Default)]
struct Latest {
    ticket: Option<Arc<Ticket>>,
    closed: bool,
}

impl Link {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self {
            holds: backend.takes_readiness(),
            trace: Trace::new(backend.kind(), backend.path()),
            backend,
            latest: Mutex::default(),
            table: Mutex::default(),
            access_log: tracing::enabled!(target: crate::ACCESS_LOG, tracing::Level::INFO),
            rings: SessionRings::default(),
        })
    }

    /// Takes a request in. `None` once the link is closed: then it has been answered `EPIPE`.
    /// `arguments` says what it is about, where somebody traces.
    pub(crate) fn admit(
        self: &Arc<Self>,
        id: RequestId,
        caller: Caller,
        call: Call,
        arguments: impl FnOnce() -> String,
    ) -> Option<Pending> {
        let arguments = self
            .trace
            .is_watched()
            .then(|| arguments().into_boxed_str());
        let mut latest = lock(&self.latest);
        let ticket = self.ticket(latest.ticket.take(), id, caller, call, arguments);
        if latest.closed {
            drop(latest);
            ticket.abandon(Errno::EPIPE);
            return None;
        }
        latest.ticket = Some(Arc::clone(&ticket));
        Some(Pending(ticket))
    }

    /// A pending ticket: `last` if nobody else holds it, else a new one.
    fn ticket(
        self: &Arc<Self>,
        last: Option<Arc<Ticket>>,
        id: RequestId,
        caller: Caller,
        call: Call,
        arguments: Option<Box<str>>,
    ) -> Arc<Ticket> {
        let since = (self.access_log || arguments.is_some()).then(Instant::now);
        if let Some(mut last) = last {
            if let Some(ticket) = Arc::get_mut(&mut last) {
                ticket.id = id;
                *ticket.state.get_mut() = PENDING;
                *ticket.tabled.get_mut() = false;
                *ticket.parked.get_mut() = false;
                *ticket.noticed.get_mut() = false;
                *ticket
                    .notice
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner) = None;
                ticket.caller = caller;
                ticket.call = call;
                ticket.since = since;
                ticket.arguments = arguments;
                return last;
            }
            self.remember(last);
        }
        Arc::new(Ticket {
            id,
            state: AtomicU64::new(PENDING),
            tabled: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            caller,
            call,
            notice: Mutex::new(None),
            noticed: AtomicBool::new(false),
            link: Arc::clone(self),
            since,
            arguments,
        })
    }

    /// Puts a ticket that may be pending into the table.
    fn remember(&self, ticket: Arc<Ticket>) {
        if !ticket.is_pending() {
            return;
        }
        let mut table = lock(&self.table);
        ticket.tabled.store(true, Ordering::SeqCst);
        // Either this sees that it has been settled, or who settles it sees that it is here.
        if ticket.is_pending() {
            table.insert(ticket.id, ticket);
        }
    }

    /// The client no longer waits for `id`. False where no such request is pending (yet).
    pub(crate) fn interrupt(&self, id: RequestId) -> bool {
        let ticket = {
            let latest = lock(&self.latest);
            match &latest.ticket {
                Some(ticket) if ticket.id == id => Some(Arc::clone(ticket)),
                _ => lock(&self.table).remove(&id),
            }
        };
        ticket.is_some_and(|ticket| ticket.abandon(Errno::EINTR))
    }

    /// Ends all pending requests with `EPIPE`, and those that come later.
    pub(crate) fn shut(&self) {
        for ticket in self.close() {
            ticket.abandon(Errno::EPIPE);
        }
        self.rings.end();
    }

    /// Has a ring belong to the session, as [`SessionRings::join`] does. What is served by the kernel neither
    /// comes to an access log, nor could the next driver go on with it.
    pub(crate) fn join(
        &self,
        ring: &Arc<ring::Shared>,
        wanted: RingUse,
        shared: bool,
    ) -> io::Result<Option<u64>> {
        let shared = shared && !self.access_log && !self.backend.keeps();
        self.rings.join(&self.backend, ring, wanted, shared)
    }

    /// Gives back the requests that wait in queues. Others are the successor's as the device's
    /// policy says, once the connection is cut.
    pub(crate) fn give_way(&self) {
        for ticket in self.close() {
            if ticket.parked.load(Ordering::Acquire) {
                ticket.give_back();
            }
        }
        self.rings.end();
    }

    /// Whether there are requests that somebody other than a queue has.
    pub(crate) fn is_busy(&self) -> bool {
        let busy =
            |ticket: &Arc<Ticket>| ticket.is_pending() && !ticket.parked.load(Ordering::Acquire);
        let latest = lock(&self.latest);
        latest.ticket.as_ref().is_some_and(busy) || lock(&self.table).values().any(busy)
    }

    /// Takes no more requests. Those there are.
    fn close(&self) -> Vec<Arc<Ticket>> {
        let mut latest = lock(&self.latest);
        latest.closed = true;
        let table = mem::take(&mut *lock(&self.table));
        table.into_values().chain(latest.ticket.take()).collect()
    }

    /// Takes a settled ticket out of the table, if it is there.
    #[inline]
    fn forget(&self, ticket: &Ticket) {
        if ticket.tabled.load(Ordering::SeqCst) {
            let ticket = lock(&self.table).remove(&ticket.id);
            drop(ticket);
        }
    }
}
