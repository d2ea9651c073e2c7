//! The devices of this process, by their descriptors.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::sync::{Arc, Mutex, Once};
use std::thread::{self, JoinHandle};
use std::{mem, process};

use fusd_rust::{DeviceBuilder, Errno, Error, ErrorKind, Session};
use nix::sys::stat::fstat;

use super::callbacks::FileOperations;
use super::device::{Driver, Shared};
use super::queue::Queue;
use super::run;
use crate::sync::lock;
use crate::{signals, standard};

/// A registered device.
struct Registered {
    /// The process that made it, and has the threads that serve it.
    process: u32,
    /// No other device of this process has or had it.
    number: u64,
    /// The driver's descriptor, which it may close behind our back, and what identifies its file.
    fd: OwnedFd,
    identity: Identity,
    shared: Arc<Shared>,
    session: JoinHandle<()>,
}

struct Table {
    devices: BTreeMap<i32, Registered>,
    next: u64,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    devices: BTreeMap::new(),
    next: 1,
});

/// Makes the device, and serves it until [`unregister`]. Returns the driver's descriptor.
///
/// # Errors
/// Those of [`DeviceBuilder::register`], or the process is out of descriptors or threads.
pub(crate) fn register(
    builder: DeviceBuilder,
    operations: FileOperations,
    device_info: usize,
) -> Result<i32, Error> {
    let fd = standard::spared(|| make(builder, operations, device_info))?;
    run::wake();
    Ok(fd)
}

fn make(
    builder: DeviceBuilder,
    operations: FileOperations,
    device_info: usize,
) -> Result<i32, Error> {
    let failed =
        |what: &str, errno: Errno| Error::system(ErrorKind::Runtime, errno, what.to_owned());
    let (queue, fd) = Queue::new().map_err(|errno| failed("make a pair of sockets", errno))?;
    let identity = identity(&fd).map_err(|errno| failed("look at a socket", errno))?;
    let number = fd.as_raw_fd();
    let shared = Shared::new(operations, device_info, queue, number);
    let session = signals::blocked(|| {
        // A few threads will do: handlers only put a call into the queue.
        let session = builder.workers(2).register(Driver(Arc::clone(&shared)))?;
        shared.set_session(&session);
        serve(session, Arc::clone(&shared))
            .map_err(|error| failed("start a thread", Errno::from(error)))
    })?;
    let mut table = lock(&TABLE);
    let registered = Registered {
        process: process::id(),
        number: table.next,
        fd,
        identity,
        shared,
        session,
    };
    table.next += 1;
    // A device of this number is one whose descriptor the driver has closed, or a child that has.
    let closed = table.devices.insert(number, registered);
    drop(table);
    if let Some(closed) = closed {
        closed.end();
    }
    Ok(number)
}

/// Runs the session to its end on a thread of its own.
fn serve(session: Session, shared: Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("fusd-session".into())
        .spawn(move || {
            if let Err(error) = session.run() {
                tracing::error!(%error, "the device has ended");
            }
            shared.end();
        })
}

/// The device that has this descriptor, and its number.
///
/// # Errors
/// `EBADF`: there is none. `ENODEV`: it is that of the process which has forked this one.
pub(crate) fn find(fd: i32) -> Result<(u64, Arc<Shared>), Errno> {
    let mut table = lock(&TABLE);
    let found = table.devices.get(&fd).ok_or(Errno::EBADF)?;
    if found.is_foreign() {
        return Err(Errno::ENODEV);
    }
    if found.is_there() {
        return Ok((found.number, Arc::clone(&found.shared)));
    }
    let closed = table.devices.remove(&fd);
    drop(table);
    if let Some(closed) = closed {
        closed.end();
    }
    Err(Errno::EBADF)
}

/// Ends the device that has this descriptor, and closes it.
///
/// # Errors
/// As for [`find`].
pub(crate) fn unregister(fd: i32) -> Result<(), Errno> {
    let (number, _) = find(fd)?;
    take(fd, number).ok_or(Errno::EBADF)?.end();
    run::wake();
    Ok(())
}

/// Likewise, of a device that has ended by itself and of which there is nothing to dispatch. Another
/// one may have its descriptor by now: that is left alone.
pub(crate) fn unregister_ended(fd: i32) -> Result<(), Errno> {
    let (number, device) = find(fd)?;
    if device.is_over() {
        take(fd, number).ok_or(Errno::EBADF)?.end();
        run::wake();
    }
    Ok(())
}

/// Takes a device out of the table, unless another thread was faster.
fn take(fd: i32, number: u64) -> Option<Registered> {
    let mut table = lock(&TABLE);
    let is_it = table.devices.get(&fd)?.number == number;
    is_it.then(|| table.devices.remove(&fd)).flatten()
}

/// The descriptors of all devices. A device whose descriptor the driver has closed ends.
pub(crate) fn descriptors() -> Vec<i32> {
    let mut table = lock(&TABLE);
    let own = table.devices.iter().filter(|(_, d)| !d.is_foreign());
    let (there, gone): (Vec<_>, Vec<_>) = own
        .map(|(fd, device)| (*fd, device.is_there()))
        .partition(|(_, is_there)| *is_there);
    let closed: Vec<_> = gone
        .iter()
        .filter_map(|(fd, _)| table.devices.remove(fd))
        .collect();
    drop(table);
    closed.into_iter().for_each(Registered::end);
    there.into_iter().map(|(fd, _)| fd).collect()
}

/// What tells one file from another: its file system, and its number there.
type Identity = (u64, u64);

fn identity(fd: impl AsFd) -> Result<Identity, Errno> {
    let status = fstat(fd)?;
    Ok((status.st_dev, status.st_ino))
}

impl Registered {
    /// Whether this is a child of the process that has the device: nobody serves it here.
    fn is_foreign(&self) -> bool {
        static TOLD: Once = Once::new();
        let foreign = self.is_inherited();
        if foreign {
            TOLD.call_once(|| {
                tracing::error!(
                    "a device is served by the process that has registered it, and not by its \
                     children; register after fork(2) or daemon(3)"
                );
            });
        }
        foreign
    }

    /// As [`Self::is_foreign`], without a word.
    fn is_inherited(&self) -> bool {
        self.process != process::id()
    }

    /// Whether the driver's descriptor is still that of the device.
    fn is_there(&self) -> bool {
        identity(&self.fd) == Ok(self.identity)
    }

    /// Ends the session and waits until it has; then closes the descriptor, if it is still the
    /// device's. Of a device of the process that has forked this one, nothing is touched.
    fn end(self) {
        if self.is_inherited() {
            // Its thread is not here, its locks may be held for ever, its descriptor may be another file.
            mem::forget(self);
            return;
        }
        self.shared.stop();
        let is_ours = self.is_there();
        if self.session.join().is_err() {
            tracing::error!("bug in the library: a session panicked");
        }
        self.shared.discard();
        if !is_ours {
            // Whoever has the number now is to keep it.
            let _theirs = self.fd.into_raw_fd();
        }
    }
}
