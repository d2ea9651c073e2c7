//! How the driver is asked for the state of polls (poll_diff), and what its answers lead to.
//!
//! Clients' polls are answered from the state that the library keeps. So that it is right, the driver
//! has a request in its hands at all times: it is asked at the open, before the client has the file,
//! and again after each answer that brought something new. After a read, the bit for reading is in
//! doubt; after a write, that for writing: then a newer request makes the older one void.

use std::cell::RefCell;
use std::sync::Arc;

use super::answer;
use super::callbacks::Plan;
use super::calls::{self, Asked, Call, Kind};
use super::device::Shared;
use super::dispatch::ask;
use super::file::State;
use super::flags::{ALL, EXCEPT, INPUT, OUTPUT};
use super::queue::Event;
use crate::sync::lock;

/// So often in a row a driver is asked that gives another answer each time.
const ROUNDS: u32 = 8;

/// The bits that a call puts in doubt.
fn doubtful(kind: &Kind) -> u32 {
    match kind {
        Kind::Read(..) => INPUT,
        Kind::Write(..) => OUTPUT,
        _ => 0,
    }
}

/// What the driver is to be asked after `call`, if anything: the state that it is told.
fn question(call: &Call) -> Option<u32> {
    if !call.device.polls() {
        return None;
    }
    let polling = lock(&call.file.polling);
    if polling.closed {
        return None;
    }
    let doubtful = doubtful(&call.kind) & polling.cached;
    (doubtful != 0 || polling.outstanding.is_none()).then_some(polling.cached & !doubtful)
}

/// Has the driver asked before the client gets its answer, where that takes it. `held` is the call
/// and its result; it comes back where nobody need be asked.
pub(crate) fn ask_before(held: Box<(Call, i64)>) -> Result<Plan, Box<(Call, i64)>> {
    let (call, result) = &*held;
    let failed_open = matches!(call.kind, Kind::Open(_)) && *result < 0;
    let Some(told) = question(call).filter(|_| !failed_open) else {
        return Err(held);
    };
    let (device, file) = (Arc::clone(&call.device), Arc::clone(&call.file));
    let asked = Asked {
        told,
        held: Some(held),
        round: 0,
    };
    ask(&device, &file, asked).map_err(|asked| asked.held.expect("it was given above"))
}

/// The call is answered from outside of a callback, where the driver cannot be asked first: whatever
/// is in doubt is not there until it has been. True: it is to be.
pub(crate) fn doubt(call: &Call) -> bool {
    let Some(told) = question(call) else {
        return false;
    };
    let mut polling = lock(&call.file.polling);
    if polling.cached != told {
        polling.doubted = true;
        polling.tell(told);
    }
    true
}

/// Asks anew, unless the driver has a request that is as good.
pub(crate) fn ask_again(device: &Arc<Shared>, file: &State) -> Option<Plan> {
    let told = {
        let polling = lock(&file.polling);
        if polling.closed || polling.outstanding.is_some() && !polling.doubted {
            return None;
        }
        polling.cached
    };
    let asked = Asked {
        told,
        held: None,
        round: 0,
    };
    ask(device, file, asked).ok()
}

thread_local! {
    /// The requests on this thread with which a call waits, by the addresses and numbers of their
    /// calls, from before their callbacks until these have returned.
    static ASKING: RefCell<Vec<(usize, u64)>> = const { RefCell::new(Vec::new()) };
}

/// The driver is about to be asked, on this thread, and a call waits for that.
pub(crate) fn asking(address: usize, serial: u64) {
    ASKING.with_borrow_mut(|asking| asking.push((address, serial)));
}

/// The callback has returned.
pub(crate) fn asked(serial: u64) {
    ASKING.with_borrow_mut(|asking| asking.retain(|request| request.1 != serial));
}

/// The thread is back in its loop: a callback that has not returned has been left by longjmp(3), as if
/// it had kept its request. (Or it dispatches itself. Then what waits for it goes on a little earlier.)
pub(crate) fn leave() {
    for (address, serial) in ASKING.take() {
        kept(address, serial);
    }
}

/// The driver keeps the request: the state is what it was told. Whatever waits for that goes on.
pub(crate) fn kept(address: usize, serial: u64) {
    let held = calls::look(address, |call| {
        let file = Arc::clone(&call.file);
        match &mut call.kind {
            Kind::PollDiff(asked) if call.serial == serial => {
                Some((file, asked.told, asked.held.take()))
            }
            _ => None,
        }
    });
    let Some((file, told, held)) = held.flatten() else {
        return;
    };
    {
        let mut polling = lock(&file.polling);
        // Otherwise it has been answered already, by another thread.
        if polling.outstanding == Some(serial) && polling.cached != told {
            polling.tell(told);
        }
    }
    finish(held);
}

/// What an answer of the driver meant.
enum News {
    /// A newer request has taken the place of this one.
    Void,
    /// The state is as it was.
    None,
    /// It is another one.
    State(u32),
}

/// Takes an answer over.
fn take(file: &State, serial: u64, told: u32, result: i64) -> News {
    let mut polling = lock(&file.polling);
    if !polling.answered(serial) {
        return News::Void;
    }
    let state = match u32::try_from(result) {
        Ok(state) => state & ALL,
        Err(_) => {
            tracing::debug!(
                result,
                "poll_diff fails: the file is in an exceptional state"
            );
            told | EXCEPT
        }
    };
    if polling.cached != state {
        polling.tell(state);
    }
    match state == told {
        true => News::None,
        false => News::State(state),
    }
}

/// The callback has returned a state.
pub(crate) fn returned(call: Call, result: i64) -> Option<Plan> {
    let Call {
        serial,
        device,
        file,
        kind: Kind::PollDiff(asked),
        ..
    } = call
    else {
        return None;
    };
    let Asked { told, held, round } = asked;
    match take(&file, serial, told, result) {
        News::State(state) if round < ROUNDS => {
            let asked = Asked {
                told: state,
                held,
                round: round + 1,
            };
            match ask(&device, &file, asked) {
                Ok(plan) => return Some(plan),
                Err(asked) => finish(asked.held),
            }
        }
        News::Void => finish(held),
        News::None | News::State(_) => {
            finish(held);
            device.ask_later(&file);
        }
    }
    None
}

/// The driver hands a state in, from anywhere.
pub(crate) fn handed_in(call: Call, result: i64) {
    let Call {
        serial,
        device,
        file,
        kind: Kind::PollDiff(asked),
        ..
    } = call
    else {
        return;
    };
    match take(&file, serial, asked.told, result) {
        News::State(_) => device.push(Event::Ask(file)),
        News::None => device.ask_later(&file),
        News::Void => {}
    }
    finish(asked.held);
}

/// The driver throws the request away: the usual end of one that a newer one has made void.
pub(crate) fn thrown_away(call: Call) {
    let Call {
        serial,
        device,
        file,
        kind: Kind::PollDiff(asked),
        ..
    } = call
    else {
        return;
    };
    if lock(&file.polling).answered(serial) {
        device.ask_later(&file);
    }
    finish(asked.held);
}

/// The file is closed, and the driver has been told: what it has kept of requests means nothing.
pub(crate) fn forget(file: &State) {
    let requests = lock(&file.polling).close();
    for (address, serial) in requests {
        drop(calls::take(address, Some(serial)));
    }
}

/// Answers the call that has waited for the state. Other files may be concerned by it as well.
fn finish(held: Option<Box<(Call, i64)>>) {
    if let Some(held) = held {
        let (call, result) = *held;
        // Before the answer, as in `answer::returned`.
        call.device.ask_now();
        answer::finish(call, result);
    }
}
