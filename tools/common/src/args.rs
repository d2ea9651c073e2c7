//! The options that every tool has, with the same letters and the same meaning.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fusd::{BackendKind, DeviceBuilder};

use crate::{ToolError, mode, user};

const NODE: &str = "Node";
const RUNNING: &str = "Running";
const LOGGING: &str = "Logging";

/// The options that every tool has. Flatten it as the last field of a tool's arguments.
#[derive(Args, Clone, Debug, Default)]
pub struct CommonArgs {
    /// Name of the node: /dev/NAME, or $XDG_RUNTIME_DIR/fusd/NAME for an ordinary user
    ///
    /// A name is made of letters, digits, ".", "_" and "-"; "/" makes subdirectories, which are
    /// created and removed with the node.
    #[arg(long, value_name = "NAME", help_heading = NODE)]
    pub name: Option<String>,

    /// Put the node at PATH instead; its directory must exist
    #[arg(short, long, value_name = "PATH", conflicts_with = "name", help_heading = NODE)]
    pub path: Option<PathBuf>,

    /// Permission bits of the node, in octal [default: 666 less the umask]
    #[arg(short, long, value_name = "MODE", value_parser = mode::parse, allow_negative_numbers = true, help_heading = NODE)]
    pub mode: Option<u32>,

    /// Owner of the node, by name or number [default: who runs this]
    #[arg(short, long, value_name = "USER", value_parser = user::owner, allow_negative_numbers = true, help_heading = NODE)]
    pub owner: Option<u32>,

    /// Group of the node, by name or number [default: that of who runs this]
    #[arg(short, long, value_name = "GROUP", value_parser = user::group, allow_negative_numbers = true, help_heading = NODE)]
    pub group: Option<u32>,

    /// What carries the calls to the device [default: what $FUSD_BACKEND says, else auto]
    #[arg(short, long, value_name = "BACKEND", help_heading = NODE)]
    pub backend: Option<BackendArg>,

    /// Files that may be open at a time; one more open fails with EBUSY [default: no limit]
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true, help_heading = NODE)]
    pub max_open: Option<NonZeroUsize>,

    /// Write the node's path and a newline to descriptor N, at least 3, when the node is there
    ///
    /// N is closed then. A supervisor, or a test, waits for the line instead of polling.
    #[arg(
        long,
        value_name = "N",
        value_parser = descriptor,
        allow_negative_numbers = true,
        help_heading = RUNNING
    )]
    pub ready_fd: Option<i32>,

    /// Say more: -v who does what (the access log), -vv debugging, -vvv everything
    ///
    /// Without -v and -q the variables FUSD_LOG and RUST_LOG may hold a filter such as
    /// "fusd=debug".
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = LOGGING)]
    pub verbose: u8,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = LOGGING)]
    pub quiet: bool,

    /// Format of the log on standard error
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        help_heading = LOGGING
    )]
    pub log_format: LogFormat,

    /// Run COMMAND beside the device and end with its exit status
    ///
    /// It starts when the node is there and finds the node's path in $FUSD_PATH. The node goes
    /// when it ends.
    #[arg(last = true, value_name = "COMMAND", help_heading = RUNNING)]
    pub command: Vec<OsString>,
}

/// What `--backend` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    /// The best one that this machine has
    Auto,
    /// The kernel module of this project: a character device
    Kfusd,
    /// The kernel's CUSE: a character device
    Cuse,
    /// A FUSE mount over one file
    Fuse,
}

impl BackendArg {
    fn choose(self, builder: DeviceBuilder) -> DeviceBuilder {
        match self {
            Self::Auto => builder.best_backend(),
            Self::Kfusd => builder.backend(BackendKind::Kfusd),
            Self::Cuse => builder.backend(BackendKind::Cuse),
            Self::Fuse => builder.backend(BackendKind::Fuse),
        }
    }
}

/// What `--log-format` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object per line, the tool's own messages included
    Json,
}

