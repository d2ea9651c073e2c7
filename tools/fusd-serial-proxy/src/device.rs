//! The device: what clients' calls do to the state.

use std::io::IoSlice;
use std::time::Instant;

use fusd::request::{IoctlRequest, OpenRequest, ReadRequest, WriteRequest};
use fusd::{Attempt, Delivery, Device, Errno, OpenFile, Operations, Properties};

use crate::hub::{Hub, WeakHub};
use crate::ioctl;
use crate::rights::Rights;
use crate::state::{Access, Reading, State, Timing, Writing};

/// A terminal as a device.
pub struct SerialDevice {
    hub: Hub,
    rights: Rights,
}

impl SerialDevice {
    pub(crate) fn new(hub: Hub, rights: Rights) -> Self {
        Self { hub, rights }
    }
}

impl Device for SerialDevice {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream().operations(
            Operations::READ
                | Operations::WRITE
                | Operations::POLL
                | Operations::IOCTL
                | Operations::ANY_IOCTL,
        )
    }

    fn open(&self, request: OpenRequest<()>) {
        let flags = request.flags();
        let access = Access {
            reads: flags.readable(),
            writes: flags.writable(),
            trusted: self.rights.may_write(request.caller()),
            thread: request.caller().thread,
        };
        // One handler runs at a time: nobody comes in between.
        if !self.hub.queue().look(State::admits) {
            request.fail(Errno::EBUSY);
            return;
        }
        request.accept_with((), |file| {
            let id = file.number();
            self.hub.change(|state, _| state.enter(id, access));
            self.hub
                .queue()
                .watch(file, move |state| state.readiness(id));
        });
    }

    fn release(&self, file: &OpenFile<()>) {
        self.hub.queue().unwatch(file);
        let id = file.number();
        let lost = self.hub.change(|state, _| {
            let lost = state.lost_by(id);
            state.leave(id);
            lost
        });
        if lost > 0 {
            tracing::warn!("a client was too slow for {lost} bytes, which it has not got");
        }
    }

    fn read(&self, file: &OpenFile<()>, request: ReadRequest) {
        let id = file.number();
        let hub = self.hub.downgrade();
        let mut timing = Timing::default();
        let attempt = move |state: &mut State, request: ReadRequest| {
            let now = Instant::now();
            let waits = !request.nonblocking();
            match state.reading(id, request.len(), waits, &mut timing, now) {
                // The end of the line is not consumed by nothing.
                _ if request.len() == 0 => {
                    request.reply(&[]);
                    return Attempt::Served;
                }
                Reading::Wait(then) => {
                    if let (Some(then), Some(hub)) = (then, hub.upgrade()) {
                        hub.look_at(then);
                    }
                    return Attempt::Wait(request);
                }
                Reading::End => {
                    request.reply(&[]);
                }
                Reading::Lost => {
                    request.fail(Errno::EIO);
                }
                Reading::Bytes(piece) => {
                    let parts = state.parts(id, piece).map(IoSlice::new);
                    if request.reply_parts(&parts) == Delivery::Delivered {
                        state.consume(id, piece);
                    }
                }
            }
            changed(&hub, state, now);
            Attempt::Served
        };
        self.hub.queue().serve(request, attempt);
    }

    fn write(&self, file: &OpenFile<()>, request: WriteRequest) {
        let id = file.number();
        let hub = self.hub.downgrade();
        let mut begun = Begun {
            hub: self.hub.downgrade(),
            id,
            is_part: false,
        };
        let attempt = move |state: &mut State, request: WriteRequest| {
            let now = Instant::now();
            let attempt = write(state, id, request, &mut begun);
            changed(&hub, state, now);
            attempt
        };
        self.hub.queue().serve(request, attempt);
    }

    fn ioctl(&self, file: &OpenFile<()>, request: IoctlRequest) {
        let id = file.number();
        self.hub.change(|state, _| ioctl::serve(state, id, request));
    }
}

/// What waits in the queue must not keep the hub alive.
fn changed(hub: &WeakHub, state: &mut State, now: Instant) {
    if let Some(hub) = hub.upgrade() {
        hub.changed(state, now);
    }
}

/// A write of which a part may have been taken. Dropped, nothing more comes of it.
struct Begun {
    hub: WeakHub,
    id: u64,
    is_part: bool,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade().filter(|_| self.is_part) {
            hub.change(|state, _| state.cut(self.id));
        }
    }
}

fn write(
    state: &mut State,
    id: u64,
    mut request: WriteRequest,
    begun: &mut Begun,
) -> Attempt<WriteRequest> {
    let count = match state.writing(id, request.data().len()) {
        Writing::Wait => return Attempt::Wait(request),
        Writing::Fail(errno) => {
            request.fail(errno);
            return Attempt::Served;
        }
        Writing::Take(count) => count,
    };
    let bytes = request.data()[..count].to_vec();
    let waits = !request.nonblocking();
    if count == request.data().len() || !waits {
        if request.accept_part(count) == Delivery::Delivered {
            state.write(id, &bytes, false);
            begun.is_part = false;
        }
        return Attempt::Served;
    }
    if request.take(count) == Delivery::Unwanted {
        return Attempt::Served;
    }
    state.write(id, &bytes, true);
    begun.is_part = true;
    Attempt::Part(request)
}
