//! What has gone through, in numbers.

use std::fmt;

/// The state of the proxy at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes from the port.
    pub received: u64,
    /// Bytes to the port, echoes among them.
    pub sent: u64,
    /// Bytes that clients got, each of them.
    pub read: u64,
    /// Bytes that clients wrote.
    pub written: u64,
    /// Bytes that clients were too slow for.
    pub dropped: u64,
    /// Breaks from the port.
    pub breaks: u64,
    /// Bytes with a wrong parity or without their stop bit.
    pub errors: u64,
    /// How often the port was lost.
    pub losses: u64,
    /// Files that are open.
    pub clients: usize,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "received {} bytes, sent {}, read {}, written {}, dropped {}, {} breaks, {} errors, \
             port lost {} times, {} clients",
            self.received,
            self.sent,
            self.read,
            self.written,
            self.dropped,
            self.breaks,
            self.errors,
            self.losses,
            self.clients,
        )
    }
}
