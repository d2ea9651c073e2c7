//! `fusd trace`: the calls of a device's clients, as they end.
//!
//! The driver's library sends them, to whoever has written into a page of memory that it looks at
//! before each call (`libfusd/src/trace.rs`). Here is who writes there, and receives.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fusd::Errno;
use fusd_tool::{ToolError, exit};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen, recv, socket,
};
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::json;

use crate::devices::{self, Driver};
use crate::kill;
use crate::list::print;
use crate::table::printable;

/// How the target of the link in /proc/PID/fd begins.
const FILE: &str = "/memfd:fusd-trace:";
/// Bytes of the node's path behind that, at most: its end.
const PATH_MAX: usize = 200;
/// Where the socket's name goes.
const NAME: std::ops::Range<u64> = 8..72;
/// Bytes of a message, at most: some numbers, and what is shown of data.
const MESSAGE: usize = 8192;

/// Show the calls of a device's clients, with their arguments, results and times
///
/// A line for each call when it has ended: time, who called, the call with the number of the open file
/// and its arguments, the result, and how long it took. The device goes on meanwhile as ever; calls
/// that come too fast are counted as lost. It takes the right to look into the driver's process.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The device: a name below /dev or $XDG_RUNTIME_DIR/fusd, or the path of its node
    #[arg(value_name = "NAME")]
    node: PathBuf,

    /// Print a JSON object for each call, on a line of its own
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    let shown = printable(&args.node.to_string_lossy());
    let all = devices::find();
    let device = kill::find(&args.node, &all).ok_or_else(|| {
        ToolError::failed(format!(
            "cannot trace {shown}: it is no device of fusd; `fusd list` shows those that there are"
        ))
    })?;
    let Driver::Known(driver) = &device.driver else {
        return Err(ToolError::new(
            exit::PERMISSION,
            format!(
                "cannot trace {shown}: this user cannot be told which process serves it; run as root"
            ),
        ));
    };
    let failed = |errno: Errno| {
        let (code, hint) = match errno {
            Errno::EACCES | Errno::EPERM => {
                (exit::PERMISSION, "run as root, or as who runs the driver")
            }
            Errno::ENOENT => (
                exit::FAILED,
                "its driver is made with a library that cannot be traced",
            ),
            _ => (exit::FAILED, "look again with `fusd list`"),
        };
        let title = driver.title();
        ToolError::new(
            code,
            format!("cannot trace {shown}, which {title} serves: {errno}; {hint}"),
        )
    };
    let signals = signals().map_err(failed)?;
    let end = watch_process(driver.pid).map_err(failed)?;
    let page = page(driver.pid, &device.path).map_err(failed)?;
    let tracer = Tracer::begin(page).map_err(failed)?;
    fusd_tool::say(format!(
        "fusd: tracing {}; Ctrl-C ends it\n",
        device.path.display()
    ));
    tracer.follow(&signals, &end, args.json).map_err(failed)?;
    Ok(exit::STOPPED)
}

fn signals() -> Result<SignalFd, Errno> {
    let set = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    set.thread_block()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    Ok(SignalFd::with_flags(&set, flags)?)
}

/// What can be read when the process has ended.
fn watch_process(pid: u32) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(Errno::ENODEV)?;
    pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| Errno::from_raw(error.raw_os_error()).unwrap_or(Errno::EIO))
}

/// The page of the session that serves the node at `path`.
fn page(pid: u32, path: &Path) -> Result<File, Errno> {
    let path = path.as_os_str().as_encoded_bytes();
    let end = String::from_utf8_lossy(&path[path.len().saturating_sub(PATH_MAX)..]).into_owned();
    let mut pages = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        if let Some(name) = target.strip_prefix(FILE) {
            let name = name.strip_suffix(" (deleted)").unwrap_or(name);
            pages.push((name.to_owned(), entry.path()));
        }
    }
    let of_node = pages.iter().find(|(name, _)| *name == end);
    // A path through symbolic links is another; but a driver of one device has one page.
    let only = pages.first().filter(|_| pages.len() == 1);
    let (_, link) = of_node.or(only).ok_or(Errno::ENOENT)?;
    Ok(File::options().read(true).write(true).open(link)?)
}

/// Who receives the calls. Dropped, it is told of none any more.
struct Tracer {
    page: File,
    /// What the flag is set to: a number that no other tracer has.
    flag: u64,
    listener: OwnedFd,
}

