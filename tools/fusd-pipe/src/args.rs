//! The command line.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use fusd::{Errno, Error, ErrorKind};
use fusd_tool::{CommonArgs, Driver, Tool, ToolError};

use crate::amount;
use crate::device::PipeDevice;
use crate::journal::Journal;
use crate::nats::{Link, NatsArgs};
use crate::pipe::Pipe;
use crate::progress::Progress;
use crate::settings::{Amount, Eof, Full, Label, Mode, NoReader, Records, Settings, SyncPolicy};
use crate::stats::Count;
use crate::streams::Streams;
use crate::tee::Tee;

const CONTENT: &str = "Content";
const ENDS: &str = "Readers and writers";
const FILE: &str = "Beyond the end of the tool";
const STREAMS: &str = "Copies and numbers";

/// Sizes unless they are given, in bytes: a fifo's is that of pipe(7).
const FIFO_SIZE: usize = 64 << 10;
const LOG_SIZE: usize = 1 << 20;

/// The largest size with --persist, in bytes: what one write brings must fit into a journal's entry.
const JOURNAL_MAX: usize = 1 << 30;

/// Make a device node that any number of programs write to and read from
///
/// A named pipe that no open hangs on, whose content may go to one reader or to all, and which does
/// what you say when it is full.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Path of the node; the same as --path
    #[arg(value_name = "NODE", conflicts_with_all = ["name", "path"])]
    pub node: Option<PathBuf>,

    /// Who gets what is written
    #[arg(short, long, value_enum, default_value_t, help_heading = CONTENT)]
    pub kind: Mode,

    /// What a read does not tear apart, nor a write mix with others'
    ///
    /// A line longer, or a write larger, than the size fails with EMSGSIZE. Large writes come in
    /// parts from the kernel, of 1 MiB through FUSE and 128 KiB through CUSE.
    #[arg(short, long, value_enum, default_value_t, help_heading = CONTENT)]
    pub records: Records,

    /// Give one record to each read, even where it has room for more
    #[arg(long, help_heading = CONTENT)]
    pub one: bool,

    /// Put these before each record, in this order, separated by commas
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',', help_heading = CONTENT)]
    pub prefix: Vec<Label>,

    /// How much is kept for readers, in bytes or records [default: 64K, of others than fifo 1M]
    ///
    /// Bytes, with K, M or G (times 1024), or a number of records with "r": 100r. Those may have
    /// 64 MiB together.
    #[arg(short, long, value_parser = amount::amount, allow_negative_numbers = true, help_heading = CONTENT)]
    pub size: Option<Amount>,

    /// How much of what was written before its open a reader of a broadcast gets, at most the size
    #[arg(long, value_name = "SIZE", value_parser = amount::amount, allow_negative_numbers = true, help_heading = CONTENT)]
    pub backlog: Option<Amount>,

    /// What a write does where there is no room [default: block, of others than fifo drop-old]
    ///
    /// A reader that is slow holds up a broadcast's writers only with block and eagain.
    #[arg(long, value_enum, value_name = "POLICY", help_heading = CONTENT)]
    pub full: Option<Full>,

    /// Where records were dropped, have a record say how many
    #[arg(long, help_heading = CONTENT)]
    pub marker: bool,

    /// When a reader that has read everything gets the end of the file [default: last-writer, of a
    /// ring content, with --nats never]
    ///
    /// last-writer: when all who wrote have closed the node; never; content: at once, as in a file
    /// that may grow; idle=SECONDS: when nothing was written for so long.
    #[arg(long, value_name = "WHEN", value_parser = eof, help_heading = ENDS)]
    pub eof: Option<Eof>,

    /// What a write does while nobody has the node open for reading
    #[arg(long, value_name = "POLICY", value_enum, default_value_t, help_heading = ENDS)]
    pub no_reader: NoReader,

    /// Let an open wait until the other side has opened the node as well, as with mkfifo(1)
    #[arg(long, help_heading = ENDS)]
    pub wait_peer: bool,

    /// Bytes, with K, M or G, that all readers together get in a second
    #[arg(long, value_name = "BYTES", value_parser = fusd_tool::size, allow_negative_numbers = true, help_heading = ENDS)]
    pub rate: Option<usize>,

    /// Keep what is not read in FILE as well, and begin with what is there
    ///
    /// However the tool ends, by SIGKILL too, a later one with the same FILE goes on from there. FILE
    /// is made if there is none; it grows to twice what is kept, and 1 MiB.
    #[arg(long, value_name = "FILE", help_heading = FILE)]
    pub persist: Option<PathBuf>,

    /// When FILE is forced to disk [default: never]
    ///
    /// never: when the kernel sees fit, which is enough unless the machine goes down; always: before
    /// each write is answered, and after each read; SECONDS: so often.
    #[arg(long, value_name = "WHEN", value_parser = sync, requires = "persist", help_heading = FILE)]
    pub sync: Option<SyncPolicy>,

    /// Write to the pipe what standard input says
    ///
    /// When it has ended, and all has been read, and nobody has the node open, the tool ends.
    #[arg(long, help_heading = STREAMS)]
    pub stdin: bool,

    /// Write to standard output what the pipe has, as one more reader
    ///
    /// At the end of the file, and when nobody reads standard output any more, the tool ends.
    #[arg(long, help_heading = STREAMS)]
    pub stdout: bool,

    /// Append all that is written, and kept, to FILE as well
    #[arg(long, value_name = "FILE", help_heading = STREAMS)]
    pub tee: Option<PathBuf>,

    /// At the end, say on standard error what has gone through
    ///
    /// SIGUSR1 has it said at any time.
    #[arg(long, help_heading = STREAMS)]
    pub stats: bool,

    /// Show how far it is, on a terminal: bytes through, time, bytes per second, how full it is
    ///
    /// The line is on standard error, and stays at the end; messages come above it. Where standard
    /// error is no terminal, and while the tool is a background job, nothing is shown.
    #[arg(long, help_heading = STREAMS)]
    pub progress: bool,

    /// Which other machines take part.
    #[command(flatten)]
    pub nats: NatsArgs,

    /// The options of every tool.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Reads a time that is not zero, in seconds.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok()?;
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    (!time.is_zero()).then_some(time)
}

