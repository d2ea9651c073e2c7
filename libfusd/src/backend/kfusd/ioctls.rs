//! ioctls of any number: the memory of their callers, fetched and filled area by area.
//!
//! The module copies one area at a time, and says when it has (`COPIED`). What the device asked for
//! is fetched first; then the ioctl comes to the device, again, with all of it. What the device
//! answers is put into the caller's memory before the call ends.

use std::collections::VecDeque;

use super::connection::{Message, header};
use super::requests::request;
use crate::backend::buffer::Buffer;
use crate::backend::{FileId, Incoming, Operation, Reach, RequestId};
use crate::idmap::IdMap;
use crate::wire::{self, CommandHeader, Copied, CopyIn, CopyOut, RequestHeader, operation};
use crate::{Area, Errno, IoctlCommand};

/// Bytes of memory for one call, each way: what CUSE has, so that a driver meets one limit.
const TOTAL_MAX: usize = 128 * 1024;

/// The ioctls of a device that takes them all, while they are under way.
#[derive(Default)]
pub(super) struct Ioctls {
    pending: IdMap<RequestId, Pending>,
    /// Those that come again with no word of the module, oldest first.
    ready: VecDeque<Incoming>,
}

struct Pending {
    header: RequestHeader,
    call: wire::Ioctl,
    /// What is still to be fetched.
    input: VecDeque<Area>,
    /// What has been.
    fetched: Vec<u8>,
    /// Where the answer goes; where nothing was asked for, the argument.
    output: Vec<Area>,
    /// Once it is answered.
    filling: Option<Filling>,
    /// The client no longer waits, and nobody but this knows yet.
    interrupted: bool,
    /// The device has it, not this.
    with_device: bool,
}

/// An answer on its way into the caller's memory.
struct Filling {
    /// What is still to be put.
    left: VecDeque<Part>,
    /// What the call returns.
    result: i32,
}

/// Bytes for the caller's memory.
struct Part {
    address: u64,
    data: Vec<u8>,
}

/// What to do next about an ioctl.
pub(super) enum Step {
    /// It comes to the device again.
    Again(Incoming),
    /// Send this message.
    Send(Vec<u8>),
    /// It is over.
    Finish(Finished),
    /// Nothing of this kind.
    Nothing,
}

/// How an ioctl ended.
pub(super) enum Finished {
    /// It failed.
    Failed(Errno),
    /// It returns this, and all memory is filled.
    Done(i32),
}

impl Ioctls {
    /// An ioctl as it comes from a client. `any`: the device takes those of any number.
    pub(super) fn arrived(&mut self, message: &Message, any: bool) -> Incoming {
        let call = wire::Ioctl::from_bytes(&message.fixed);
        if !any {
            let input = message.data(wire::Ioctl::SIZE);
            return deliver(&message.header, &call, input, call.out_size, Reach::Number);
        }
        let pending = Pending {
            header: message.header,
            call,
            input: VecDeque::new(),
            fetched: Vec::new(),
            output: Vec::new(),
            filling: None,
            interrupted: false,
            with_device: true,
        };
        self.pending.insert(RequestId(message.header.id), pending);
        deliver(&message.header, &call, 0..0, 0, Reach::Input)
    }

    /// The device wants the call again, with these areas.
    pub(super) fn again(&mut self, id: RequestId, input: &[Area], output: &[Area]) -> Step {
        let Some(pending) = self.pending.get_mut(&id) else {
            return Step::Finish(Finished::Failed(Errno::ENOTTY));
        };
        let total = |areas: &[Area]| {
            let lengths = areas.iter().map(|area| area.length);
            lengths.fold(0_usize, usize::saturating_add)
        };
        if total(input) > TOTAL_MAX || total(output) > TOTAL_MAX {
            self.pending.remove(&id);
            return Step::Finish(Finished::Failed(Errno::ENOMEM));
        }
        pending.input = input
            .iter()
            .copied()
            .filter(|area| area.length > 0)
            .collect();
        pending.output = output.to_vec();
        pending.fetched.clear();
        pending.with_device = false;
        match pending.fetch(id) {
            Some(command) => Step::Send(command),
            None => {
                let incoming = pending.redeliver(0..0);
                self.ready.push_back(incoming);
                Step::Nothing
            }
        }
    }

    /// An ioctl that comes again though nothing had to be fetched for it.
    pub(super) fn take_ready(&mut self) -> Option<Incoming> {
        self.ready.pop_front()
    }

