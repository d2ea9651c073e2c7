//! What the proxy does: the choices of the command line as values.

use std::time::Duration;

/// Who gets what comes from the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Share {
    /// Every client gets everything from its open on
    #[default]
    All,
    /// Each byte goes to one client, whoever reads first, as from the port itself
    First,
    /// One client at a time may have the node open: others get EBUSY
    Exclusive,
}

/// What of several clients' output is not mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum WriteLock {
    /// Nothing
    None,
    /// What one write(2) writes
    #[default]
    Write,
    /// Lines: who has begun one goes first until its end, a newline or a carriage return
    Line,
    /// Everything: who has written goes first until it closes the node
    Open,
}

/// Whose settings (tcsetattr(3)) count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// The latest
    #[default]
    Last,
    /// Those of the client that has had the node open for longest; others' change nothing
    Owner,
    /// None: they stay as the port had them
    Fixed,
}

/// What clients find while the port is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnLost {
    /// They wait, as for a line on which nothing happens
    #[default]
    Wait,
    /// Reads and writes fail with EIO
    Eio,
    /// Reads come to the end of the file, writes fail with EIO
    Eof,
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) share: Share,
    pub(crate) write_lock: WriteLock,
    pub(crate) settings: Policy,
    pub(crate) on_lost: OnLost,
    /// Nobody writes.
    pub(crate) read_only: bool,
    /// Bytes that are kept for a client that does not read.
    pub(crate) size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            share: Share::default(),
            write_lock: WriteLock::default(),
            settings: Policy::default(),
            on_lost: OnLost::default(),
            read_only: false,
            size: 64 << 10,
        }
    }
}

/// How long a break takes that does not say (tcsendbreak(3)).
pub(crate) const BREAK: Duration = Duration::from_millis(250);
