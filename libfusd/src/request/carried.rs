//! The answer that goes along with a thread's next receive, where the backend can do both in one
//! call.
//!
//! Only an answer of which the driver has said that its handler does nothing more
//! ([`AtReturn`](super::AtReturn)), given on the thread that reads for the session: what that thread
//! does next is to receive. One at a time, and whatever comes in between, be it another handler or
//! the end of the thread, first has it sent.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::sync::Arc;

use crate::backend::buffer::Buffer;
use crate::backend::{Answer, Backend, Call, Incoming, RequestId};

thread_local! {
    /// `None` where this thread does not read for a session.
    static CARRIED: RefCell<Option<Carried>> = const { RefCell::new(None) };
}

struct Carried {
    backend: Arc<dyn Backend>,
    /// As the backend packed it; empty if there is no answer.
    message: Vec<u8>,
}

/// While it lives, an answer of this thread may wait for [`receive`](Self::receive). Dropped, it
/// has the last one sent.
pub(crate) struct Carrying {
    backend: Arc<dyn Backend>,
    /// The message that went last: its memory is for the one after the next. Empty but while it goes.
    sent: Vec<u8>,
}

/// Begins to carry, for a thread that reads. `None`: the backend cannot.
pub(crate) fn carry(backend: &Arc<dyn Backend>) -> Option<Carrying> {
    if !backend.carries() {
        return None;
    }
    CARRIED.set(Some(Carried {
        backend: Arc::clone(backend),
        message: Vec::new(),
    }));
    Some(Carrying {
        backend: Arc::clone(backend),
        sent: Vec::new(),
    })
}

/// Keeps the answer, if this thread has room for it; else it is for the caller to send.
#[inline]
pub(super) fn keep(
    backend: &Arc<dyn Backend>,
    id: RequestId,
    call: Call,
    answer: &Answer<'_>,
) -> bool {
    CARRIED.with_borrow_mut(|carried| {
        let Some(carried) = carried else { return false };
        carried.message.is_empty()
            && Arc::ptr_eq(&carried.backend, backend)
            && backend.pack(id, call, answer, &mut carried.message)
    })
}

/// Sends what this thread carries, as something else comes before it would receive.
pub(crate) fn send_carried() {
    let taken = CARRIED.with_borrow_mut(|carried| {
        let carried = carried
            .as_mut()
            .filter(|carried| !carried.message.is_empty())?;
        Some((
            Arc::clone(&carried.backend),
            mem::take(&mut carried.message),
        ))
    });
    if let Some((backend, message)) = taken {
        backend.hand_in(&message);
    }
}

impl Carrying {
    /// [`Backend::receive`], to which the answer of this thread, if there is one, goes along.
    #[inline]
    pub(crate) fn receive(&mut self, buffer: &mut Buffer) -> io::Result<Incoming> {
        CARRIED.with_borrow_mut(|carried| {
            if let Some(carried) = carried {
                mem::swap(&mut carried.message, &mut self.sent);
            }
        });
        if self.sent.is_empty() {
            return self.backend.receive(buffer);
        }
        let received = self.backend.exchange(&self.sent, buffer);
        self.sent.clear();
        received
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        send_carried();
        CARRIED.set(None);
    }
}