impl CommonArgs {
    /// The device's builder as these options say, with the node at `path`, or called `name`.
    pub(crate) fn builder(
        &self,
        name: Option<&str>,
        path: Option<&Path>,
    ) -> Result<DeviceBuilder, ToolError> {
        let mut builder = match (path, name) {
            (Some(path), _) => DeviceBuilder::new("").path(path),
            (None, Some(name)) => DeviceBuilder::new(name),
            (None, None) => {
                return Err(ToolError::usage(
                    "the node has no name; give --name NAME for /dev/NAME, or --path PATH",
                ));
            }
        };
        if let Some(mode) = self.mode {
            builder = builder.mode(mode);
        }
        if let Some(owner) = self.owner {
            builder = builder.owner(owner);
        }
        if let Some(group) = self.group {
            builder = builder.group(group);
        }
        if let Some(backend) = self.backend {
            builder = backend.choose(builder);
        }
        if let Some(count) = self.max_open {
            builder = builder.max_open(count.get());
        }
        Ok(builder)
    }
}

fn descriptor(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| "give the number of an open descriptor, at least 3".to_owned())
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "give a whole number, at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Example {
        text: Vec<String>,
        #[command(flatten)]
        common: CommonArgs,
    }

    fn parse(line: &[&str]) -> Result<Example, clap::Error> {
        Example::try_parse_from([&["example"], line].concat())
    }

    #[test]
    fn the_definitions_are_consistent() {
        Example::command().debug_assert();
    }

    #[test]
    fn every_option_has_help_under_a_heading() {
        let command = CommonArgs::augment_args(clap::Command::new("example"));
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "{id} has no help");
            assert!(argument.get_help_heading().is_some(), "{id} has no heading");
        }
    }

    #[test]
    fn the_letters_are_those_of_all_tools() {
        let command = CommonArgs::augment_args(clap::Command::new("example"));
        let letters: String = command
            .get_arguments()
            .filter_map(|argument| argument.get_short())
            .collect();
        assert_eq!(letters, "pmogbvq");
    }

    #[test]
    fn a_command_goes_together_with_other_arguments() {
        let args = parse(&["--name", "x", "a", "b", "--", "cat", "-n", "/dev/x"]).unwrap();
        assert_eq!(args.text, ["a", "b"]);
        assert_eq!(args.common.command, ["cat", "-n", "/dev/x"]);
        assert!(
            parse(&["--name", "x", "a"])
                .unwrap()
                .common
                .command
                .is_empty()
        );
    }

    #[test]
    fn bad_values_are_usage_errors_that_name_the_option() {
        for (line, text) in [
            (&["--mode", "999"][..], "octal"),
            (&["--owner", "no-such-user"], "no user of that name"),
            (&["--group", "no-such-group"], "no group of that name"),
            (&["--backend", "x"], "kfusd, cuse, fuse"),
            (&["--max-open", "0"], "at least 1"),
            (&["--max-open", "-1"], "at least 1"),
            (&["--group", "-1"], "no group of that name"),
            (&["--ready-fd", "x"], "--ready-fd"),
            (&["--log-format", "xml"], "text, json"),
            (&["--name", "a", "--path", "/b"], "cannot be used with"),
            (&["-q", "-v"], "cannot be used with"),
        ] {
            let Err(error) = parse(line) else {
                panic!("{line:?} passes")
            };
            assert_eq!(error.exit_code(), 2, "{line:?}");
            let message = error.to_string();
            assert!(message.contains(text), "{line:?}: {message}");
            assert!(message.contains(line[0]), "{line:?}: {message}");
        }
    }

    #[test]
    fn a_node_needs_a_name_or_a_path() {
        let error = CommonArgs::default().builder(None, None).unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(error.to_string().contains("--name NAME"), "{error}");
        assert!(CommonArgs::default().builder(Some("x"), None).is_ok());
        let path = Some(Path::new("/tmp/x"));
        assert!(CommonArgs::default().builder(None, path).is_ok());
    }
}
