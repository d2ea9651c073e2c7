//! The command line.

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::Parser;
use fusd::{Error, ErrorKind};
use fusd_tool::{BackendArg, CommonArgs, Driver, Tool, ToolError};

use crate::connect::{self, Finish, no_thread};
use crate::device::SerialDevice;
use crate::hub::Hub;
use crate::monitor::{self, Clients, Job, Monitor, Ring, Slot};
use crate::options::{OnLost, Options, Policy, Share, WriteLock};
use crate::pty::{self, Access, Pty};
use crate::rights::{Rights, Who, who};
use crate::state::State;
use crate::tap::{Form, Tap};
use crate::target::{Target, target};
use crate::usb::{Adapter, adapter};

const SHARING: &str = "Clients";
const PORT: &str = "Port";
const LOOKING: &str = "Copies and numbers";

/// Share one serial port among many programs, each of which finds a terminal of its own
///
/// The node looks and acts like the port, also while that is unplugged.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// The port: a path, loop, pair, tcp://HOST:PORT or rfc2217://HOST:PORT
    ///
    /// loop joins a port's output and input; pair joins two nodes as a null modem does.
    #[arg(value_name = "PORT", value_parser = target, required_unless_present = "list")]
    pub port: Option<Target>,

    /// Path of the node; the same as --path
    #[arg(value_name = "NODE", conflicts_with_all = ["name", "path"])]
    pub node: Option<PathBuf>,

    /// Path of the other node of a pair
    #[arg(value_name = "NODE2", conflicts_with_all = ["name", "path"])]
    pub second: Option<PathBuf>,

    /// Make a pseudo-terminal, and a link to it at the node's place
    ///
    /// For programs that need a controlling terminal or another line discipline, such as pppd(8).
    /// Without kfusd and CUSE there is nothing else: it is made with a warning then.
    #[arg(long, help_heading = PORT)]
    pub pty: bool,

    /// What clients find while the port is lost
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = PORT)]
    pub on_lost: OnLost,

    /// Take the USB adapter with these numbers, whatever its path is; PORT, where it is not there
    ///
    /// VID:PID, in hexadecimal, or VID:PID/SERIAL, as --list tells them.
    #[arg(long, value_name = "ID", value_parser = adapter, help_heading = PORT)]
    pub find: Option<Adapter>,

    /// Let each byte take the time it takes on a line of that speed; with loop and pair
    #[arg(long, help_heading = PORT)]
    pub pace: bool,

    /// Who gets what comes from the port
    #[arg(long, value_name = "WHOM", value_enum, default_value_t, help_heading = SHARING)]
    pub share: Share,

    /// What of several clients' output is not mixed
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = SHARING)]
    pub write_lock: WriteLock,

    /// Whose settings count, as stty(1) makes them
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t, help_heading = SHARING)]
    pub settings: Policy,

    /// Let nobody write, nor change settings
    #[arg(long, help_heading = SHARING)]
    pub ro: bool,

    /// Let only these write: users, and groups after "@", separated by commas
    ///
    /// Others who open the node for writing can read; their writes fail with EPERM.
    #[arg(long, value_name = "WHO", value_parser = who, value_delimiter = ',', help_heading = SHARING)]
    pub writers: Vec<Who>,

    /// Bytes that are kept for a client that does not read [default: 64K]
    ///
    /// With K, M or G (times 1024). A client that is slower loses the oldest.
    #[arg(short, long, value_parser = fusd_tool::size, allow_negative_numbers = true, help_heading = SHARING)]
    pub size: Option<usize>,

    /// Append all that goes through to FILE, with the time and which way it went
    #[arg(long, value_name = "FILE", help_heading = LOOKING)]
    pub log: Option<PathBuf>,

    /// How bytes are shown there
    #[arg(long, value_name = "FORM", value_enum, default_value_t, requires = "log", help_heading = LOOKING)]
    pub log_as: Form,

    /// Write all that goes through to FILE in a form that wireshark(1) reads
    #[arg(long, value_name = "FILE", help_heading = LOOKING)]
    pub pcap: Option<PathBuf>,

    /// Show on this terminal what goes through, the modem lines, the numbers and the clients, live
    ///
    /// Keys: q ends the program, h shows bytes in hexadecimal, p pauses, c clears.
    #[arg(long, conflicts_with = "command", help_heading = LOOKING)]
    pub monitor: bool,

    /// At the end, say on standard error what has gone through
    ///
    /// SIGUSR1 has it said at any time.
    #[arg(long, help_heading = LOOKING)]
    pub stats: bool,

    /// List the machine's serial ports, what they are and who has them open, and end
    #[arg(long, help_heading = LOOKING)]
    pub list: bool,

    /// The options of every tool.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl Tool for Args {
    const NAME: &'static str = "fusd-serial-proxy";
    type Device = SerialDevice;

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn node_path(&self) -> Option<&Path> {
        self.node.as_deref().or(self.common.path.as_deref())
    }

    fn prepare(&self) -> Result<(), ToolError> {
        match self.monitor {
            true => monitor::prepare()
                .map_err(|error| Error::system(ErrorKind::Runtime, error, "block a signal").into()),
            false => Ok(()),
        }
    }

    fn driver(&self) -> Result<Driver<SerialDevice>, ToolError> {
        if let Some(text) = self.contradiction() {
            return Err(ToolError::usage(text));
        }
        if self.monitor && !monitor::has_terminal() {
            return Err(ToolError::usage(
                "the monitor needs a terminal as standard input and output; --log FILE notes the same in \
                 a file",
            ));
        }
        let ring = self.monitor.then(Ring::default);
        let hub = Hub::new(self.state(self.tap(ring.clone())?)).map_err(no_thread)?;
        let (other, finish) = self.connect(&hub)?;
        let slot = Slot::default();
        let show = self.show(&hub, ring, &slot)?;
        let rights = Rights::new(&self.writers);
        let pseudo = self.takes_pseudo_terminal();
        let (shown, ended, left) = (hub.clone(), hub.clone(), hub.clone());
        // Every handler is short, and has the queue's lock for all of it.
        let mut driver = Driver::new(SerialDevice::new(hub.clone(), rights.clone()))
            .workers(1)
            .on_usr1(move || shown.queue().look(State::stats).to_string())
            .after_end(move || {
                // First the port: a terminal that takes nothing can hold up the monitor's end.
                left.change(|state, _| state.restore());
                slot.empty();
            });
        if self.stats {
            driver = driver.on_end(move || ended.queue().look(State::stats).to_string());
        }
        let second = self.second.clone().zip(other);
        if pseudo {
            let path = self.place()?;
            let access = self.access();
            return Ok(driver.own_node(move || {
                let beside = match second {
                    Some((path, hub)) => Some(Pty::new(&path, &hub, access)?),
                    None => None,
                };
                if let Some(finish) = finish {
                    pty::vacant(&path)?;
                    finish()?;
                }
                let node = Pty::new(&path, &hub, access)?.beside(beside);
                show(Clients::Terminal(node.terminal().to_owned()))?;
                Ok(Box::new(node))
            }));
        }
        driver = driver.on_ready(move |_| {
            finish.map_or(Ok(()), |finish| finish())?;
            show(Clients::Device)
        });
        if let Some((path, hub)) = second {
            driver = driver.beside(path, SerialDevice::new(hub, rights));
        }
        Ok(driver)
    }
}

