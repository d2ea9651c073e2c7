//! Drivers that are started from here: the project's tools, or any program with the same common options.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, pipe};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use fusd::{Errno, inspect};
use fusd_tool::{Child, Program, ToolError};

/// A tool of the project: its name, and what its command line is.
pub(crate) type Tool = (&'static str, fn() -> clap::Command);

/// All of them.
pub(crate) const TOOLS: [Tool; 5] = [
    ("fusd-echo", fusd_echo::command),
    ("fusd-http", fusd_http::command),
    ("fusd-pipe", fusd_pipe::command),
    ("fusd-prompt", fusd_prompt::command),
    ("fusd-serial-proxy", fusd_serial_proxy::command),
];

/// The number under which a driver finds where to say that it is ready.
const READY: i32 = 3;

/// A device that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its name, below /dev.
    pub(crate) name: String,
    /// The driver's program: a name or a path.
    pub(crate) tool: String,
    /// What it is told, besides where the node goes.
    pub(crate) words: Vec<OsString>,
}

impl Wanted {
    /// Reads `NAME=TOOL ARGS`, with quotes as in a shell.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let example = "write NAME=TOOL ARGUMENTS, for example 'ttyUSB0=pipe --kind ring'";
        let (name, command) = text
            .split_once('=')
            .ok_or_else(|| format!("there is no \"=\" in it; {example}"))?;
        let name = inspect::device_name(name).map_err(|error| error.to_string())?;
        let words =
            shlex::split(command).ok_or_else(|| format!("a quote is not closed; {example}"))?;
        let mut words = words.into_iter();
        let tool = words
            .next()
            .ok_or_else(|| format!("it names no tool; {example}"))?;
        Ok(Self {
            name: name.to_owned(),
            tool: full_name(&tool).to_owned(),
            words: words.map(OsString::from).collect(),
        })
    }

    /// Finds the program.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn program(&self) -> Result<PathBuf, ToolError> {
        find(&self.tool).ok_or_else(|| {
            let tools: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
            ToolError::new(
                fusd_tool::exit::NOT_FOUND,
                format!(
                    "cannot start the device {}: there is no program {}; give one of {}, or the \
                     path of a driver",
                    self.name,
                    self.tool,
                    tools.join(", ")
                ),
            )
        })
    }
}

/// The whole name of a tool of the project: `echo` is fusd-echo here, and no other echo.
pub(crate) fn full_name(tool: &str) -> &str {
    let of_ours = |(name, _): &&Tool| name.strip_prefix("fusd-") == Some(tool);
    TOOLS.iter().find(of_ours).map_or(tool, |(name, _)| name)
}

/// A program by its path, or by its name: beside this one, or in `$PATH`.
fn find(tool: &str) -> Option<PathBuf> {
    if tool.contains('/') {
        return Some(PathBuf::from(tool)).filter(|path| path.is_file());
    }
    let own = env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|directory| directory.join(tool))
        .find(|path| path.is_file())
}

/// A driver that was started.
pub(crate) struct Started {
    pub(crate) child: Child,
    /// Where its node is, once it is there; nothing comes where the driver ends before.
    pub(crate) ready: Receiver<PathBuf>,
}

/// Starts a driver: `dress` says what else there is about its process.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(
    program: &Path,
    words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    dress: impl FnOnce(Program) -> Program,
) -> Result<Started, Errno> {
    let (reader, writer) = pipe()?;
    let all = words.into_iter().map(|word| word.as_ref().to_owned());
    let ready = [OsString::from("--ready-fd"), READY.to_string().into()];
    let whole = std::iter::once(program.as_os_str().to_owned()).chain(ready);
    let child = dress(Program::new(whole.chain(all)).descriptor(writer, READY)).spawn()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = Vec::new();
        let read = BufReader::new(reader).read_until(b'\n', &mut line);
        if read.is_ok() && line.pop() == Some(b'\n') {
            // Whoever started it may have given up on it.
            let _ = sender.send(PathBuf::from(OsString::from_vec(line)));
        }
    });
    Ok(Started {
        child,
        ready: receiver,
    })
}

/// Whether the words already say how much is to be said.
pub(crate) fn says_how_much(words: &[OsString]) -> bool {
    words.iter().filter_map(|word| word.to_str()).any(|word| {
        ["--verbose", "--quiet"].contains(&word)
            || word.starts_with("-v") && word.bytes().skip(1).all(|letter| letter == b'v')
            || word == "-q"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_name_and_a_command_with_quotes() {
        let wanted = Wanted::parse("/dev/bus/x=echo --on-write 'a b' \"c\"").unwrap();
        assert_eq!(wanted.name, "bus/x");
        assert_eq!(wanted.tool, "fusd-echo");
        assert_eq!(wanted.words, ["--on-write", "a b", "c"]);
        assert_eq!(Wanted::parse("x=/a/driver").unwrap().tool, "/a/driver");
    }

    #[test]
    fn what_is_none_is_refused_with_an_example() {
        for (text, why) in [
            ("x", "no \"=\""),
            ("x=", "no tool"),
            ("x=echo 'a", "not closed"),
            ("a b=echo", "letters"),
            ("=echo", "empty"),
        ] {
            let error = Wanted::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn only_words_that_are_these_options_say_how_much() {
        let says = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            says_how_much(&words)
        };
        assert!(says(&["-vv"]) && says(&["x", "--quiet"]));
        assert!(!says(&["-volume", "very", "--verbosely"]));
    }
}
