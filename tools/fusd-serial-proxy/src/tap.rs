//! What goes through, noted in files and for the monitor.

mod pcap;
mod text;
mod writer;

pub use text::Form;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use crate::monitor::Ring;
use crate::port::Unit;
use text::Text;
use writer::Writer;

/// Lines that the other side drives.
const FOUND: u32 = (libc::TIOCM_CTS | libc::TIOCM_DSR | libc::TIOCM_CD | libc::TIOCM_RI) as u32;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the port.
    Sent,
    /// From the port.
    Received,
}

impl Direction {
    /// What stands for it where people look.
    fn sign(self) -> char {
        match self {
            Self::Sent => '>',
            Self::Received => '<',
        }
    }
}

/// What happens on a line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    Bytes(Direction, &'a [u8]),
    Break,
    Error(u8),
    /// The modem lines of this side change.
    Driven,
    /// Those of the other side do.
    Found,
}

impl Event<'_> {
    /// What people read of it; `lines` are the modem lines.
    pub(crate) fn words(self, lines: u32) -> String {
        let state = |bit: i32| u8::from(lines & bit as u32 != 0);
        match self {
            Self::Bytes(direction, bytes) => {
                format!("{} {}", direction.sign(), bytes.escape_ascii())
            }
            Self::Break => "< break".to_owned(),
            Self::Error(byte) => format!("< error {byte:02x}"),
            Self::Driven => {
                let (dtr, rts) = (state(libc::TIOCM_DTR), state(libc::TIOCM_RTS));
                format!("> dtr={dtr} rts={rts}")
            }
            Self::Found => {
                let (cts, dsr) = (state(libc::TIOCM_CTS), state(libc::TIOCM_DSR));
                let (dcd, ri) = (state(libc::TIOCM_CD), state(libc::TIOCM_RI));
                format!("< cts={cts} dsr={dsr} dcd={dcd} ri={ri}")
            }
        }
    }
}

/// Where it is noted.
#[derive(Default)]
pub(crate) struct Tap {
    text: Option<(Writer, Text)>,
    pcap: Option<Writer>,
    ring: Option<Ring>,
    /// The lines of the other side, as far as the port has told of them.
    found: u32,
}

impl Tap {
    /// Notes lines of text in the file at `path`, after what is there.
    ///
    /// # Errors
    /// It cannot be opened, or there is no thread for it.
    pub(crate) fn log_to(&mut self, path: &Path, form: Form) -> io::Result<()> {
        let file = File::options().append(true).create(true).open(path)?;
        self.text = Some((Writer::start(file, "--log")?, Text::new(form)));
        Ok(())
    }

    /// Notes packets in the file at `path`, which begins anew.
    ///
    /// # Errors
    /// It cannot be written, or there is no thread for it.
    pub(crate) fn capture_to(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(&pcap::HEADER)?;
        self.pcap = Some(Writer::start(file, "--pcap")?);
        Ok(())
    }

    /// Notes all in `ring`.
    pub(crate) fn show_in(&mut self, ring: Ring) {
        self.ring = Some(ring);
    }

    /// Whether there is anything to do.
    pub(crate) fn is_needed(&self) -> bool {
        self.text.is_some() || self.pcap.is_some() || self.ring.is_some()
    }

    pub(crate) fn received(&mut self, unit: &Unit, lines: u32) {
        match unit {
            Unit::Bytes(bytes) => self.bytes(Direction::Received, bytes, lines),
            Unit::Break => self.note(Event::Break, lines),
            Unit::Error(byte) => self.note(Event::Error(*byte), lines),
            Unit::Lines | Unit::Speed(_) => {}
        }
    }

    /// `lines` are the modem lines of this side.
    pub(crate) fn bytes(&mut self, direction: Direction, bytes: &[u8], lines: u32) {
        self.note(Event::Bytes(direction, bytes), lines);
    }

    /// The modem lines of this side are these now.
    pub(crate) fn driven(&mut self, lines: u32) {
        self.note(Event::Driven, lines);
    }

    /// Those of both sides are these now.
    pub(crate) fn found(&mut self, lines: u32) {
        let found = lines & FOUND;
        if std::mem::replace(&mut self.found, found) != found {
            self.note(Event::Found, lines);
        }
    }

    /// `lines` are the modem lines of this side.
    fn note(&mut self, event: Event<'_>, lines: u32) {
        let now = SystemTime::now();
        let lines = lines | self.found;
        if let Some((file, text)) = &mut self.text {
            file.write(|missing| {
                let mut line = match missing {
                    0 => String::new(),
                    _ => Text::missing(missing, now),
                };
                line += &text.line(event, lines, now);
                line.into_bytes()
            });
        }
        if let Some(file) = &mut self.pcap {
            file.write(|_| pcap::packet(event, lines, now));
        }
        if let Some(ring) = &self.ring {
            ring.note(event, lines, now);
        }
    }
}
