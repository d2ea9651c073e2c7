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
pub(crate) struct Carrying(Arc<dyn Backend>);

/// Begins to carry, for a thread that reads. `None`: the backend cannot.
pub(crate) fn carry(backend: &Arc<dyn Backend>) -> Option<Carrying> {
    backend.carrier()?;
    CARRIED.set(Some(Carried {
        backend: Arc::clone(backend),
        message: Vec::new(),
    }));
    Some(Carrying(Arc::clone(backend)))
}

/// Keeps the answer, if this thread has room for it; else it is for the caller to send.
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
            && carried
                .backend
                .carrier()
                .is_some_and(|carrier| carrier.pack(id, call, answer, &mut carried.message))
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
    if let Some((backend, message)) = taken
        && let Some(carrier) = backend.carrier()
    {
        carrier.hand_in(&message);
    }
}

impl Carrying {
    /// [`Backend::receive`], to which the answer of this thread, if there is one, goes along.
    #[inline]
    pub(crate) fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming> {
        let message = CARRIED.with_borrow_mut(|carried| {
            let message = carried.as_mut().map(|carried| &mut carried.message);
            message.map(mem::take).unwrap_or_default()
        });
        match self.0.carrier() {
            Some(carrier) if !message.is_empty() => {
                let received = carrier.exchange(&message, buffer);
                give_back(message);
                received
            }
            _ => {
                give_back(message);
                self.0.receive(buffer)
            }
        }
    }
}

/// Keeps the memory of a message for the next one.
fn give_back(mut message: Vec<u8>) {
    message.clear();
    CARRIED.with_borrow_mut(|carried| {
        if let Some(carried) = carried {
            carried.message = message;
        }
    });
}

impl Drop for Carrying {
    fn drop(&mut self) {
        send_carried();
        CARRIED.set(None);
    }
}
