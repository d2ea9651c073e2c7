//! The command line.

mod meaning;
mod run;
mod values;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Parser;
use fusd_tool::CommonArgs;

use crate::amount;
use crate::nats::NatsArgs;
use crate::settings::{Amount, Eof, Full, Label, Mode, NoReader, Records, SyncPolicy};

const CONTENT: &str = "Content";
const ENDS: &str = "Readers and writers";
const FILE: &str = "Beyond the end of the tool";
const STREAMS: &str = "Copies and numbers";

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
    #[arg(long, value_name = "WHEN", value_parser = values::eof, help_heading = ENDS)]
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
    #[arg(long, value_name = "WHEN", value_parser = values::sync, requires = "persist", help_heading = FILE)]
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