impl Args {
    /// What the grammar of the command line does not tell.
    fn contradiction(&self) -> Option<&'static str> {
        let pair = self.port == Some(Target::Pair);
        let joined = pair || self.port == Some(Target::Loop);
        let rules = [
            (
                pair && self.second.is_none(),
                "a pair has two nodes; give the paths of both: pair NODE NODE2",
            ),
            (
                !pair && self.second.is_some(),
                "only a pair has two nodes; give one path",
            ),
            (
                self.find.is_some() && !matches!(self.port, Some(Target::Path(_))),
                "an adapter is found in place of a path; give one as PORT",
            ),
            (
                self.pace && !joined,
                "only loop and pair can be paced; a port has its own speed",
            ),
        ];
        rules
            .into_iter()
            .find_map(|(wrong, text)| wrong.then_some(text))
    }

    fn state(&self, tap: Option<Tap>) -> State {
        let options = Options {
            share: self.share,
            write_lock: self.write_lock,
            settings: match self.ro {
                true => Policy::Fixed,
                false => self.settings,
            },
            on_lost: self.on_lost,
            read_only: self.ro,
            size: self.size.unwrap_or(Options::default().size),
        };
        let mut state = State::new(options);
        if let Some(tap) = tap {
            state.tap(tap);
        }
        state
    }

    fn tap(&self, ring: Option<Ring>) -> Result<Option<Tap>, ToolError> {
        let mut tap = Tap::default();
        if let Some(ring) = ring {
            tap.show_in(ring);
        }
        let failed = |path: &Path, error| {
            Error::system(ErrorKind::Runtime, error, "write to the file")
                .on(path)
                .hint("choose another file")
        };
        if let Some(path) = &self.log {
            let result = tap.log_to(path, self.log_as);
            result.map_err(|error| failed(path, error))?;
        }
        if let Some(path) = &self.pcap {
            let result = tap.capture_to(path);
            result.map_err(|error| failed(path, error))?;
        }
        Ok(tap.is_needed().then_some(tap))
    }

    /// Joins `hub` with its port: the other end of a pair, and what is left to be done when the node is
    /// there.
    fn connect(&self, hub: &Hub) -> Result<(Option<Hub>, Option<Finish>), ToolError> {
        match self.port.as_ref().unwrap_or(&Target::Loop) {
            Target::Path(path) => {
                let finish = connect::device(hub, path, self.find.clone())?;
                return Ok((None, Some(finish)));
            }
            Target::Tcp(address) => connect::elsewhere(hub, address, false)?,
            Target::Rfc2217(address) => connect::elsewhere(hub, address, true)?,
            Target::Loop => connect::join(hub, None, self.pace)?,
            Target::Pair => {
                let other = Hub::new(self.state(None)).map_err(no_thread)?;
                connect::join(hub, Some(&other), self.pace)?;
                return Ok((Some(other), None));
            }
        }
        Ok((None, None))
    }

    /// What starts the monitor, if there is to be one: in `slot`, until that is emptied.
    fn show(
        &self,
        hub: &Hub,
        ring: Option<Ring>,
        slot: &Slot,
    ) -> Result<impl FnOnce(Clients) -> Result<(), ToolError> + use<>, ToolError> {
        let job = match self.monitor {
            true => Some(Job::new().map_err(no_thread)?),
            false => None,
        };
        let name = self.port.as_ref().map(Target::name).unwrap_or_default();
        let (hub, slot) = (hub.clone(), slot.clone());
        Ok(move |clients| {
            if let Some((ring, job)) = ring.zip(job) {
                let monitor = Monitor::start(&hub, ring, name, clients, job);
                slot.fill(monitor.map_err(no_thread)?);
            }
            Ok(())
        })
    }

    fn access(&self) -> Access {
        Access {
            mode: self.common.mode,
            owner: self.common.owner,
            group: self.common.group,
        }
    }

    /// Whether the node is to be a pseudo-terminal: as asked, or for want of anything else.
    fn takes_pseudo_terminal(&self) -> bool {
        let fuse_alone = match self.common.backend {
            Some(BackendArg::Kfusd | BackendArg::Cuse) => false,
            Some(BackendArg::Fuse) => true,
            Some(BackendArg::Auto) | None => !self.may_be_a_device(),
        };
        if fuse_alone && !self.pty {
            tracing::warn!(
                "no terminal can be made but a pseudo-terminal: {}",
                pty::LACKS
            );
        }
        self.pty || fuse_alone
    }

    /// Whether a character device can be made where the node is to be.
    fn may_be_a_device(&self) -> bool {
        let asked = std::env::var("FUSD_BACKEND");
        if asked.is_ok_and(|asked| asked == "fuse") {
            return false;
        }
        let below = match self.node_path() {
            None => true,
            Some(path) => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
                folder.starts_with("/dev")
            }
        };
        let opens = |path| File::options().read(true).write(true).open(path).is_ok();
        below && (opens("/dev/fusd/control") || opens("/dev/cuse"))
    }

    /// Where a node that is no device goes.
    fn place(&self) -> Result<PathBuf, ToolError> {
        if let Some(path) = self.node_path() {
            return Ok(path.to_owned());
        }
        let name = self.node_name().ok_or_else(|| {
            ToolError::usage("the node has no name; give --name NAME for /dev/NAME, or --path PATH")
        })?;
        if nix::unistd::geteuid().is_root() {
            return Ok(Path::new("/dev").join(name));
        }
        let folder = std::env::var_os("XDG_RUNTIME_DIR").ok_or_else(|| {
            ToolError::usage("there is no $XDG_RUNTIME_DIR; give the node's place by --path PATH")
        })?;
        let folder = Path::new(&folder).join("fusd");
        std::fs::create_dir_all(&folder).map_err(|error| {
            Error::system(ErrorKind::Node, error, "make the directory").on(&folder)
        })?;
        Ok(folder.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["fusd-serial-proxy"], line].concat())
    }

    fn usage(line: &[&str]) -> String {
        match parse(line) {
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{line:?}");
                error.to_string()
            }
            Ok(args) => args.contradiction().expect("it is accepted").to_owned(),
        }
    }

    #[test]
    fn the_node_is_named_once() {
        let args = parse(&["loop", "/tmp/port"]).unwrap();
        assert_eq!(args.node_path(), Some(Path::new("/tmp/port")));
        let args = parse(&["loop", "-p", "/tmp/port"]).unwrap();
        assert_eq!(args.node_path(), Some(Path::new("/tmp/port")));
        assert!(usage(&["loop", "/tmp/a", "-p", "/tmp/b"]).contains("cannot be used with"));
        assert!(parse(&["--list"]).is_ok());
    }

    #[test]
    fn bad_lines_are_usage_errors_that_say_why() {
        for (line, message) in [
            (&[][..], "PORT"),
            (&["", "/tmp/x"], "rfc2217://"),
            (&["tcp://host", "/tmp/x"], "a host and a port"),
            (&["pair", "/tmp/a"], "paths of both"),
            (&["loop", "/tmp/a", "/tmp/b"], "only a pair"),
            (&["/dev/ttyS0", "/tmp/a", "--pace"], "can be paced"),
            (&["loop", "/tmp/a", "--find", "1:2"], "in place of a path"),
            (&["/dev/x", "/tmp/a", "--find", "1"], "VID:PID/SERIAL"),
            (&["loop", "/tmp/a", "--log-as", "hex"], "--log <FILE>"),
            (&["loop", "/tmp/a", "--writers", "@no-group"], "no group"),
            (
                &["loop", "/tmp/a", "--share", "some"],
                "all, first, exclusive",
            ),
            (&["loop", "/tmp/a", "--size", "0"], "16M"),
            (&["loop", "/tmp/a", "--monitor", "--", "true"], "--monitor"),
        ] {
            let error = usage(line);
            assert!(error.contains(message), "{line:?}: {error}");
        }
    }
}
