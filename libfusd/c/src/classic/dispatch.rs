//! From an event to a callback, and on from what that returned.
//!
//! Both halves end with a plan: the callback itself is called by `exports.rs`, from a frame that owns
//! nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fusd_rust::request::{Context, Request};
use fusd_rust::{Errno, IoctlRequest, OpenRequest, ReadRequest, WriteRequest};

use super::callbacks::{Action, Plan};
use super::calls::{self, Asked, Call, Kind};
use super::device::Shared;
use super::file::{FileState, State};
use super::info::Info;
use super::queue::Event;
use super::{answer, polling, registry};
use crate::sync::lock;

/// What a callback returns to answer later.
pub(crate) const NO_REPLY: i64 = -0x1000;

/// A device to dispatch.
#[derive(Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) fd: i32,
    pub(crate) device: u64,
    /// So many events, at least one.
    pub(crate) events: usize,
}

/// What the descriptor stands for, and how many events to dispatch.
///
/// # Errors
/// `EBADF`: it is no device's. `ENODEV`: its device has ended. `EAGAIN`: nothing waits.
pub(crate) fn begin(fd: i32) -> Result<Batch, Errno> {
    let (number, device) = registry::find(fd)?;
    if device.has_ended() {
        return Err(Errno::ENODEV);
    }
    match device.waiting() {
        0 => Err(Errno::EAGAIN),
        events => Ok(Batch {
            fd,
            device: number,
            events,
        }),
    }
}

/// The next callback of the batch's device. `None`: this event needs none.
///
/// # Errors
/// `EAGAIN`: nothing waits any more, or the device has gone meanwhile.
pub(crate) fn next(batch: Batch) -> Result<Option<Plan>, Errno> {
    let device = match registry::find(batch.fd) {
        Ok((number, device)) if number == batch.device => device,
        _ => return Err(Errno::EAGAIN),
    };
    let event = device.pop().ok_or(Errno::EAGAIN)?;
    Ok(plan(&device, event))
}

/// The callback of `plan` has returned `result`: what to call next, if anything.
pub(crate) fn complete(plan: Plan, result: i64) -> Option<Plan> {
    let address = plan.file.expose_provenance();
    if result == NO_REPLY {
        park(address, plan.serial);
        return None;
    }
    match calls::take(address, Some(plan.serial)) {
        Some(call) => answer::returned(call, result),
        None => {
            tracing::warn!(
                result,
                "bug in the driver: a callback returns a result after fusd_return or fusd_destroy \
                 of the same call; it is ignored"
            );
            None
        }
    }
}

/// The driver keeps a call.
fn park(address: usize, serial: u64) {
    let over = calls::look(address, |call| {
        if call.serial != serial {
            return false;
        }
        call.take_private_data();
        matches!(call.kind, Kind::Close | Kind::Unblock(_))
    });
    match over {
        // Nobody waits for the end of these: there is nothing to answer later.
        Some(true) => {
            if let Some(call) = calls::take(address, Some(serial)) {
                answer::over(call);
            }
        }
        Some(false) => polling::kept(address, serial),
        // It has been returned already, before its callback has.
        None => {}
    }
}

fn plan(device: &Arc<Shared>, event: Event) -> Option<Plan> {
    match event {
        Event::Open(request) => open(device, request),
        Event::Read(file, request) => read(device, file, request),
        Event::Write(file, request) => write(device, file, request),
        Event::Ioctl(file, request) => ioctl(device, file, request),
        Event::Closed(file) => closed(device, file),
        Event::Interrupted { address, serial } => interrupted(device, address, serial),
        Event::Ask(file) => polling::ask_again(device, &file),
    }
}

/// A call of a client that is about to be the driver's business.
fn call(device: &Arc<Shared>, file: State, context: &Context) -> (Info, Arc<Shared>, State) {
    let who = file.called(context.caller(), context.flags());
    let info = Info::new(device.device_info, file.private_data(), who);
    (info, Arc::clone(device), file)
}

/// Has the driver told if the client stops waiting. False: it has already.
fn watch(device: &Arc<Shared>, request: &impl Request, info: &Info, serial: u64) -> bool {
    let context = request.context();
    if device.operations.unblock.is_none() {
        return !context.is_abandoned();
    }
    let address = info.address();
    let device = Arc::downgrade(device);
    context.on_abandoned(move || {
        if let Some(device) = device.upgrade() {
            device.push(Event::Interrupted { address, serial });
        }
    })
}

fn open(device: &Arc<Shared>, request: OpenRequest<State>) -> Option<Plan> {
    let callback = device.operations.open?;
    let (info, shared, file) = call(device, FileState::new(device.polls()), &request);
    let serial = calls::number();
    if !watch(device, &request, &info, serial) {
        return None;
    }
    let call = Call {
        info,
        serial,
        device: shared,
        file,
        kind: Kind::Open(request),
    };
    Some(calls::insert(call, Action::Plain(callback)))
}

