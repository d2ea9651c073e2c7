//! `fusd kill`: asks the drivers of devices to end, and sees that they do.

use std::env;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fusd::Errno;
use fusd_tool::{ToolError, exit};
use rustix::io::Errno as Raw;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::devices::{self, Device, Driver, Process};
use crate::list::print;
use crate::{args, table};

/// Between two looks at whether something has gone.
const PAUSE: Duration = Duration::from_millis(20);

/// End the drivers of devices, and wait until the devices have gone
///
/// The drivers get SIGTERM, as from any service manager. All of a driver's devices go with it.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Devices: names below /dev or $XDG_RUNTIME_DIR/fusd, or paths of nodes
    #[arg(value_name = "NAME", required = true)]
    nodes: Vec<PathBuf>,

    /// How long to wait until a device has gone
    #[arg(short, long, value_name = "TIME", value_parser = args::duration, default_value = "5s")]
    timeout: Duration,

    /// Then kill what is left, by SIGKILL
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    let all = devices::find();
    // Nothing is ended unless everything can be.
    let mut victims = Vec::new();
    for node in &args.nodes {
        victims.push(Victim::choose(node, &all)?);
    }
    for victim in &victims {
        victim.send(Signal::TERM)?;
    }
    let mut code = exit::STOPPED;
    for victim in &victims {
        let mut gone = victim.wait(args.timeout);
        if !gone && args.force {
            victim.send(Signal::KILL)?;
            gone = victim.wait(args.timeout);
        }
        if gone {
            print(&format!("{} has gone\n", victim.shown()));
        } else {
            fusd_tool::say(format!("fusd: {}\n", victim.left(args)));
            code = exit::FAILED;
        }
    }
    Ok(code)
}

/// A device whose driver is to end.
struct Victim {
    device: Device,
    driver: Process,
    handle: OwnedFd,
}

impl Victim {
    /// The device at `node`, with a hold on its driver that cannot become another process's.
    fn choose(node: &Path, all: &[Device]) -> Result<Self, ToolError> {
        let shown = table::printable(&node.to_string_lossy());
        let Some(device) = find(node, all) else {
            return Err(ToolError::failed(format!(
                "cannot end {shown}: it is no device of fusd; `fusd list` shows those that there are"
            )));
        };
        let driver = match &device.driver {
            Driver::Known(driver) => driver.clone(),
            Driver::Unknown => {
                return Err(ToolError::new(
                    exit::PERMISSION,
                    format!(
                        "cannot end {shown}: this user cannot be told which process serves it; run \
                         as root"
                    ),
                ));
            }
            Driver::Dead => {
                return Err(ToolError::failed(format!(
                    "cannot end {shown}: its driver is dead already; remove what it left with \
                     `fusermount3 -uz {shown}`"
                )));
            }
        };
        let failed = |error: Raw| cannot("end", &driver, error);
        let pid = i32::try_from(driver.pid).ok().and_then(Pid::from_raw);
        let handle = pid
            .ok_or(Raw::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
            .map_err(failed)?;
        // Between the look and the hold, the number may have become another process's.
        let same = |now: &Device| now.path == device.path && now.driver == device.driver;
        if !devices::find().iter().any(same) {
            return Err(failed(Raw::SRCH));
        }
        Ok(Self {
            device: device.clone(),
            driver,
            handle,
        })
    }

    fn send(&self, signal: Signal) -> Result<(), ToolError> {
        match pidfd_send_signal(&self.handle, signal) {
            // It has ended by itself.
            Ok(()) | Err(Raw::SRCH) => Ok(()),
            Err(error) => Err(cannot("end", &self.driver, error)),
        }
    }

    /// Whether the device has gone, now or within `limit`.
    fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while devices::is_there(&self.device.path, self.device.backend) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(PAUSE);
        }
        true
    }

    fn shown(&self) -> String {
        table::printable(&self.device.path.to_string_lossy())
    }

    /// What is left, and what to do about it.
    fn left(&self, args: &Args) -> String {
        let time = humantime::format_duration(args.timeout);
        let clients: Vec<String> = self.device.clients.iter().map(Process::title).collect();
        let clients = match clients.is_empty() {
            true => String::new(),
            false => format!(", which {} had open,", clients.join(" and ")),
        };
        let hint = match args.force {
            true => "what is left of it may be waiting for hardware",
            false => "wait for longer with --timeout, or kill it with --force",
        };
        format!(
            "cannot end {}{clients} within {time}: {} still serves it; {hint}",
            self.shown(),
            self.driver.title(),
        )
    }
}

fn cannot(what: &str, driver: &Process, error: Raw) -> ToolError {
    let title = driver.title();
    let errno = Errno::from_raw(error.raw_os_error()).unwrap_or(Errno::EIO);
    match error {
        Raw::PERM | Raw::ACCESS => ToolError::new(
            exit::PERMISSION,
            format!(
                "cannot {what} {title}, which user {} runs: {errno}; run as root",
                driver.user()
            ),
        ),
        _ => ToolError::failed(format!(
            "cannot {what} {title}: {errno}; look again with `fusd list`"
        )),
    }
}

/// The device that somebody calls `node`.
pub(crate) fn find<'a>(node: &Path, all: &'a [Device]) -> Option<&'a Device> {
    let places = places(node);
    let mut places = places.iter();
    places.find_map(|place| all.iter().find(|device| device.path == *place))
}

/// Where a device may be that somebody calls `node`, in the order of their likelihood.
fn places(node: &Path) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if node.is_relative() {
        if let Some(runtime) = env::var_os("XDG_RUNTIME_DIR") {
            places.push(Path::new(&runtime).join("fusd").join(node));
        }
        places.push(Path::new("/dev").join(node));
    }
    places.extend(std::path::absolute(node));
    // A mount's place is shown without symbolic links.
    let real = places.iter().filter_map(|place| {
        let parent = place.parent()?.canonicalize().ok()?;
        Some(parent.join(place.file_name()?))
    });
    let real: Vec<PathBuf> = real.collect();
    places.extend(real);
    places
}

#[test]
fn a_name_is_looked_for_where_names_go() {
    let places = places(Path::new("bus/x"));
    assert!(places.contains(&PathBuf::from("/dev/bus/x")), "{places:?}");
    assert!(places.iter().all(|place| place.is_absolute()), "{places:?}");
    assert_eq!(self::places(Path::new("/dev/x"))[0], Path::new("/dev/x"));
}
