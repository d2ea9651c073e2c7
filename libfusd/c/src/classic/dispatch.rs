//! From an event to a callback, and on from what that returned.
//!
//! Both halves end with a plan: the callback itself is called by `exports.rs`, from a frame that owns
//! nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fusd_rust::request::Context;
use fusd_rust::{Errno, IoctlRequest, OpenRequest, ReadRequest, WriteRequest};

use super::callbacks::{Action, Plan};
use super::calls::{self, Asked, Call, Kind};
use super::device::Shared;
use super::file::{FileState, State};
use super::info::{Info, Who};
use super::queue::Event;
use super::{answer, polling, registry};
use crate::fork;
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
/// `EBADF`: it is no device's. `ENODEV`: its device has ended, and the driver has been told of all.
/// `EAGAIN`: nothing waits.
pub(crate) fn begin(fd: i32) -> Result<Batch, Errno> {
    polling::leave();
    let (number, device) = registry::find(fd)?;
    match device.waiting() {
        0 if device.is_over() => Err(Errno::ENODEV),
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
    polling::asked(plan.serial);
    // A client waits for its open meanwhile: there is no later for a mmap.
    let can_wait = !matches!(plan.action, Action::Mmap(..));
    if result == NO_REPLY && can_wait {
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
    let kept = calls::look(address, |call| {
        let is_it = call.serial == serial;
        if is_it {
            call.take_private_data();
        }
        is_it
    });
    // Otherwise it has been returned already, before its callback has.
    if kept == Some(true) {
        polling::kept(address, serial);
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
        Event::Map(open) => answer::opened(open),
    }
}

/// A call that is about to be the driver's business.
pub(crate) struct Arrival {
    device: Arc<Shared>,
    file: State,
    info: Info,
    serial: u64,
}

impl Arrival {
    /// A call of a client.
    fn new(device: &Arc<Shared>, file: State, context: &Context) -> Self {
        let who = file.called(context.caller(), context.flags());
        Self::by(device, file, who)
    }

    /// A call that no client makes: the last one who did is named.
    fn of_nobody(device: &Arc<Shared>, file: State) -> Self {
        let who = file.last();
        Self::by(device, file, who)
    }

    /// A question in the course of an open, which `open` is about.
    pub(crate) fn of_opener(device: &Arc<Shared>, file: &State, open: &Info) -> Self {
        Self::by(device, Arc::clone(file), open.who())
    }

    /// Where the driver puts what there is to map.
    pub(crate) fn begin_mapping(&self) -> (*mut *mut libc::c_void, *mut usize) {
        self.info.mapping_places()
    }

    fn by(device: &Arc<Shared>, file: State, who: Who) -> Self {
        let info = Info::new(device.device_info, file.private_data(), who);
        Self {
            device: Arc::clone(device),
            file,
            info,
            serial: calls::number(),
        }
    }

    /// Sets `*offset`, and gives the pointer to it.
    fn begin_at(&self, offset: i64) -> *mut i64 {
        self.info.offset().store(offset, Ordering::Relaxed);
        self.info.offset().as_ptr()
    }

    /// Makes it the driver's business.
    pub(crate) fn hand_over(self, kind: Kind, action: Action) -> Plan {
        let Self {
            device,
            file,
            info,
            serial,
        } = self;
        let call = Call {
            info,
            serial,
            generation: fork::generation(),
            device,
            file,
            kind,
        };
        calls::insert(call, action)
    }

    /// Likewise, and has the driver told if the client stops waiting. `None`: it has already.
    fn submit(self, kind: Kind, action: Action) -> Option<Plan> {
        let (address, serial) = (self.info.address(), self.serial);
        let unblocks = self.device.operations.unblock.is_some();
        let device = Arc::downgrade(&self.device);
        let plan = self.hand_over(kind, action);
        // Only now: before, the notice would find no call.
        let waits = calls::look(address, |call| match call.context() {
            Some(context) if unblocks => context.on_abandoned(move || {
                if let Some(device) = device.upgrade() {
                    device.push(Event::Interrupted { address, serial });
                }
            }),
            Some(context) => !context.is_abandoned(),
            None => true,
        });
        if waits == Some(true) {
            return Some(plan);
        }
        drop(calls::take(address, Some(serial)));
        None
    }
}

fn open(device: &Arc<Shared>, request: OpenRequest<State>) -> Option<Plan> {
    let callback = device.operations.open?;
    let arrival = Arrival::new(device, FileState::new(device.polls()), &request);
    arrival.submit(Kind::Open(request), Action::Plain(callback))
}

fn read(device: &Arc<Shared>, file: State, request: ReadRequest) -> Option<Plan> {
    let callback = device.operations.read?;
    let Some(mut buffer) = memory(request.len()) else {
        request.fail(Errno::ENOMEM);
        return None;
    };
    let start = lock(&file.position).begin(request.offset(), false);
    let arrival = Arrival::new(device, file, &request);
    let offset = arrival.begin_at(start);
    let (pointer, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    let action = Action::Read(callback, pointer, length, offset);
    arrival.submit(Kind::Read(request, buffer), action)
}

fn write(device: &Arc<Shared>, file: State, request: WriteRequest) -> Option<Plan> {
    let callback = device.operations.write?;
    let length = request.data().len();
    let Some(mut data) = memory(length + 1) else {
        request.fail(Errno::ENOMEM);
        return None;
    };
    data[..length].copy_from_slice(request.data());
    let append = request.flags().append();
    let start = lock(&file.position).begin(request.offset(), append);
    let arrival = Arrival::new(device, file, &request);
    let offset = arrival.begin_at(start);
    let pointer = data.as_ptr().cast();
    let action = Action::Write(callback, pointer, length, offset);
    arrival.submit(Kind::Write(request, data), action)
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
    let arrival = Arrival::new(device, file, &request);
    let action = Action::Ioctl(callback, command.raw().cast_signed(), data);
    arrival.submit(Kind::Ioctl(request, buffer), action)
}

/// The argument of an ioctl without memory: a plain value in the form of a pointer.
fn value(argument: u64) -> *mut libc::c_void {
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
    let arrival = Arrival::of_nobody(device, file);
    Some(arrival.hand_over(Kind::Close, Action::Plain(callback)))
}

fn interrupted(device: &Arc<Shared>, address: usize, serial: u64) -> Option<Plan> {
    let callback = device.operations.unblock?;
    let file = calls::look(address, |call| {
        (call.serial == serial).then(|| Arc::clone(&call.file))
    });
    // The driver may have returned the call in the meantime.
    let arrival = Arrival::of_nobody(device, file.flatten()?);
    let kind = Kind::Unblock { address, serial };
    Some(arrival.hand_over(kind, Action::Plain(callback)))
}

/// A request to the driver for the file's poll state. It comes back where the driver takes none.
pub(crate) fn ask(device: &Arc<Shared>, file: &State, asked: Asked) -> Result<Plan, Asked> {
    let Some(callback) = device.operations.poll_diff else {
        return Err(asked);
    };
    // Once fusd_unregister has returned, what the driver has for the device may be gone.
    if device.has_ended() {
        return Err(asked);
    }
    let arrival = Arrival::of_nobody(device, Arc::clone(file));
    lock(&file.polling).asked(arrival.info.address(), arrival.serial);
    if asked.held.is_some() {
        polling::asking(arrival.info.address(), arrival.serial);
    }
    let action = Action::PollDiff(callback, asked.told);
    Ok(arrival.hand_over(Kind::PollDiff(asked), action))
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