/// Reads when the file is forced to disk.
fn sync(text: &str) -> Result<SyncPolicy, String> {
    match text {
        "never" => Ok(SyncPolicy::Never),
        "always" => Ok(SyncPolicy::Always),
        _ => seconds(text)
            .map(SyncPolicy::Every)
            .ok_or_else(|| "give never, always, or a number of seconds".to_owned()),
    }
}

/// Reads when the end of the file is there.
fn eof(text: &str) -> Result<Eof, String> {
    match text {
        "last-writer" => Ok(Eof::LastWriter),
        "never" => Ok(Eof::Never),
        "content" => Ok(Eof::Content),
        _ => match text.strip_prefix("idle=").and_then(seconds) {
            Some(limit) => Ok(Eof::Idle(limit)),
            None => Err("give last-writer, never, content, or idle=SECONDS".to_owned()),
        },
    }
}

impl Tool for Args {
    const NAME: &'static str = "fusd-pipe";
    type Device = PipeDevice;

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn node_path(&self) -> Option<&Path> {
        self.node.as_deref().or(self.common.path.as_deref())
    }

    fn driver(&self) -> Result<Driver<PipeDevice>, ToolError> {
        let settings = self.settings()?;
        let joined = self.nats.options(&settings, self.full);
        let joined = joined.map_err(ToolError::usage)?;
        let settings = joined.as_ref().map_or(settings, |it| it.settings.clone());
        // Before any thread, as it changes what those inherit.
        let journal = self.persist.as_deref();
        let sync = self.sync.unwrap_or_default();
        let journal = journal.map(|path| Journal::open(path, sync, &settings));
        let journal = journal.transpose()?;
        let device = PipeDevice::new(settings).map_err(|error| no_thread(&error))?;
        if let Some(path) = &self.tee {
            let tee = Tee::open(path)?;
            device.change(|pipe, _| pipe.copy_to(tee));
        }
        let persists = journal.is_some();
        if let Some((journal, content)) = journal {
            let dropped = device.change(|pipe, _| pipe.persist(journal, &content));
            if dropped != Count::default() {
                tracing::warn!(
                    "{dropped} of the journal are dropped: they exceed --size or --backlog"
                );
            }
        }
        let streams = Streams {
            input: self.stdin,
            output: self.stdout,
        };
        streams.enter(&device);
        if let Some(options) = joined {
            device.join(Link::start(&device, options)?);
        }
        let shown = device.clone();
        let (asked, at_end, joined) = (device.clone(), device.clone(), device.clone());
        // Every handler is short, and has the queue's lock for all of it.
        let mut driver = Driver::new(device)
            .workers(1)
            .on_usr1(move || asked.stats().to_string())
            .on_ready(move |session| {
                let started = streams.start(&joined, &session.stop_handle());
                started.map_err(|error| no_thread(&error).into())
            });
        if persists {
            let finished = at_end.clone();
            driver = driver.after_end(move || finished.look(Pipe::finish));
        }
        if self.stats {
            driver = driver.on_end(move || at_end.stats().to_string());
        }
        if self.progress {
            let mut progress = Progress::new(self.kind, Instant::now());
            driver = driver.progress(move || progress.line(&shown.stats(), Instant::now()));
        }
        Ok(driver)
    }
}