impl Tracer {
    fn begin(page: File) -> Result<Self, Errno> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().subsec_nanos();
        let flag = u64::from(std::process::id()) << 32 | u64::from(now) | 1;
        let name = format!("fusd-trace-{flag:x}");
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        bind(
            listener.as_raw_fd(),
            &UnixAddr::new_abstract(name.as_bytes())?,
        )?;
        listen(&listener, Backlog::new(1)?)?;
        let tracer = Self {
            page,
            flag,
            listener,
        };
        let length = usize::try_from(NAME.end - NAME.start).unwrap_or(0);
        let mut name = name.into_bytes();
        name.resize(length, 0);
        tracer.page.write_all_at(&name, NAME.start)?;
        tracer.set(flag)?;
        Ok(tracer)
    }

    fn set(&self, flag: u64) -> io::Result<()> {
        self.page.write_all_at(&flag.to_ne_bytes(), 0)
    }

    /// Whether no other tracer has taken over.
    fn is_mine(&self) -> bool {
        let mut flag = [0; 8];
        let read = self.page.read_exact_at(&mut flag, 0);
        read.is_ok() && u64::from_ne_bytes(flag) == self.flag
    }

    /// Prints what comes, until a signal or the driver's end does.
    fn follow(&self, signals: &SignalFd, end: &OwnedFd, json: bool) -> Result<(), Errno> {
        let mut source: Option<OwnedFd> = None;
        loop {
            let from = source.as_ref().unwrap_or(&self.listener);
            let mut events = [from.as_fd(), signals.as_fd(), end.as_fd()]
                .map(|file| PollFd::new(file, PollFlags::POLLIN));
            match poll(&mut events, PollTimeout::NONE) {
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            let [calls, signal, ended] = events.map(|event| event.any().unwrap_or(false));
            if signal {
                return Ok(());
            }
            let goes_on = match &source {
                None if calls => {
                    source = Some(self.accept()?);
                    true
                }
                Some(source) if calls => self.receive(source, json)?,
                // What it has sent before has been received by now.
                _ if ended => {
                    fusd_tool::say("fusd: the driver has ended\n");
                    false
                }
                _ => true,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn accept(&self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        accept_with(&self.listener, flags)
            .map_err(|error| Errno::from_raw(error.raw_os_error()).unwrap_or(Errno::EIO))
    }

    /// One message; false where no more will come.
    fn receive(&self, source: &OwnedFd, json: bool) -> Result<bool, Errno> {
        let mut message = [0; MESSAGE];
        match recv(source.as_raw_fd(), &mut message, MsgFlags::empty()) {
            Ok(0) => {
                if !self.is_mine() {
                    fusd_tool::say("fusd: another one traces the device now\n");
                } else {
                    fusd_tool::say("fusd: the driver has ended\n");
                }
                Ok(false)
            }
            Ok(length) => {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                if let Some(call) = Call::parse(&text) {
                    print(&call.line(json));
                }
                Ok(true)
            }
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => Ok(true),
            Err(nix::errno::Errno::ECONNRESET) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if self.is_mine() {
            // Where it fails, the driver finds out by itself.
            let _later = self.set(0);
        }
    }
}

/// A call that has ended.
#[derive(Debug, PartialEq, Eq)]
struct Call<'a> {
    pid: &'a str,
    uid: &'a str,
    program: String,
    name: &'a str,
    arguments: &'a str,
    result: &'a str,
    micros: u64,
    lost: u64,
}

impl<'a> Call<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let fields: Vec<&str> = text.split_terminator('\0').collect();
        let &[pid, uid, program, name, arguments, result, micros, lost] = &fields[..] else {
            return None;
        };
        Some(Self {
            pid,
            uid,
            program: printable(program),
            name,
            arguments,
            result,
            micros: micros.parse().ok()?,
            lost: lost.parse().ok()?,
        })
    }

    fn line(&self, json: bool) -> String {
        let now = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        if json {
            let call = json!({
                "time": now,
                "pid": number(self.pid),
                "uid": number(self.uid),
                "program": self.program,
                "call": self.name,
                "arguments": self.arguments,
                "result": self.result,
                "micros": self.micros,
                "lost_before": self.lost,
            });
            return format!("{call}\n");
        }
        let lost = match self.lost {
            0 => String::new(),
            count => format!("... {count} calls were too fast, and are not shown\n"),
        };
        let time = now.split_once('T').map_or(now.as_str(), |(_, time)| time);
        format!(
            "{lost}{} {}({}) {}({}) = {} <{:.6}>\n",
            time.trim_end_matches('Z'),
            self.program,
            self.pid,
            self.name,
            printable(self.arguments),
            printable(self.result),
            self.micros as f64 / 1e6,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_line() {
        let text = "12\x007\0ca\nt\0read\x001, 10, 0\x003 \"abc\"\x001500\x002\0";
        let call = Call::parse(text).unwrap();
        let line = call.line(false);
        assert!(line.starts_with("... 2 calls were too fast"), "{line}");
        let end = " ca?t(12) read(1, 10, 0) = 3 \"abc\" <0.001500>\n";
        assert!(line.ends_with(end), "{line}");
        let line: serde_json::Value = serde_json::from_str(&call.line(true)).unwrap();
        assert_eq!((&line["pid"], &line["micros"]), (&12.into(), &1500.into()));
        for bad in ["", "a\0b\0", "1\x002\x003\x004\x005\x006\0x\x000\0"] {
            assert_eq!(Call::parse(bad), None);
        }
    }
}