    /// Whether there is one.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The module has copied an area. What was fetched for the device goes into `buffer`.
    pub(super) fn copied(&mut self, message: &Message, buffer: &mut Buffer) -> Step {
        let id = RequestId(message.header.id);
        let Some(pending) = self.pending.get_mut(&id) else {
            return Step::Nothing;
        };
        let error = Copied::from_bytes(&message.fixed).error.cast_signed();
        if let Some(errno) = Errno::from_raw(error) {
            self.pending.remove(&id);
            return Step::Finish(Finished::Failed(errno));
        }
        if let Some(filling) = &mut pending.filling {
            let result = filling.result;
            return match filling.left.pop_front() {
                Some(part) => Step::Send(part.copy_out(id)),
                None => {
                    self.pending.remove(&id);
                    Step::Finish(Finished::Done(result))
                }
            };
        }
        if pending.interrupted {
            self.pending.remove(&id);
            return Step::Finish(Finished::Failed(Errno::EINTR));
        }
        pending.fetched.extend(&buffer[message.data(Copied::SIZE)]);
        if let Some(command) = pending.fetch(id) {
            return Step::Send(command);
        }
        let length = pending.fetched.len();
        let Some(room) = buffer.get_mut(..length) else {
            self.pending.remove(&id);
            return Step::Finish(Finished::Failed(Errno::ENOMEM));
        };
        room.copy_from_slice(&pending.fetched);
        Step::Again(pending.redeliver(0..length))
    }

    /// The device has answered. `Nothing`: no memory is to be filled but what goes along with the
    /// answer.
    pub(super) fn answered(&mut self, id: RequestId, result: i32, output: &[u8]) -> Step {
        let Some(pending) = self.pending.get_mut(&id) else {
            return Step::Nothing;
        };
        let mut left = pending.parts(output);
        match left.pop_front() {
            None => {
                self.pending.remove(&id);
                Step::Finish(Finished::Done(result))
            }
            Some(part) => {
                pending.filling = Some(Filling { left, result });
                pending.with_device = false;
                Step::Send(part.copy_out(id))
            }
        }
    }

    /// The client has a signal. Returns whether the device need not be told, as it does not have
    /// the call.
    pub(super) fn interrupt(&mut self, id: RequestId) -> bool {
        match self.pending.get_mut(&id) {
            Some(pending) if !pending.with_device => {
                pending.interrupted = true;
                true
            }
            _ => false,
        }
    }

    /// The call has failed.
    pub(super) fn forget(&mut self, id: RequestId) {
        self.pending.remove(&id);
    }
}

impl Pending {
    /// The message that fetches the next area; `None` if all are there.
    fn fetch(&mut self, RequestId(id): RequestId) -> Option<Vec<u8>> {
        let area = self.input.pop_front()?;
        let copy = CopyIn {
            address: area.address,
            // Lossless: no more than TOTAL_MAX.
            length: area.length as u32,
            reserved: 0,
        };
        Some(command(operation::COPY_IN, id, &copy.to_bytes(), &[]))
    }

    /// The call, to come again with what is at `input` in the buffer.
    fn redeliver(&mut self, input: std::ops::Range<usize>) -> Incoming {
        self.with_device = true;
        let room: usize = self.output.iter().map(|area| area.length).sum();
        // Lossless: no more than TOTAL_MAX.
        deliver(&self.header, &self.call, input, room as u32, Reach::Again)
    }

    /// `output` cut into the areas that it goes to.
    fn parts(&self, output: &[u8]) -> VecDeque<Part> {
        let argument = Area {
            address: self.call.argument,
            length: output.len(),
        };
        let areas = match self.output.as_slice() {
            [] => std::slice::from_ref(&argument),
            areas => areas,
        };
        let mut rest = output;
        let mut parts = VecDeque::new();
        for area in areas {
            let (now, later) = rest.split_at(area.length.min(rest.len()));
            rest = later;
            if !now.is_empty() {
                parts.push_back(Part {
                    address: area.address,
                    data: now.to_vec(),
                });
            }
        }
        parts
    }
}

fn deliver(
    header: &RequestHeader,
    call: &wire::Ioctl,
    input: std::ops::Range<usize>,
    output: u32,
    reach: Reach,
) -> Incoming {
    let operation = Operation::Ioctl {
        file: FileId(header.file),
        command: IoctlCommand::from_raw(call.command),
        argument: call.argument,
        input,
        output,
        reach,
        caller_32_bit: header.flags & wire::REQUEST_COMPAT != 0,
    };
    request(header, operation)
}

impl Part {
    /// The message that puts it there, for the request `id`.
    fn copy_out(&self, RequestId(id): RequestId) -> Vec<u8> {
        let copy = CopyOut {
            address: self.address,
            // Lossless: no more than TOTAL_MAX.
            length: self.data.len() as u32,
            reserved: 0,
        };
        command(operation::COPY_OUT, id, &copy.to_bytes(), &self.data)
    }
}

/// A whole message about the request `id`.
fn command(operation: u16, id: u64, fixed: &[u8], data: &[u8]) -> Vec<u8> {
    let header = CommandHeader {
        id,
        ..header(operation, fixed.len() + data.len())
    };
    [&header.to_bytes(), fixed, data].concat()
}