fn read(device: &Arc<Shared>, file: State, request: ReadRequest) -> Option<Plan> {
    let callback = device.operations.read?;
    let Some(mut buffer) = memory(request.len()) else {
        request.fail(Errno::ENOMEM);
        return None;
    };
    let (info, shared, file) = call(device, file, &request);
    let start = lock(&file.position).begin(request.offset(), false);
    info.offset().store(start, Ordering::Relaxed);
    let serial = calls::number();
    if !watch(device, &request, &info, serial) {
        return None;
    }
    let action = Action::Read(
        callback,
        buffer.as_mut_ptr().cast(),
        buffer.len(),
        info.offset().as_ptr(),
    );
    let call = Call {
        info,
        serial,
        device: shared,
        file,
        kind: Kind::Read(request, buffer),
    };
    Some(calls::insert(call, action))
}

fn write(device: &Arc<Shared>, file: State, request: WriteRequest) -> Option<Plan> {
    let callback = device.operations.write?;
    let length = request.data().len();
    let Some(mut data) = memory(length + 1) else {
        request.fail(Errno::ENOMEM);
        return None;
    };
    data[..length].copy_from_slice(request.data());
    let (info, shared, file) = call(device, file, &request);
    let append = request.flags().append();
    let start = lock(&file.position).begin(request.offset(), append);
    info.offset().store(start, Ordering::Relaxed);
    let serial = calls::number();
    if !watch(device, &request, &info, serial) {
        return None;
    }
    let action = Action::Write(
        callback,
        data.as_ptr().cast(),
        length,
        info.offset().as_ptr(),
    );
    let call = Call {
        info,
        serial,
        device: shared,
        file,
        kind: Kind::Write(request, data),
    };
    Some(calls::insert(call, action))
}

fn ioctl(device: &Arc<Shared>, file: State, request: IoctlRequest) -> Option<Plan> {
    let callback = device.operations.ioctl?;
    let command = request.command();
    let Some(mut buffer) = memory(command.size()) else {
        request.fail(Errno::ENOMEM);
        return None;
    };
    let length = request.input().len().min(buffer.len());
    buffer[..length].copy_from_slice(&request.input()[..length]);
    let data = match buffer.is_empty() {
        true => value(request.argument()),
        false => buffer.as_mut_ptr().cast(),
    };
    let (info, shared, file) = call(device, file, &request);
    let serial = calls::number();
    if !watch(device, &request, &info, serial) {
        return None;
    }
    let action = Action::Ioctl(callback, command.raw().cast_signed(), data);
    let call = Call {
        info,
        serial,
        device: shared,
        file,
        kind: Kind::Ioctl(request, buffer),
    };
    Some(calls::insert(call, action))
}

/// The argument of an ioctl without memory: a plain value in the form of a pointer.
pub(crate) fn value(argument: u64) -> *mut libc::c_void {
    // As the client's own kernel would do it on a machine with 32 bits.
    std::ptr::without_provenance_mut(argument as usize)
}

fn closed(device: &Arc<Shared>, file: State) -> Option<Plan> {
    device.forget(&file);
    lock(&file.polling).closed = true;
    let Some(callback) = device.operations.close else {
        polling::forget(&file);
        return None;
    };
    Some(notice(device, file, Kind::Close, callback))
}

fn interrupted(device: &Arc<Shared>, address: usize, serial: u64) -> Option<Plan> {
    let callback = device.operations.unblock?;
    let file = calls::look(address, |call| {
        (call.serial == serial).then(|| Arc::clone(&call.file))
    });
    // The driver may have returned the call in the meantime.
    let file = file.flatten()?;
    Some(notice(device, file, Kind::Unblock(address), callback))
}

/// A callback that no client waits for.
fn notice(
    device: &Arc<Shared>,
    file: State,
    kind: Kind,
    callback: unsafe extern "C-unwind" fn(*mut super::info::FileInfo) -> libc::c_int,
) -> Plan {
    let info = Info::new(device.device_info, file.private_data(), file.last());
    let call = Call {
        info,
        serial: calls::number(),
        device: Arc::clone(device),
        file,
        kind,
    };
    calls::insert(call, Action::Plain(callback))
}

/// A request to the driver for the file's poll state. `held` is answered once that is known.
pub(crate) fn ask(device: &Arc<Shared>, file: &State, asked: Asked) -> Result<Plan, Asked> {
    let Some(callback) = device.operations.poll_diff else {
        return Err(asked);
    };
    let info = Info::new(device.device_info, file.private_data(), file.last());
    let serial = calls::number();
    lock(&file.polling).asked(info.address(), serial);
    let action = Action::PollDiff(callback, asked.told);
    let call = Call {
        info,
        serial,
        device: Arc::clone(device),
        file: Arc::clone(file),
        kind: Kind::PollDiff(asked),
    };
    Ok(calls::insert(call, action))
}

/// Zeros for a driver to write to. `None`: there is no memory.
///
/// (The allocator is malloc(3), so they are aligned for any type.)
fn memory(length: usize) -> Option<Vec<u8>> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(length).ok()?;
    memory.resize(length, 0);
    Some(memory)
}