fn no_thread(error: &io::Error) -> Error {
    Error::system(ErrorKind::Runtime, Errno::from(error), "start a thread")
}

impl Args {
    /// What the command line means, if it means anything.
    pub(crate) fn settings(&self) -> Result<Settings, ToolError> {
        let fifo = self.kind == Mode::Fifo;
        let whole = Amount {
            bytes: match fifo && !self.nats.keeps() {
                true => FIFO_SIZE,
                false => LOG_SIZE,
            },
            records: usize::MAX,
        };
        let settings = Settings {
            mode: self.kind,
            records: self.records,
            one_record: self.one,
            labels: self.prefix.clone(),
            size: self.size.unwrap_or(whole),
            backlog: self.backlog.unwrap_or(Amount {
                bytes: 0,
                records: 0,
            }),
            full: self.full.unwrap_or(match fifo || self.waits_for_stream() {
                true => Full::Block,
                false => Full::DropOld,
            }),
            marker: self.marker,
            eof: self.eof.unwrap_or(match self.kind {
                Mode::Ring => Eof::Content,
                // The last writer may be on another machine.
                Mode::Fifo | Mode::Broadcast if self.nats.joins() => Eof::Never,
                Mode::Fifo | Mode::Broadcast => Eof::LastWriter,
            }),
            no_reader: self.no_reader,
            wait_peer: self.wait_peer,
            rate: self.rate.map(|rate| rate as u64),
        };
        match self.contradiction(&settings) {
            Some(text) => Err(ToolError::usage(text)),
            None => Ok(settings),
        }
    }

    /// Whether a node need not drop anything for readers that are slow: the stream keeps it.
    fn waits_for_stream(&self) -> bool {
        self.nats.keeps() && self.kind == Mode::Broadcast
    }

