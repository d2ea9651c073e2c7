//! The life of one request: pending, then answered or abandoned, whichever comes first.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::link::Link;
use super::stage::{End, Left, Stage};
use super::told::Told;
use super::{carried, held};
use crate::backend::{Answer, Backend, Call, Content, FileId, Offer, RequestId};
use crate::panics::contain;
use crate::sync::lock;
use crate::{Caller, Delivery, Errno};

type Notice = Box<dyn FnOnce() + Send>;

/// One request that the kernel waits for. Shared by the request a device holds and the table in
/// which an interrupt finds it.
///
/// It leaves the pending stage once; who takes it there, and nobody else, tells the kernel.
pub(crate) struct Ticket {
    stage: Stage,
    call: What,
    /// What to tell the driver if the client gives up.
    notice: Mutex<Option<Notice>>,
    link: Arc<Link>,
    /// Set where an access log is kept, or somebody traces.
    told: Option<Box<Told>>,
}

/// Which call a ticket is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct What {
    pub(crate) id: RequestId,
    pub(crate) caller: Caller,
    pub(crate) call: Call,
}

impl Ticket {
    /// A pending one.
    pub(super) fn new(link: &Arc<Link>, call: What, told: Option<Box<Told>>) -> Arc<Self> {
        Arc::new(Self {
            stage: Stage::default(),
            call,
            notice: Mutex::new(None),
            link: Arc::clone(link),
            told,
        })
    }

    /// Makes it a pending one of another call. It has ended, and nobody else holds it.
    #[inline]
    pub(super) fn renew(&mut self, call: What, told: Option<Box<Told>>) {
        let left = self.stage.renew();
        self.call = call;
        if left.has_notice() || self.told.is_some() || told.is_some() {
            self.renew_all(told);
        }
    }

    #[cold]
    fn renew_all(&mut self, told: Option<Box<Told>>) {
        let notice = self.notice.get_mut();
        *notice.unwrap_or_else(PoisonError::into_inner) = None;
        self.told = told;
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.call.caller
    }

    pub(crate) fn id(&self) -> RequestId {
        self.call.id
    }

