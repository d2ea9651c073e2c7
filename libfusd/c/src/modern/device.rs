//! A device from its registration to its end.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{mem, process};

use fusd_rust::{
    BackendKind, DeviceBuilder, Errno, Error, ErrorKind, Position, Properties, Serving, Session,
    StopHandle,
};

use super::callbacks::Ops;
use super::driver::{Driver, operations};
use super::tables::{self, CALLS, Call, DEVICES, Stage};
use crate::{failure, signals, standard};

/// `FUSD_SET_MODE` and so on, as in `fusd_device.h`.
pub(crate) const SET_MODE: u32 = 1;
pub(crate) const SET_OWNER: u32 = 2;
pub(crate) const SET_GROUP: u32 = 4;
pub(crate) const STREAM: u32 = 8;
pub(crate) const ANY_IOCTL: u32 = 16;
const KNOWN: u32 = SET_MODE | SET_OWNER | SET_GROUP | STREAM | ANY_IOCTL;

/// A registered device.
pub(crate) struct Registered {
    /// The process that made it, and has the threads that serve it.
    process: u32,
    pub(crate) path: CString,
    pub(crate) backend: CString,
    freed: Arc<AtomicBool>,
    stop: StopHandle,
    state: State,
}

enum State {
    /// The node is there; calls wait.
    Idle(Session),
    /// Served in the background.
    Started(Serving),
    /// A thread waits in `fusd_device_run`.
    Running,
    /// That has come to its end.
    Over,
}

/// What the driver wants, checked as far as its form goes.
pub(crate) struct Wanted<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) backend: Option<&'a str>,
    pub(crate) flags: u32,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) workers: u32,
    pub(crate) max_open: u32,
}

/// The failure of something asked of a device.
fn refused(action: &str, errno: Errno, why: &str) -> Errno {
    failure::remember(&Error::new(ErrorKind::Invalid, errno, action).because(why))
}

/// There is no such device.
fn unknown(action: &str) -> Errno {
    refused(action, Errno::EINVAL, "there is no such device")
}

/// Refuses to touch a device of the process that has forked this one: its threads are not here.
fn is_own(handle: usize, action: &str) -> Result<(), Errno> {
    let process = DEVICES.look(handle, |device| device.process);
    match process.ok_or_else(|| unknown(action))? == process::id() {
        true => Ok(()),
        false => {
            let why = "it is that of the process that has forked this one; make it after fork(2)";
            Err(refused(action, Errno::ENODEV, why))
        }
    }
}

fn invalid(why: &str) -> Error {
    Error::new(ErrorKind::Invalid, Errno::EINVAL, "register a device").because(why)
}

impl Wanted<'_> {
    fn builder(&self) -> Result<DeviceBuilder, Error> {
        if self.flags & !KNOWN != 0 {
            return Err(invalid("its options have unknown flags"));
        }
        let mut builder = match (self.name, self.path) {
            (Some(name), None) => DeviceBuilder::new(name),
            (None, Some(path)) => DeviceBuilder::new("").path(path),
            _ => return Err(invalid("it takes a name or a path, one of them")),
        };
        if let Some(backend) = self.backend {
            builder = match backend {
                "auto" => builder.best_backend(),
                name => builder.backend(name.parse::<BackendKind>()?),
            };
        }
        if self.flags & SET_MODE != 0 {
            builder = builder.mode(self.mode);
        }
        if self.flags & SET_OWNER != 0 {
            builder = builder.owner(self.owner);
        }
        if self.flags & SET_GROUP != 0 {
            builder = builder.group(self.group);
        }
        // Lossless: fusd runs on targets with at least 32 bits.
        if self.workers > 0 {
            builder = builder.workers(self.workers as usize);
        }
        if self.max_open > 0 {
            builder = builder.max_open(self.max_open as usize);
        }
        Ok(builder)
    }
}

/// A structure or a string that the driver hands in is none.
pub(crate) fn malformed(errno: Errno) -> Errno {
    let why = match errno {
        Errno::E2BIG => "its options or operations ask for what only a newer library has",
        _ => "a pointer is null, a size is not set, or a string is not UTF-8",
    };
    refused("register a device", errno, why)
}

/// Makes the device. Returns its handle.
///
/// # Errors
/// Those of `fusd_device_new`, with their text remembered.
pub(crate) fn register(wanted: &Wanted<'_>, ops: Ops, context: usize) -> Result<usize, Errno> {
    make(wanted, ops, context).map_err(|error| failure::remember(&error))
}

