//! What a pipe does with what is written to it: the choices of the command line as values.

use std::time::Duration;

/// Who gets what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Each byte or record goes to one reader, whoever comes first
    #[default]
    Fifo,
    /// Every reader gets everything from its open on
    Broadcast,
    /// The newest content is kept, and every reader gets it from its beginning
    Ring,
}

/// What a read never tears apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Records {
    /// Nothing: a stream of bytes
    #[default]
    None,
    /// Lines: a writer's line is passed on when it is complete
    Line,
    /// What one write(2) wrote
    Write,
}

/// What a write does where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Full {
    /// It waits
    Block,
    /// It fails with EAGAIN, also where it might wait
    Eagain,
    /// It succeeds, and what it wrote is lost
    DropNew,
    /// It succeeds, and the oldest content is lost
    DropOld,
}

/// When a reader that has read everything gets the end of the file instead of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eof {
    /// When the last writer has closed the node.
    LastWriter,
    /// Never.
    Never,
    /// At once, as in a file that may grow.
    Content,
    /// When nothing has been written for so long.
    Idle(Duration),
}

/// What a write does while nobody has the node open for reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NoReader {
    /// It is served as at other times
    #[default]
    Keep,
    /// It fails with EPIPE
    Epipe,
}

/// An amount of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// At most so many bytes.
    pub bytes: usize,
    /// At most so many records.
    pub records: usize,
}

/// What is put before each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Label {
    /// When it was written, in UTC
    Time,
    /// The writer's process id
    Pid,
    /// The writer's user id
    Uid,
    /// The name of the writer's program
    Program,
}

/// When what a file keeps of the pipe is forced to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When the kernel sees fit: it outlives the tool, but not the machine.
    #[default]
    Never,
    /// Before each write is answered, and after each read.
    Always,
    /// So often.
    Every(Duration),
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who gets what is written.
    pub mode: Mode,
    /// What is not torn apart.
    pub records: Records,
    /// A read gets one record, even where it has room for more.
    pub one_record: bool,
    /// What is put before each record, in this order.
    pub labels: Vec<Label>,
    /// How much is kept for readers.
    pub size: Amount,
    /// How much of what was written before a reader came it gets, in broadcast.
    pub backlog: Amount,
    /// What happens beyond the size.
    pub full: Full,
    /// A record tells readers of what they have lost.
    pub marker: bool,
    /// When a reader comes to the end.
    pub eof: Eof,
    /// What happens to writers without readers.
    pub no_reader: NoReader,
    /// An open waits until the other side has opened as well.
    pub wait_peer: bool,
    /// Bytes that readers get in a second; `None` is no limit.
    pub rate: Option<u64>,
}

impl Settings {
    /// Whether a pipe of these changes by the time alone.
    pub(crate) fn changes_with_time(&self) -> bool {
        self.rate.is_some() || matches!(self.eof, Eof::Idle(_))
    }
}