    pub(crate) fn call(&self) -> Call {
        self.call.call
    }

    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.stage.is_abandoned()
    }

    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.stage.is_pending()
    }

    /// Whether somebody other than a queue has it, and has not answered it.
    pub(super) fn is_busy(&self) -> bool {
        self.is_pending() && !self.is_parked()
    }

    pub(super) fn is_parked(&self) -> bool {
        self.stage.is_parked()
    }

    /// Notes that it is about to be put into the link's table, under the lock of that. False: it need
    /// not be.
    pub(super) fn table(&self) -> bool {
        self.stage.table()
    }

    /// Notes that `total` bytes of the call have been taken: from now on it cannot fail, but
    /// returns that number. False where the client has stopped waiting: then they have not been.
    pub(crate) fn take(&self, total: u32) -> bool {
        self.stage.take(total)
    }

    /// Lets the file that this opens be mapped.
    pub(crate) fn offer(&self, offer: &Offer) -> io::Result<()> {
        self.link.backend.offer(self.id(), offer)
    }

    /// Has the kernel serve reads of the file that this opens, where it can and nobody wants to hear
    /// of each: else they come, and the session answers them.
    pub(crate) fn publish(&self, content: &Content) {
        if self.link.access_log || self.is_traced() {
            return;
        }
        match self.link.backend.publish(self.id(), content) {
            Ok(()) => {}
            // The client has gone, and this opens nothing; or not through this backend.
            Err(error) if matches!(Errno::from(&error), Errno::ENOENT | Errno::EOPNOTSUPP) => {}
            Err(error) => tracing::debug!(%error, "not published: reads come to the driver"),
        }
    }

    /// Whether somebody traces.
    pub(crate) fn is_traced(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.is_traced())
    }

    /// The file that this opens, by the kernel's number.
    pub(crate) fn file(&self) -> Option<FileId> {
        self.link.backend.file_of(self.id())
    }

    /// Notes that the request waits in a queue, and nothing of it has been done.
    pub(crate) fn park(&self) {
        self.stage.park();
    }

    /// Which backend, and where its node is.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.link.backend
    }

    pub(crate) fn on_abandoned(&self, notice: Notice) -> bool {
        let replaced = {
            let mut slot = lock(&self.notice);
            // `abandon` changes the stage before it looks for a notice under this lock.
            if !self.stage.expect_notice() {
                return false;
            }
            slot.replace(notice)
        };
        drop(replaced);
        true
    }

    /// Answers the request unless somebody was faster.
    pub(crate) fn finish(&self, answer: Answer<'_>) -> Delivery {
        self.end(answer, false)
    }

    /// Likewise, once the handler that runs on this thread has returned, or before. What becomes of
    /// the answer is not known.
    pub(crate) fn finish_at_return(&self, answer: Answer<'_>) {
        self.end(answer, true);
    }

    /// Answers, and, with `at_return`, keeps the answer until the handler has returned, if it can be
    /// kept: then it is told to be delivered.
    #[inline(always)]
    pub(super) fn end(&self, mut answer: Answer<'_>, at_return: bool) -> Delivery {
        let Some(left) = self.stage.leave(End::Answered) else {
            return Delivery::Unwanted;
        };
        // Mostly there is nothing to be seen to.
        if !left.is_plain() || self.told.is_some() {
            self.see_to(left, &mut answer);
        }
        let (link, What { id, call, .. }) = (&*self.link, self.call);
        let kept = held::holds() && link.holds && held::keep(&link.backend, id, call, &answer)
            || at_return && carried::keep(&link.backend, id, call, &answer);
        let delivery = match kept {
            true => Delivery::Delivered,
            false => self.send(answer),
        };
        if left.has_notice() {
            // It may own what the driver must drop outside of any lock of ours.
            drop(self.take_notice());
        }
        delivery
    }

    fn send(&self, answer: Answer<'_>) -> Delivery {
        match self.answer(answer) {
            Ok(()) => Delivery::Delivered,
            Err(error) => {
                if Errno::from(&error) != Errno::ENOENT {
                    tracing::debug!(call = %self.call(), %error, "answer not delivered");
                }
                Delivery::Unwanted
            }
        }
    }

    fn answer(&self, answer: Answer<'_>) -> io::Result<()> {
        self.link.backend.answer(self.id(), self.call(), answer)
    }

    /// Ends the request for the client with `errno` unless it was answered, and tells the driver.
    pub(super) fn abandon(&self, errno: Errno) -> bool {
        let Some(left) = self.stage.leave(End::Abandoned) else {
            return false;
        };
        let mut answer = Answer::Error(errno);
        self.see_to(left, &mut answer);
        if let Err(error) = self.answer(answer) {
            tracing::debug!(call = %self.call(), %error, "interrupt not answered");
        }
        self.give_notice();
        true
    }

    /// Gives the request back for the driver's successor, unless it was answered, and tells this
    /// driver that it is rid of it. Of what has been taken already, the client is told.
    pub(crate) fn give_back(&self) {
        let Some(left) = self.stage.leave(End::Abandoned) else {
            return;
        };
        self.forget(left);
        let given = match left.taken() {
            0 => self.link.backend.give_back(self.id(), self.call()),
            taken => self.answer(Answer::Count(taken)),
        };
        if let Err(error) = given {
            tracing::debug!(call = %self.call(), %error, "request not given back");
        }
        self.give_notice();
    }

    /// The call has ended, with `answer` unless that changes here: sees to what had been noted of it.
    #[inline(never)]
    fn see_to(&self, left: Left, answer: &mut Answer<'_>) {
        self.forget(left);
        if let (Answer::Error(_), taken @ 1..) = (&answer, left.taken()) {
            // It has come so far, whatever stops it there, or the client would do it again.
            *answer = Answer::Count(taken);
        }
        if let Some(told) = &self.told {
            let call = (self.caller(), self.call());
            told.ended(call, answer, &self.link.trace, self.link.access_log);
        }
    }

    /// No interrupt is to find it any more.
    fn forget(&self, left: Left) {
        if left.is_tabled() {
            self.link.forget(self.id());
        }
    }

    /// Tells the driver that the client has given up.
    fn give_notice(&self) {
        if let Some(notice) = self.take_notice() {
            // This thread has more to do than to serve this one caller.
            contain("a notice", notice);
        }
    }

    fn take_notice(&self) -> Option<Notice> {
        lock(&self.notice).take()
    }
}

/// The device's own end of a ticket: answers `EIO` when it is dropped unanswered.
pub(crate) struct Pending(Arc<Ticket>);

impl Pending {
    #[inline]
    pub(super) fn new(ticket: Arc<Ticket>) -> Self {
        Self(ticket)
    }

    #[inline]
    pub(crate) fn ticket(&self) -> &Ticket {
        &self.0
    }
}

impl Drop for Pending {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_pending() {
            self.fail_dropped();
        }
    }
}

impl Pending {
    #[cold]
    fn fail_dropped(&self) {
        // The client first: the log is other people's code.
        self.0.finish(Answer::Error(Errno::EIO));
        let call = self.0.call();
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
