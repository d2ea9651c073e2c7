//! A device as the session sees it: each call becomes the driver's business, by its callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{mem, ptr};

use fusd_rust::{
    Device, Errno, IoctlRequest, OpenFile, OpenRequest, Operations, Properties, ReadRequest,
    SyncRequest, WriteRequest,
};

use super::callbacks::{Ops, Plan};
use super::tables::{self, CALLS, Call, FILES, File, Kind, Stage};
use crate::fork;

/// See above.
pub(crate) struct Driver {
    pub(crate) ops: Ops,
    /// The driver's own pointer, as an address.
    pub(crate) context: usize,
    /// The device's handle.
    pub(crate) device: usize,
    pub(crate) properties: Properties,
    /// The device has been freed, and its session is over: nothing is kept any more.
    pub(crate) freed: Arc<AtomicBool>,
}

/// The operations for which there are callbacks. Readiness is told in any case: it is as it was at the
/// open until the driver says otherwise.
pub(crate) fn operations(ops: &Ops, any_ioctl: bool) -> Operations {
    let mut operations = Operations::POLL;
    operations.set(Operations::READ, ops.read.is_some());
    operations.set(Operations::WRITE, ops.write.is_some());
    operations.set(Operations::IOCTL, ops.ioctl.is_some());
    operations.set(Operations::SYNC, ops.sync.is_some());
    operations.set(Operations::ANY_IOCTL, any_ioctl && ops.ioctl.is_some());
    operations
}

impl Driver {
    /// Makes a call the driver's business.
    fn hand_over(
        &self,
        file: Option<&OpenFile<File>>,
        kind: Kind,
        plan: impl FnOnce(usize) -> Plan,
    ) {
        let handle = tables::handle();
        let call = Call {
            generation: fork::generation(),
            device: self.device,
            context: self.context,
            file: file.cloned(),
            stage: Stage::Before,
            kind,
        };
        CALLS.insert(handle, call);
        let interrupted = self.ops.interrupted;
        let waits = CALLS.look(handle, |call| match interrupted {
            Some(callback) => call.context().on_abandoned(move || tell(callback, handle)),
            None => !call.context().is_abandoned(),
        });
        if waits != Some(true) {
            drop(CALLS.take(handle, |_| true));
            return;
        }
        plan(handle).invoke();
        let stage = CALLS.look(handle, |call| mem::replace(&mut call.stage, Stage::After));
        // Only after the stage is set: `device::free` leaves a call whose callback runs to this place.
        if stage.is_some() && self.freed.load(Ordering::Acquire) {
            drop(CALLS.take(handle, |_| true));
            return;
        }
        if let (Some(Stage::Interrupted), Some(callback)) = (stage, interrupted) {
            Plan::Open(callback, pointer(handle)).invoke();
        }
    }
}

/// Tells the driver that the client of a call has stopped waiting, unless it has answered the call: once
/// the call's callback has returned, so that the driver knows the call.
fn tell(callback: unsafe extern "C" fn(*mut libc::c_void), handle: usize) {
    let now = CALLS.look(handle, |call| match call.stage {
        Stage::After => true,
        Stage::Before | Stage::Interrupted => {
            call.stage = Stage::Interrupted;
            false
        }
    });
    if now == Some(true) {
        Plan::Open(callback, pointer(handle)).invoke();
    }
}

/// A handle as C code has it.
fn pointer(handle: usize) -> *mut libc::c_void {
    ptr::without_provenance_mut(handle)
}

impl Device for Driver {
    type File = File;

    fn properties(&self) -> Properties {
        self.properties
    }

    fn open(&self, request: OpenRequest<File>) {
        match self.ops.open {
            Some(callback) => self.hand_over(None, Kind::Open(request), |call| {
                Plan::Open(callback, pointer(call))
            }),
            None => {
                let handle = tables::handle();
                request.accept_with(File { handle, data: 0 }, |file| {
                    FILES.insert(handle, file.clone());
                });
            }
        }
    }

    fn release(&self, file: &OpenFile<File>) {
        drop(FILES.take(file.handle, |_| true));
        if let Some(callback) = self.ops.release {
            let address = ptr::with_exposed_provenance_mut;
            Plan::Release(callback, address(file.data), address(self.context)).invoke();
        }
    }

    fn read(&self, file: &OpenFile<File>, request: ReadRequest) {
        let Some(callback) = self.ops.read else {
            request.fail(Errno::EINVAL);
            return;
        };
        let (length, offset) = (request.len(), request.offset());
        self.hand_over(Some(file), Kind::Read(request), |call| {
            Plan::Read(callback, pointer(call), length, offset)
        });
    }

    fn write(&self, file: &OpenFile<File>, request: WriteRequest) {
        let Some(callback) = self.ops.write else {
            request.fail(Errno::EINVAL);
            return;
        };
        // The bytes are on the heap: they stay where they are when the request moves.
        let (data, length) = (request.data().as_ptr(), request.data().len());
        let offset = request.offset();
        self.hand_over(Some(file), Kind::Write(request), |call| {
            Plan::Write(callback, pointer(call), data.cast(), length, offset)
        });
    }

    fn ioctl(&self, file: &OpenFile<File>, request: IoctlRequest) {
        let Some(callback) = self.ops.ioctl else {
            request.fail(Errno::ENOTTY);
            return;
        };
        let (number, argument) = (request.command().raw(), request.argument());
        let input = (request.input().as_ptr().cast(), request.input().len());
        let room = request.output_len();
        self.hand_over(Some(file), Kind::Ioctl(request), |call| {
            Plan::Ioctl(callback, pointer(call), number, argument, input, room)
        });
    }

    fn sync(&self, file: &OpenFile<File>, request: SyncRequest) {
        let Some(callback) = self.ops.sync else {
            request.fail(Errno::EINVAL);
            return;
        };
        let data_only = request.data_only();
        self.hand_over(Some(file), Kind::Sync(request), |call| {
            Plan::Sync(callback, pointer(call), data_only)
        });
    }
}