    /// What the grammar of the command line does not tell.
    fn contradiction(&self, settings: &Settings) -> Option<&'static str> {
        let counted = |amount: Option<Amount>| amount.is_some_and(|it| it.records != usize::MAX);
        let bytes = settings.records == Records::None;
        let drops = matches!(settings.full, Full::DropNew | Full::DropOld);
        let rules = [
            (
                self.persist.is_some() && self.nats.url.is_some(),
                "a file cannot keep what is on several machines; with --nats use --stream NAME \
                 instead of --persist",
            ),
            (
                (self.stdin || self.stdout) && !self.common.command.is_empty(),
                "standard input and output are the command's; do without --stdin and --stdout, or \
                 without -- COMMAND",
            ),
            (
                bytes && self.one,
                "a stream of bytes has no records to give one by one; add --records line or write",
            ),
            (
                bytes && !self.prefix.is_empty(),
                "a stream of bytes has no records to put a prefix before; add --records line or \
                 write",
            ),
            (
                bytes && (counted(self.size) || counted(self.backlog)),
                "a stream of bytes cannot be counted in records; give bytes, or add --records \
                 line or write",
            ),
            (
                self.marker && (bytes || !drops),
                "--marker tells of dropped records; give it with --records line or write, and \
                 --full drop-new or drop-old",
            ),
            (
                settings.mode == Mode::Ring && settings.full != Full::DropOld,
                "a ring is always full, and drops its oldest content; do without --full, or use \
                 --kind broadcast",
            ),
            (
                settings.mode != Mode::Broadcast && self.backlog.is_some(),
                "only a broadcast has a backlog; a ring gives every reader all it keeps",
            ),
            (
                settings.backlog.bytes > settings.size.bytes && !counted(self.backlog)
                    || settings.backlog.records > settings.size.records,
                "the backlog cannot be larger than --size; give a larger size",
            ),
            (
                self.persist.is_some() && settings.size.bytes > JOURNAL_MAX,
                "--persist keeps at most 1G; give a smaller --size",
            ),
            (
                self.prefix
                    .iter()
                    .enumerate()
                    .any(|(index, label)| self.prefix[..index].contains(label)),
                "--prefix has something twice; give each of time, pid, uid, program once",
            ),
        ];
        rules
            .into_iter()
            .find_map(|(wrong, text)| wrong.then_some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["fusd-pipe", "--name", "x"], line].concat())
    }

    fn settings(line: &[&str]) -> Settings {
        parse(line).unwrap().settings().unwrap()
    }

    fn usage(line: &[&str]) -> String {
        match parse(line) {
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{line:?}");
                error.to_string()
            }
            Ok(args) => {
                let error = args.settings().map(drop).expect_err("it is accepted");
                assert_eq!(error.code(), 2, "{line:?}");
                error.to_string()
            }
        }
    }

    #[test]
    fn the_definitions_are_consistent_and_every_option_has_help() {
        let command = crate::command();
        command.clone().debug_assert();
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{}", argument.get_id());
        }
    }

    #[test]
    fn each_kind_has_its_defaults() {
        let of = |kind| {
            let Settings {
                full, eof, size, ..
            } = settings(&["--kind", kind]);
            (full, eof, size.bytes)
        };
        assert_eq!(of("fifo"), (Full::Block, Eof::LastWriter, 64 << 10));
        assert_eq!(of("broadcast"), (Full::DropOld, Eof::LastWriter, 1 << 20));
        assert_eq!(of("ring"), (Full::DropOld, Eof::Content, 1 << 20));
    }

    #[test]
    fn the_node_is_named_once() {
        let args = Args::try_parse_from(["fusd-pipe", "/tmp/events"]).unwrap();
        assert_eq!(args.node_path(), Some(Path::new("/tmp/events")));
        let args = Args::try_parse_from(["fusd-pipe", "-p", "/tmp/events"]).unwrap();
        assert_eq!(args.node_path(), Some(Path::new("/tmp/events")));
        assert!(usage(&["/tmp/events"]).contains("cannot be used with"));
    }

    #[test]
    fn ends_of_the_file() {
        for (text, eof) in [
            ("never", Eof::Never),
            ("content", Eof::Content),
            ("last-writer", Eof::LastWriter),
            ("idle=1.5", Eof::Idle(Duration::from_millis(1500))),
        ] {
            assert_eq!(settings(&["--eof", text]).eof, eof);
        }
    }

    #[test]
    fn the_file_is_forced_to_disk_as_asked() {
        let sync = |value| parse(&["--persist", "file", "--sync", value]).unwrap().sync;
        assert_eq!(sync("never"), Some(SyncPolicy::Never));
        assert_eq!(sync("always"), Some(SyncPolicy::Always));
        let half = SyncPolicy::Every(Duration::from_millis(500));
        assert_eq!(sync("0.5"), Some(half));
    }

    #[test]
    fn bad_lines_are_usage_errors_that_say_why() {
        for (line, message) in [
            (&["--one"][..], "no records to give"),
            (&["--stdin", "--", "cat"], "are the command's"),
            (
                &["--nats", "nats://x", "--subject", "s", "--persist", "f"],
                "--stream NAME",
            ),
            (&["--prefix", "pid"], "no records to put"),
            (&["--size", "100r"], "cannot be counted"),
            (&["--marker"], "--marker tells of dropped"),
            (&["--marker", "--records", "line"], "--marker tells"),
            (&["-k", "ring", "--full", "block"], "a ring is always full"),
            (&["--backlog", "1K"], "only a broadcast"),
            (
                &["-k", "broadcast", "--backlog", "2M"],
                "larger than --size",
            ),
            (&["-r", "line", "--prefix", "pid,uid,pid"], "twice"),
            (&["--prefix", "name"], "time, pid, uid, program"),
            (&["--eof", "idle=0"], "idle=SECONDS"),
            (&["--eof", "idle=-1"], "idle=SECONDS"),
            (&["--eof", "sometimes"], "idle=SECONDS"),
            (&["--sync", "always"], "--persist <FILE>"),
            (&["--persist", "x", "--sync", "0"], "a number of seconds"),
            (&["--persist", "x", "--size", "2G"], "at most 1G"),
            (&["--size", "0"], "100r"),
            (&["--rate", "-1"], "16M"),
            (&["--full", "explode"], "block, eagain, drop-new, drop-old"),
        ] {
            let error = usage(line);
            assert!(error.contains(message), "{line:?}: {error}");
        }
    }
}
