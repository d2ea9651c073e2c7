//! Joins the state with what the command line names as the port.

use std::path::Path;

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use rustix::fs::{FileType, stat};

use crate::hub::Hub;
use crate::line::{self, Opener};
use crate::port::{net, tty, wire};
use crate::target::Target;
use crate::usb::Adapter;

/// Opens the port and starts to serve it: to be called when the node is there.
pub(crate) type Finish = Box<dyn FnOnce() -> Result<(), ToolError>>;

/// Joins `hub` with the port at `path`, or with `adapter` if that is there.
///
/// The port is opened only when the node can be made: an open resets what is connected to some ports,
/// and from then on the port is set to what this program needs.
///
/// # Errors
/// It is not there. That it is no terminal, or locked, is found when it is opened.
pub(crate) fn device(
    hub: &Hub,
    path: &Path,
    adapter: Option<Adapter>,
) -> Result<Finish, ToolError> {
    let target = Target::Path(path.to_owned());
    let at = adapter.as_ref().and_then(Adapter::find);
    let found = stat(at.as_deref().unwrap_or(path)).map_err(std::io::Error::from);
    let kind = FileType::from_raw_mode(found.map_err(|error| failed(&target, error))?.st_mode);
    if kind != FileType::CharacterDevice {
        return Err(failed(&target, rustix::io::Errno::NOTTY.into()));
    }
    let port = path.to_owned();
    let opener: Opener = Box::new(move || {
        let found = adapter.as_ref().and_then(Adapter::find);
        tty::open_port(found.as_ref().unwrap_or(&port))
    });
    let hub = hub.clone();
    Ok(Box::new(move || {
        let opened = opener().map_err(|error| failed(&target, error))?;
        line::start(&hub, target.name(), opened, opener).map_err(no_thread)
    }))
}

/// Joins `hub` with what `opener` opens, elsewhere: that may take long, and nothing is left to be put
/// right if it fails.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn elsewhere(hub: &Hub, address: &str, serial: bool) -> Result<(), ToolError> {
    let target = match serial {
        true => Target::Rfc2217(address.to_owned()),
        false => Target::Tcp(address.to_owned()),
    };
    let address = address.to_owned();
    let opener: Opener = Box::new(move || net::open_port(&address, serial));
    let opened = opener().map_err(|error| failed(&target, error))?;
    line::start(hub, target.name(), opened, opener).map_err(no_thread)
}

/// Joins the two hubs as by a null modem, or one with itself.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn join(hub: &Hub, other: Option<&Hub>, paced: bool) -> Result<(), ToolError> {
    let looped = other.is_none();
    let (ports, wires) = wire::cable(looped, paced);
    let hubs = [hub, other.unwrap_or(hub)];
    for (port, hub) in ports.into_iter().zip(hubs) {
        hub.change(|state, _| {
            // With echo at both ends, each byte would go to and fro for ever.
            let settings = state.settings().raw();
            state.connect(port, Some(settings));
        });
    }
    for (number, wire) in wires.into_iter().enumerate() {
        let (sender, receiver) = (hubs[number].downgrade(), hubs[1 - number].downgrade());
        wire::start(wire, sender, receiver, looped).map_err(no_thread)?;
    }
    Ok(())
}

pub(crate) fn no_thread(error: std::io::Error) -> ToolError {
    Error::system(ErrorKind::Runtime, error, "start a thread").into()
}

fn failed(target: &Target, error: std::io::Error) -> ToolError {
    let hint = match (target, Errno::from(&error)) {
        (Target::Path(_), Errno::ENOTTY) => "give a terminal device, such as /dev/ttyS0",
        (Target::Path(_), Errno::EBUSY) => "another program has locked it; --list may tell which",
        (Target::Path(_), Errno::EACCES) => {
            "join the group of the device (dialout), or run this as root"
        }
        (Target::Path(_), _) => "fusd-serial-proxy --list tells which there are",
        (_, Errno::EPROTO) => "nobody there speaks RFC 2217; try tcp://",
        _ => "is anybody listening there?",
    };
    Error::system(ErrorKind::Runtime, error, "open the port")
        .on(target.name())
        .hint(hint)
        .into()
}
