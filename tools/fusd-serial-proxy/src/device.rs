//! The device: what clients' calls do to the state.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use fusd::request::{IoctlRequest, OpenRequest, ReadRequest, WriteRequest};
use fusd::{Attempt, Delivery, Device, Errno, OpenFile, Operations, Properties};

use crate::flocks::Flocks;
use crate::hub::{Hub, WeakHub};
use crate::ioctl;
use crate::rights::Rights;
use crate::state::{Access, Reading, State, Timing, Writing};

/// A terminal as a device.
pub struct SerialDevice {
    hub: Hub,
    rights: Rights,
    flocks: Arc<Flocks>,
}

impl SerialDevice {
    pub(crate) fn new(hub: Hub, rights: Rights) -> Self {
        Self {
            hub,
            rights,
            flocks: Arc::default(),
        }
    }

    /// The locks of its node, which has to be told.
    pub(crate) fn flocks(&self) -> Arc<Flocks> {
        Arc::clone(&self.flocks)
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
            process: request.caller().pid(),
        };
        // One handler runs at a time: nobody comes in between.
        if !self.hub.queue().look(State::admits) {
            request.fail(Errno::EBUSY);
            return;
        }
        request.accept_with((), |file| {
            let id = file.number();
            self.hub.change(|state, now| {
                state.settle(now);
                state.enter(id, access);
            });
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
        // Where there is one client, nobody else can have locked the node.
        if self.hub.queue().look(State::is_shared) && self.flocks.keep_out(request.caller()) {
            request.fail(Errno::EBUSY);
            return;
        }
        let hub = self.hub.downgrade();
        let mut begun = Begun {
            hub: self.hub.downgrade(),
            id,
            is_part: false,
        };
        let attempt = move |state: &mut State, request: WriteRequest| {
            let now = Instant::now();
            let attempt = write(state, id, request, &mut begun);
            // One that waits changes nothing. Were anything sent now, what it waits for might be there, and
            // nobody would look again.
            if !matches!(attempt, Attempt::Wait(_)) {
                changed(&hub, state, now);
            }
            attempt
        };
        self.hub.queue().serve(request, attempt);
    }

    fn ioctl(&self, file: &OpenFile<()>, request: IoctlRequest) {
        let id = file.number();
        self.hub.change(|state, now| {
            // Counted and flushed is all that has come.
            state.receive_all(now);
            ioctl::serve(state, id, request);
        });
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

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use fusd::{DeviceBuilder, IoctlCommand};

    use super::*;
    use crate::options::Options;
    use crate::port::wire;
    use crate::termios::Settings;

    /// A port that is joined with itself.
    fn connect(hub: &Hub) {
        let (ports, wires) = wire::cable(true, false);
        for (port, wire) in ports.into_iter().zip(wires) {
            let settings = Settings::default().raw();
            hub.change(|state, _| state.connect(port, Some(settings)));
            wire::start(wire, hub.downgrade(), hub.downgrade(), true).unwrap();
        }
    }

    #[test]
    fn room_is_waited_for_while_anybody_needs_it() {
        let hub = Hub::new(State::new(Options::default())).unwrap();
        let (mut ports, mut wires) = wire::cable(false, false);
        let (port, wire) = (ports.remove(0), wires.remove(0));
        let settings = Settings::default().raw();
        hub.change(|state, _| state.connect(port, Some(settings)));
        let device = SerialDevice::new(hub.clone(), Rights::default());
        let (client, _serving) = DeviceBuilder::new("port").loopback(device).unwrap();
        let files = [0; 2].map(|_| client.open(libc::O_RDWR).unwrap());
        let deadline = Instant::now() + Duration::from_secs(30);
        let until_wait = |count| {
            while hub.queue().waiting() != count {
                assert!(Instant::now() < deadline);
                thread::sleep(Duration::from_millis(1));
            }
        };
        // As much as the wire has room for, as waits for that, and as waits in the client.
        let first = files[0].start_write(&[b'x'; 3 * 4096]);
        until_wait(1);
        // There is room again, which nobody has been told yet when another one comes.
        wire.take_bytes();
        let second = files[1].start_write(b"y");
        until_wait(2);
        assert!(hub.queue().look(|state| state.interest().output));
        while hub.queue().waiting() > 0 {
            wire.take_bytes();
            hub.change(|_, _| ());
        }
        assert_eq!(first.wait().unwrap(), 3 * 4096);
        assert_eq!(second.wait().unwrap(), 1);
    }

    #[test]
    fn who_waits_for_the_lines_learns_that_the_port_goes_and_comes() {
        let hub = Hub::new(State::new(Options::default())).unwrap();
        connect(&hub);
        let device = SerialDevice::new(hub.clone(), Rights::default());
        let (client, _serving) = DeviceBuilder::new("port").loopback(device).unwrap();
        let file = client.open(libc::O_RDWR).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let until = |holds: &dyn Fn(&mut State) -> bool| {
            while !hub.change(|state, _| holds(state)) {
                assert!(Instant::now() < deadline);
                thread::sleep(Duration::from_millis(1));
            }
        };
        let carrier = libc::TIOCM_CD as u32;
        until(&|state| state.lines().unwrap() & carrier != 0);
        // Then it is lost; then it is not back yet.
        let change_it: [&dyn Fn(); 2] = [&|| hub.change(|state, _| state.disconnect()), &|| {
            connect(&hub)
        }];
        for change in change_it {
            thread::scope(|scope| {
                // TIOCMIWAIT.
                let wait = || file.ioctl(IoctlCommand::none(b'T', 0x5c), carrier.into(), &[]);
                let waiting = scope.spawn(wait);
                until(&|state| state.waiting() == 1);
                change();
                assert_eq!(waiting.join().unwrap().unwrap().0, 0);
            });
        }
    }
}
