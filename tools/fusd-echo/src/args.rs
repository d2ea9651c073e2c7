//! The command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;

use clap::{Parser, ValueEnum};
use fusd::{Error, ErrorKind};
use fusd_tool::{CommonArgs, Driver, Tool, ToolError};

use crate::content::Content;
use crate::device::{Echo, Settings};
use crate::escape::unescape;
use crate::source;
use crate::watch::Watch;

/// What `--max-size` is unless it is given, in bytes.
const MAX_SIZE: usize = 16 << 20;

const TEXT: &str = "Text";
const CLIENTS: &str = "Clients";

/// Make a device node that says a text
///
/// Whoever reads the node gets the text, then the end of the file. The text comes from the
/// arguments, a file, standard input, or a command that runs at each open.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// The text; several are joined by a space, and a newline follows. "-" alone is --file -
    #[arg(value_name = "TEXT", conflicts_with_all = ["file", "exec"], help_heading = TEXT)]
    pub text: Vec<OsString>,

    /// No newline after the text
    #[arg(short, long, conflicts_with_all = ["file", "exec"], help_heading = TEXT)]
    pub no_newline: bool,

    /// Replace escapes in the text: \\ \a \b \c \e \f \n \r \t \v \0NNN \xHH, as echo -e does
    #[arg(short, long, conflicts_with_all = ["file", "exec"], help_heading = TEXT)]
    pub escapes: bool,

    /// Say what FILE has, as it is; "-" is standard input, read to its end
    ///
    /// SIGHUP reads a file again. Up to 16 MiB are kept in memory; a larger file is served from
    /// the disk, where a change of it shows at once.
    #[arg(short, long, value_name = "FILE", conflicts_with = "exec", help_heading = TEXT)]
    pub file: Option<PathBuf>,

    /// Read the file again whenever it is written or replaced
    #[arg(long, help_heading = TEXT)]
    pub watch: bool,

    /// Run CMD in a shell at each open, and say what it says
    ///
    /// It finds FUSD_PID, FUSD_UID, FUSD_GID and FUSD_COMM of the caller, and FUSD_PATH, the
    /// node, in its environment. The open waits for its end; if it fails, the open fails with EIO.
    #[arg(short = 'x', long, value_name = "CMD", help_heading = TEXT)]
    pub exec: Option<OsString>,

    /// Repeat the text without end
    #[arg(long, help_heading = CLIENTS)]
    pub repeat: bool,

    /// Give one line to each read
    #[arg(long, help_heading = CLIENTS)]
    pub lines: bool,

    /// What happens when a client writes
    #[arg(
        short = 'w',
        long,
        value_name = "POLICY",
        value_enum,
        default_value_t,
        help_heading = CLIENTS
    )]
    pub on_write: OnWrite,

    /// Most bytes that a written text may have, or that a command or a pipe may say [default: 16M]
    ///
    /// A number, or one with K, M, G or T (times 1024). A write beyond it fails with EFBIG, and so
    /// does the open of which a command says more.
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = fusd_tool::size,
        allow_negative_numbers = true,
        help_heading = CLIENTS
    )]
    pub max_size: Option<usize>,

    /// The options of every tool.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What `--on-write` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnWrite {
    /// Opening for writing fails with EACCES
    #[default]
    Deny,
    /// Writes succeed and change nothing
    Discard,
    /// What is written is the text from the writer's close on; ">>" adds to the text
    Replace,
    /// Each write is added to the text
    Append,
}

impl Tool for Args {
    const NAME: &'static str = "fusd-echo";
    type Device = Echo;

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn driver(&self) -> Result<Driver<Echo>, ToolError> {
        self.check()?;
        if let Some(command) = &self.exec {
            let echo = Echo::of_command(command, self.settings());
            let device = echo.clone();
            return Ok(Driver::new(device).on_ready(move |session| {
                echo.set_node(session.path());
                Ok(())
            }));
        }
        match self.source_file() {
            None => Ok(Driver::new(self.echo(Content::new(self.joined()?))?)),
            Some(path) if path.as_os_str() == "-" => {
                let content = source::standard_input(self.max_size())?;
                Ok(Driver::new(self.echo(content)?))
            }
            Some(path) => self.file_driver(path),
        }
    }
}

impl Args {
    /// The file to read: also where "-" is the only TEXT.
    fn source_file(&self) -> Option<&Path> {
        match (&self.file, &self.text[..]) {
            (Some(path), _) => Some(path),
            (None, [text]) if text == "-" => Some(Path::new("-")),
            _ => None,
        }
    }

    /// What the grammar of the command line does not tell.
    fn check(&self) -> Result<(), ToolError> {
        let usage = |text: &str| Err(ToolError::usage(text));
        if self.text.is_empty() && self.file.is_none() && self.exec.is_none() {
            return usage("there is no text to say; give TEXT, --file FILE or --exec CMD");
        }
        let changes = matches!(self.on_write, OnWrite::Replace | OnWrite::Append);
        if self.exec.is_some() && changes {
            return usage(
                "a command's text cannot be written to; use --on-write discard with --exec, or \
                 none",
            );
        }
        let standard_input = self.source_file() == Some(Path::new("-"));
        if standard_input && (self.no_newline || self.escapes) {
            return usage(
                "-n and -e are for a text on the command line; do without them, or write \
                 -e '\\x2d' for a text of one \"-\"",
            );
        }
        if self.max_size.is_some() && !self.text.is_empty() && !standard_input && !changes {
            return usage(
                "--max-size has nothing to bound; give it with --file, --exec, or --on-write \
                 replace or append",
            );
        }
        if self.watch && standard_input {
            return usage("standard input cannot be watched; give --watch the path of a file");
        }
        if self.watch && self.file.is_none() {
            return usage("only a file can be watched; give --file FILE, or no --watch");
        }
        Ok(())
    }

