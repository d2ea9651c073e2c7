//! Answers to calls.

use fusd_rust::{Area, Delivery, Errno, PollEvents};

use super::tables::{self, CALLS, Call, FILES, File, Kind};
use crate::fork;

/// What clients see of readiness given in FUSD's bits and those beyond.
pub(crate) fn events(ready: u32) -> Result<PollEvents, Errno> {
    const BITS: [(u32, PollEvents); 5] = [
        (1, PollEvents::READ),
        (2, PollEvents::WRITE),
        (4, PollEvents::PRIORITY),
        (8, PollEvents::ERROR),
        (16, PollEvents::HANG_UP),
    ];
    if ready >= 32 {
        return Err(Errno::EINVAL);
    }
    let set = BITS.iter().filter(|(bit, _)| ready & bit != 0);
    Ok(set.fold(PollEvents::empty(), |all, (_, events)| all | *events))
}

/// What became of an answer.
fn outcome(delivery: Delivery) -> Result<(), Errno> {
    match delivery {
        Delivery::Delivered => Ok(()),
        Delivery::Unwanted => Err(Errno::EPIPE),
    }
}

/// Takes the call, if it is one that can be answered so.
///
/// # Errors
/// `EINVAL`: it is none. `ENODEV`: it is one of the process that has forked this one.
fn take(handle: usize, fits: impl FnOnce(&Kind) -> bool) -> Result<Call, Errno> {
    let own = fork::generation();
    let mut is_own = true;
    let call = CALLS.take(handle, |call| {
        is_own = call.generation == own;
        is_own && fits(&call.kind)
    });
    call.ok_or(match is_own {
        true => Errno::EINVAL,
        false => Errno::ENODEV,
    })
}

/// Lets a client in. Tells the file's handle before the client has it.
///
/// # Errors
/// `ENODEV` also where the device has ended: then there is no file, and no release.
pub(crate) fn open(
    handle: usize,
    data: usize,
    ready: u32,
    tell: impl FnOnce(usize),
) -> Result<(), Errno> {
    let events = events(ready)?;
    let call = take(handle, |kind| matches!(kind, Kind::Open(_)))?;
    let Kind::Open(request) = call.kind else {
        return Err(Errno::EINVAL);
    };
    let handle = tables::handle();
    let mut is_open = false;
    let delivery = request.accept_with(File { handle, data }, |file| {
        is_open = true;
        FILES.insert(handle, file.clone());
        file.set_ready(events);
        tell(handle);
    });
    match is_open {
        true => outcome(delivery),
        // The device has ended: there is nobody who would release it.
        false => Err(Errno::ENODEV),
    }
}

/// Answers a read.
pub(crate) fn data(handle: usize, bytes: &[u8]) -> Result<(), Errno> {
    let fits = |kind: &Kind| matches!(kind, Kind::Read(request) if bytes.len() <= request.len());
    match take(handle, fits)?.kind {
        Kind::Read(request) => outcome(request.reply(bytes)),
        _ => Err(Errno::EINVAL),
    }
}

/// Answers a write: so many bytes have been taken.
pub(crate) fn count(handle: usize, count: usize) -> Result<(), Errno> {
    let fits = |kind: &Kind| matches!(kind, Kind::Write(request) if count <= request.data().len());
    match take(handle, fits)?.kind {
        Kind::Write(request) => outcome(request.accept_part(count)),
        _ => Err(Errno::EINVAL),
    }
}

/// Answers an ioctl.
pub(crate) fn ioctl(handle: usize, result: i32, output: &[u8]) -> Result<(), Errno> {
    let fits = |kind: &Kind| {
        let room = |kind: &Kind| match kind {
            Kind::Ioctl(request) => Some(request.output_len()),
            _ => None,
        };
        result >= 0 && room(kind).is_some_and(|room| output.len() <= room)
    };
    match take(handle, fits)?.kind {
        Kind::Ioctl(request) => outcome(request.reply(result, output)),
        _ => Err(Errno::EINVAL),
    }
}

/// Has an ioctl come again with these areas of its caller's memory.
pub(crate) fn again(handle: usize, input: &[Area], output: &[Area]) -> Result<(), Errno> {
    let areas = input.len() + output.len();
    let some = input.iter().chain(output).any(|area| area.length > 0);
    if areas > 256 || !some {
        return Err(Errno::EINVAL);
    }
    match take(handle, |kind| matches!(kind, Kind::Ioctl(_)))?.kind {
        Kind::Ioctl(request) => outcome(request.again_with(input, output)),
        _ => Err(Errno::EINVAL),
    }
}

/// The call has succeeded, and there is nothing to say but that.
pub(crate) fn done(handle: usize) -> Result<(), Errno> {
    match take(handle, |kind| matches!(kind, Kind::Sync(_)))?.kind {
        Kind::Sync(request) => outcome(request.done()),
        _ => Err(Errno::EINVAL),
    }
}

/// The call has failed.
pub(crate) fn error(handle: usize, errno: i32) -> Result<(), Errno> {
    let errno = Errno::from_raw(errno).ok_or(Errno::EINVAL)?;
    outcome(match take(handle, |_| true)?.kind {
        Kind::Open(request) => request.fail(errno),
        Kind::Read(request) => request.fail(errno),
        Kind::Write(request) => request.fail(errno),
        Kind::Ioctl(request) => request.fail(errno),
        Kind::Sync(request) => request.fail(errno),
    })
}

/// Says what polls of a file are to see.
pub(crate) fn set_ready(handle: usize, ready: u32) -> Result<(), Errno> {
    let events = events(ready)?;
    let file = FILES.look(handle, |file| file.clone());
    let file = file.ok_or(Errno::EINVAL)?;
    file.set_ready(events);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_has_five_bits() {
        assert_eq!(events(0), Ok(PollEvents::empty()));
        assert_eq!(events(31), Ok(PollEvents::all()));
        assert_eq!(events(32), Err(Errno::EINVAL));
        assert_eq!(events(1 | 16), Ok(PollEvents::READ | PollEvents::HANG_UP));
    }
}
