//! `fusd run`: devices that exist for one command alone, for an ordinary user.
//!
//! This process makes the namespaces (`namespace`) and starts itself anew in them, as their first
//! process (`inside`): that one makes the private /dev (`dev`), starts the drivers, and runs the
//! command. When it ends, however that comes, the kernel kills all that is in there, and with the last
//! process the mounts go. It ends when this process does, as the pipe tells that it holds.

mod dev;
pub(crate) mod inside;
mod namespace;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::pipe;
use std::path::PathBuf;

use fusd::Errno;
use fusd_tool::{Child, Program, ToolError, exit_code};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::config::Config;
use crate::driver::Wanted;

/// Run a command with a /dev of its own, in which these devices exist for it alone
///
/// An ordinary user can do this where user namespaces are permitted: no node is made outside. /dev has
/// the usual nodes of the machine besides. Everything that the command has started ends with it, and
/// so do the devices; the exit status is the command's.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A device: its name below /dev, and the tool that serves it with the tool's arguments
    ///
    /// Repeatable. The tool may be any driver that takes --path and --ready-fd; "fusd-" can be left
    /// out. A device takes the place of a usual node of the same name.
    #[arg(short, long, value_name = "NAME=TOOL ARGS")]
    device: Vec<String>,

    /// All devices of a configuration file as well
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A node of the machine's /dev that the command is to have besides the usual ones, or "all"
    #[arg(long, value_name = "NAME")]
    keep: Vec<String>,

    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The number under which the first process inside finds the pipe that ends with this process.
const LIFE: i32 = 3;

impl Args {
    /// The devices that are wanted.
    ///
    /// # Errors
    /// One cannot be, or two have one name.
    fn devices(&self) -> Result<Vec<Wanted>, ToolError> {
        let mut devices = Vec::new();
        for text in &self.device {
            devices.push(Wanted::parse(text).map_err(|why| {
                ToolError::usage(format!("the device {text:?} cannot be used: {why}"))
            })?);
        }
        if let Some(file) = &self.config {
            let config = Config::read(file)?;
            devices.extend(config.entries.iter().map(|entry| entry.for_private_dev()));
        }
        for (place, device) in devices.iter().enumerate() {
            if devices[..place]
                .iter()
                .any(|other| other.name == device.name)
            {
                return Err(ToolError::usage(format!(
                    "two devices are called {}; give each a name of its own",
                    device.name
                )));
            }
        }
        Ok(devices)
    }

    /// The command line of the first process inside, this program again at the path `own`.
    fn inside(&self, own: PathBuf) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![own.into(), "inside".into()];
        let mut add = |option: &str, value: &OsStr| {
            words.push(option.into());
            words.push(value.to_owned());
        };
        for device in &self.device {
            add("--device", device.as_ref());
        }
        if let Some(config) = &self.config {
            add("--config", config.as_ref());
        }
        for name in &self.keep {
            add("--keep", name.as_ref());
        }
        words.push("--".into());
        words.extend(self.command.iter().cloned());
        words
    }
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    // What is wrong with the command line is said before anything is made.
    for device in args.devices()? {
        device.program()?;
    }
    let own = own_path();
    // They have to be blocked before the other process can end.
    let signals = Signals::take().map_err(|errno| failed("take the signals", errno))?;
    namespace::enter()?;
    let (life, _held) = pipe().map_err(|error| failed("make a pipe", error.into()))?;
    let child = Program::new(args.inside(own))
        .descriptor(life, LIFE)
        .spawn()
        .map_err(|errno| failed("start a process in the new namespaces", errno))?;
    let status = signals
        .wait(&child)
        .map_err(|errno| failed("wait for the command", errno))?;
    Ok(exit_code(status))
}

/// Where this program is. As the first process of a container, it takes the container's own mounts with it
/// into the new namespace, and what was started by way of /proc/self/exe is then at no path (fs/d_path.c).
fn own_path() -> PathBuf {
    let own = env::current_exe().ok().filter(|path| path.is_file());
    // It was replaced meanwhile.
    own.unwrap_or_else(|| "/proc/self/exe".into())
}

fn failed(action: &str, errno: Errno) -> ToolError {
    ToolError::failed(format!("cannot {action}: {errno}"))
}

/// The signals of this process. There is no thread for them: after it has made a pid namespace, a
/// process can have no more threads.
struct Signals(SignalFd);

impl Signals {
    fn take() -> Result<Self, Errno> {
        let set = SigSet::from_iter([
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
        ]);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?))
    }

    /// Waits for the end of the process inside, and hands on to it what other processes send. What
    /// the terminal sends, it gets itself.
    fn wait(&self, child: &Child) -> Result<std::process::ExitStatus, Errno> {
        loop {
            let info = match self.0.read_signal() {
                Ok(Some(info)) => info,
                Ok(None) | Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            // Lossless: signal numbers are at most 64.
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) if has_ended(child)? => return child.wait(),
                Ok(Signal::SIGCHLD | Signal::SIGQUIT) | Err(_) => {}
                Ok(_) if info.ssi_code > 0 => {}
                Ok(signal) => child.signal(signal),
            }
        }
    }
}

fn has_ended(child: &Child) -> Result<bool, Errno> {
    let pid = Pid::from_raw(child.pid().cast_signed());
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    Ok(waitid(Id::Pid(pid), flags)? != WaitStatus::StillAlive)
}