fn make(wanted: &Wanted<'_>, ops: Ops, context: usize) -> Result<usize, Error> {
    let builder = wanted.builder()?;
    let mut properties =
        Properties::default().operations(operations(&ops, wanted.flags & ANY_IOCTL != 0));
    if wanted.flags & STREAM != 0 {
        properties.position = Position::Stream;
    }
    let handle = tables::handle();
    let freed = Arc::new(AtomicBool::new(false));
    let driver = Driver {
        freed: Arc::clone(&freed),
        ops,
        context,
        device: handle,
        properties,
    };
    let session = standard::spared(|| signals::blocked(|| builder.register(driver)))?;
    let registered = Registered {
        process: process::id(),
        freed,
        // A path with a zero byte names no file.
        path: CString::new(session.path().as_os_str().as_bytes()).unwrap_or_default(),
        backend: CString::new(session.backend().name()).unwrap_or_default(),
        stop: session.stop_handle(),
        state: State::Idle(session),
    };
    DEVICES.insert(handle, registered);
    Ok(handle)
}

/// Takes the session of a device that nobody serves yet.
fn take_session(handle: usize, next: State) -> Result<Session, Errno> {
    is_own(handle, "serve the device")?;
    let session = DEVICES.look(handle, |device| {
        match mem::replace(&mut device.state, next) {
            State::Idle(session) => Some(session),
            other => {
                device.state = other;
                None
            }
        }
    });
    session
        .ok_or_else(|| unknown("serve the device"))?
        .ok_or_else(|| refused("serve the device", Errno::EBUSY, "it is, or was"))
}

/// Serves the device until somebody stops it.
///
/// # Errors
/// `EINVAL`: no such device. `ENODEV`: it is a parent's. `EBUSY`: it is served already. Those of [`Session::run`].
pub(crate) fn run(handle: usize) -> Result<(), Errno> {
    let session = take_session(handle, State::Running)?;
    // Threads of the session get no signals of the driver; this one does.
    let ended = signals::blocked(|| session.spawn()).and_then(Serving::join);
    DEVICES.look(handle, |device| device.state = State::Over);
    ended.map_err(|error| failure::remember(&error))
}

/// Serves the device in the background.
///
/// # Errors
/// `EINVAL`: no such device. `ENODEV`: it is a parent's. `EBUSY`: it is served already. Those of [`Session::spawn`].
pub(crate) fn start(handle: usize) -> Result<(), Errno> {
    let session = take_session(handle, State::Over)?;
    let serving =
        signals::blocked(|| session.spawn()).map_err(|error| failure::remember(&error))?;
    let mut serving = Some(serving);
    DEVICES.look(handle, |device| {
        if let Some(serving) = serving.take() {
            device.state = State::Started(serving);
        }
    });
    match serving {
        None => Ok(()),
        // Freed meanwhile. Dropped, it ends.
        Some(_) => Err(unknown("serve the device")),
    }
}

/// Asks the device to end.
///
/// # Errors
/// `EINVAL`: no such device. `ENODEV`: it is a parent's.
pub(crate) fn stop(handle: usize) -> Result<(), Errno> {
    is_own(handle, "stop the device")?;
    let stop = DEVICES.look(handle, |device| device.stop.clone());
    stop.ok_or_else(|| unknown("stop the device"))?.stop();
    Ok(())
}

/// Ends the device and waits until it has. What the driver has kept of its calls is void then.
///
/// # Errors
/// `EINVAL`: no such device. `ENODEV`: it was a parent's. `EBUSY`: a thread is in [`run`]. Those of [`Session::run`].
pub(crate) fn free(handle: usize) -> Result<(), Errno> {
    if let Err(errno) = is_own(handle, "free the device") {
        // Forgotten, as its end would take its threads, and end the device of the parent.
        mem::forget(DEVICES.take(handle, |device| device.process != process::id()));
        return Err(errno);
    }
    let mut is_busy = false;
    let device = DEVICES.take(handle, |device| {
        is_busy = matches!(device.state, State::Running);
        !is_busy
    });
    let device = device.ok_or_else(|| match is_busy {
        true => {
            let why = "a thread is in fusd_device_run; stop the device, and wait for that";
            refused("free the device", Errno::EBUSY, why)
        }
        false => unknown("free the device"),
    })?;
    // What serves it may start a thread to end it.
    let ended = signals::blocked(|| match device.state {
        State::Started(serving) => serving.stop(),
        State::Idle(session) => {
            drop(session);
            Ok(())
        }
        State::Running | State::Over => Ok(()),
    });
    // Before the look at the calls: whose callback returns after that sees it.
    device.freed.store(true, Ordering::Release);
    // Not the data of a callback that still runs: `Driver::hand_over` drops its call when it returns.
    let kept = |call: &Call| call.device == handle && matches!(call.stage, Stage::After);
    drop(CALLS.take_all(kept));
    ended.map_err(|error| failure::remember(&error))
}
