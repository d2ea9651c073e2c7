//! The command line.

mod driver;
mod place;

use std::path::PathBuf;

use clap::Parser;
use fusd_tool::CommonArgs;

use crate::options::{OnLost, Policy, Share, WriteLock};
use crate::rights::{Who, who};
use crate::tap::Form;
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
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fusd_tool::Tool;

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