    fn max_size(&self) -> usize {
        self.max_size.unwrap_or(MAX_SIZE)
    }

    fn settings(&self) -> Settings {
        Settings {
            repeat: self.repeat,
            lines: self.lines,
            on_write: self.on_write,
            max_size: self.max_size(),
        }
    }

    fn echo(&self, content: Content) -> Result<Echo, ToolError> {
        if self.repeat && content.len().is_ok_and(|length| length == 0) {
            return Err(ToolError::usage(
                "an empty text cannot be repeated; give one that is not empty, or no --repeat",
            ));
        }
        Ok(Echo::of_content(content, self.settings()))
    }

    fn file_driver(&self, path: &Path) -> Result<Driver<Echo>, ToolError> {
        // Before the file is read, so that no change is missed.
        let watch = self.watch.then(|| Watch::new(path)).transpose();
        let loaded = source::file(path, self.max_size())?;
        if !loaded.again {
            if self.watch {
                return Err(ToolError::usage(format!(
                    "{} is no regular file and cannot be watched; do without --watch",
                    path.display()
                )));
            }
            return Ok(Driver::new(self.echo(loaded.content)?));
        }
        let echo = self.echo(loaded.content)?;
        let again = {
            let (echo, path) = (echo.clone(), path.to_owned());
            move || echo.reload(&path)
        };
        let mut driver = Driver::new(echo).on_hangup(again.clone());
        if let Some(watch) = watch? {
            driver = driver.on_ready(move |_| {
                thread::Builder::new()
                    .name("watch".into())
                    .spawn(move || watch.run(again))
                    .map(drop)
                    .map_err(|error| {
                        Error::system(ErrorKind::Runtime, error, "start a thread").into()
                    })
            });
        }
        Ok(driver)
    }

    /// The arguments as one text.
    fn joined(&self) -> Result<Vec<u8>, ToolError> {
        let words: Vec<&[u8]> = self.text.iter().map(|word| word.as_bytes()).collect();
        let mut text = words.join(&b' ');
        let mut newline = !self.no_newline;
        if self.escapes {
            let unescaped = unescape(&text).map_err(ToolError::usage)?;
            newline &= !unescaped.ended;
            text = unescaped.text;
        }
        if newline {
            text.push(b'\n');
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["fusd-echo", "--name", "x"], line].concat())
    }

    fn text(line: &[&str]) -> Vec<u8> {
        parse(line).unwrap().joined().unwrap()
    }

    fn usage(line: &[&str]) -> String {
        match parse(line) {
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{line:?}");
                error.to_string()
            }
            Ok(args) => {
                let error = args.driver().map(drop).expect_err("it is accepted");
                assert_eq!(error.code(), 2, "{line:?}");
                error.to_string()
            }
        }
    }

    #[test]
    fn words_are_joined_and_end_with_a_newline() {
        assert_eq!(text(&["Hello, world!"]), b"Hello, world!\n");
        assert_eq!(text(&["a", "b", "", "c"]), b"a b  c\n");
        assert_eq!(text(&[""]), b"\n");
        assert_eq!(text(&["-n", "a"]), b"a");
        assert_eq!(text(&["-n", ""]), b"");
        assert_eq!(text(&["a\\n"]), b"a\\n\n");
        assert_eq!(text(&["-e", "a\\tb", "\\x41"]), b"a\tb A\n");
        assert_eq!(text(&["-ne", "a\\n"]), b"a\n");
        assert_eq!(text(&["-e", "a\\cb", "c"]), b"a");
        assert_eq!(text(&["a", "--", "cat", "b"]), b"a\n");
    }

    #[test]
    fn a_dash_alone_is_standard_input() {
        let file = |line: &[&str]| parse(line).unwrap().source_file().map(Path::to_owned);
        assert_eq!(file(&["-"]), Some("-".into()));
        assert_eq!(file(&["-f", "-"]), Some("-".into()));
        assert_eq!(file(&["-", "-"]), None);
        assert_eq!(text(&["-e", "\\x2d"]), b"-\n");
    }

    #[test]
    fn bad_lines_are_usage_errors_that_say_why() {
        for (line, message) in [
            (&[][..], "no text to say; give TEXT"),
            (&["--", "cat"], "no text to say; give TEXT"),
            (&["-e", "\\q"], "unknown escape \\q at byte 1"),
            (&["a", "-f", "b"], "cannot be used with"),
            (&["a", "-x", "b"], "cannot be used with"),
            (&["-f", "a", "-x", "b"], "cannot be used with"),
            (&["-n", "-f", "b"], "cannot be used with"),
            (&["--watch", "a"], "only a file can be watched"),
            (&["--watch", "-"], "standard input cannot be watched"),
            (&["-n", "-"], "-e '\\x2d'"),
            (&["--watch", "-f", "-"], "standard input cannot be watched"),
            (&["--watch", "-f", "/dev/null"], "no regular file"),
            (&["--repeat", "-n", ""], "an empty text cannot be repeated"),
            (&["--repeat", "-f", "/dev/null"], "cannot be repeated"),
            (&["-x", "a", "-w", "replace"], "cannot be written to"),
            (&["a", "-w", "ask"], "deny, discard, replace, append"),
            (&["a", "--max-size", "9"], "--max-size has nothing to bound"),
            (&["a", "--max-size", "0"], "at least 1"),
        ] {
            let error = usage(line);
            assert!(error.contains(message), "{line:?}: {error}");
        }
    }
}
