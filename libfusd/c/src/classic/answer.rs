//! What becomes of a result, whether a callback has returned it or the driver hands it in later.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fusd_rust::{Delivery, Errno};

use super::callbacks::Plan;
use super::calls::{Call, Kind, Opened};
use super::queue::Event;
use super::{mapping, polling};
use crate::sync::lock;

/// A callback has returned `result`: what to call next, if anything.
pub(crate) fn returned(call: Call, result: i64) -> Option<Plan> {
    call.take_private_data();
    match &call.kind {
        Kind::Close | Kind::Unblock { .. } => {
            over(call);
            None
        }
        Kind::PollDiff(_) => polling::returned(call, result),
        Kind::Mmap(..) => mapped(call, result),
        Kind::Open(_) => opened(Box::new(Opened { call, result })),
        Kind::Read(..) | Kind::Write(..) | Kind::Ioctl(..) => settled(call, result),
    }
}

/// The driver has answered an open: what to call next, if anything.
pub(crate) fn opened(open: Box<Opened>) -> Option<Plan> {
    match mapping::ask(open) {
        Ok(plan) => Some(plan),
        Err(open) => settled(open.call, open.result),
    }
}

/// The driver has said what the client of an open may map.
fn mapped(call: Call, result: i64) -> Option<Plan> {
    let Call {
        info,
        kind: Kind::Mmap(open, access),
        ..
    } = call
    else {
        return None;
    };
    match mapping::answered(&info, open, access, result) {
        Ok(plan) => Some(plan),
        Err(open) => settled(open.call, open.result),
    }
}

/// A call has its result, and there is nothing more to be known but the poll state: that first, as a
/// client that has its answer must not find an older one.
fn settled(call: Call, result: i64) -> Option<Plan> {
    match polling::ask_before(Box::new((call, result))) {
        Ok(plan) => Some(plan),
        Err(held) => {
            let (call, result) = *held;
            // Before the answer: what its client does next comes after these questions.
            call.device.ask_now();
            finish(call, result);
            None
        }
    }
}

/// The driver has done with a call that nobody waits for.
fn over(call: Call) {
    if matches!(call.kind, Kind::Close) {
        polling::forget(&call.file);
    }
    call.device.ask_now();
}

/// The driver hands `result` in (`fusd_return`).
///
/// # Errors
/// `EPIPE`: the client had stopped waiting.
pub(crate) fn handed_in(call: Call, result: i64) -> Result<(), Errno> {
    call.take_private_data();
    match &call.kind {
        Kind::Close | Kind::Unblock { .. } => {
            over(call);
            Ok(())
        }
        Kind::PollDiff(_) => {
            polling::handed_in(call, result);
            // Not asked anew for no change, or there would be no end to it.
            Ok(())
        }
        Kind::Mmap(..) => without_memory(call),
        Kind::Open(_) if result >= 0 && call.device.maps() => {
            // The driver is asked on the thread that dispatches. If the client has gone, the close tells.
            let device = Arc::clone(&call.device);
            device.push(Event::Map(Box::new(Opened { call, result })));
            Ok(())
        }
        _ => tell(call, result),
    }
}

/// Answers the client of a call that is handed in.
fn tell(call: Call, result: i64) -> Result<(), Errno> {
    if polling::doubt(&call) {
        call.device.push(Event::Ask(Arc::clone(&call.file)));
    }
    call.device.ask_now();
    match finish(call, result) {
        Delivery::Delivered => Ok(()),
        Delivery::Unwanted => Err(Errno::EPIPE),
    }
}

/// A mmap ends without a result of its callback: the open that waits for it goes on.
fn without_memory(call: Call) -> Result<(), Errno> {
    match call.kind {
        Kind::Mmap(open, _) => tell(open.call, open.result),
        _ => Ok(()),
    }
}

/// The driver throws the call away (`fusd_destroy`). A client that still waits gets `EIO`.
pub(crate) fn thrown_away(call: Call) {
    call.take_private_data();
    match &call.kind {
        Kind::Close | Kind::Unblock { .. } => over(call),
        Kind::PollDiff(_) => polling::thrown_away(call),
        Kind::Mmap(..) => drop(without_memory(call)),
        // Unanswered, a request fails with EIO when it is dropped.
        _ => drop(call),
    }
}

/// Answers the client.
pub(crate) fn finish(call: Call, result: i64) -> Delivery {
    let Call {
        info,
        device,
        file,
        kind,
        ..
    } = call;
    let left = info.offset().load(Ordering::Acquire);
    match kind {
        Kind::Open(request) => match result {
            0.. => {
                let mut is_open = false;
                device.opened();
                let delivery = request.accept_with(Arc::clone(&file), |opened| {
                    is_open = true;
                    file.attach(opened);
                });
                if !is_open {
                    // The device has ended: there is no file, but what the driver has made for it.
                    device.push(Event::Closed(file));
                }
                delivery
            }
            _ => request.fail(errno(result)),
        },
        Kind::Read(request, buffer) => match count(result, buffer.len()) {
            Ok(count) => {
                let kernel = request.offset();
                lock(&file.position).end(kernel, count as u64, left);
                request.reply(&buffer[..count])
            }
            Err(errno) => request.fail(errno),
        },
        Kind::Write(request, _) => match count(result, request.data().len()) {
            Ok(count) => {
                let kernel = request.offset();
                lock(&file.position).end(kernel, count as u64, left);
                request.accept_part(count)
            }
            Err(errno) => request.fail(errno),
        },
        Kind::Ioctl(request, buffer) => match i32::try_from(result) {
            Ok(result @ 0..) => {
                let output = request.output_len().min(buffer.len());
                request.reply(result, &buffer[..output])
            }
            _ => request.fail(errno(result)),
        },
        Kind::Close | Kind::Unblock { .. } | Kind::PollDiff(_) | Kind::Mmap(..) => {
            Delivery::Delivered
        }
    }
}

/// A number of bytes, at most `limit`.
fn count(result: i64, limit: usize) -> Result<usize, Errno> {
    match usize::try_from(result) {
        Ok(count) if count <= limit => Ok(count),
        Ok(count) => {
            tracing::error!(
                "bug in the driver: {count} bytes where {limit} are possible; the call is EIO"
            );
            Err(Errno::EIO)
        }
        Err(_) => Err(errno(result)),
    }
}

/// The errno that a negative result stands for.
fn errno(result: i64) -> Errno {
    let number = result.checked_neg().and_then(|raw| i32::try_from(raw).ok());
    number.and_then(Errno::from_raw).unwrap_or_else(|| {
        tracing::error!("bug in the driver: {result} is no result; the call is EIO");
        Errno::EIO
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counts_or_errnos() {
        assert_eq!(count(0, 0), Ok(0));
        assert_eq!(count(5, 5), Ok(5));
        assert_eq!(count(6, 5), Err(Errno::EIO));
        assert_eq!(count(-22, 5), Err(Errno::EINVAL));
        for impossible in [-5000, i64::MIN, i64::from(i32::MIN)] {
            assert_eq!(count(impossible, 5), Err(Errno::EIO));
        }
    }
}
