//! What the screen shows, as rows of ASCII that fit.

use std::time::SystemTime;

use super::ring::{Entry, What};
use crate::stats::Stats;
use crate::tap::Direction;
use crate::termios::Settings;

/// Columns from which on each entry has its time.
const WIDE: usize = 40;

/// Rows from which on the last one tells of the keys.
const TALL: usize = 8;

const KEYS: &str = "q quit  h hex  p pause  c clear";

/// All that there is to be shown at a moment, but for what has gone through.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// What the port is called.
    pub(super) port: String,
    pub(super) settings: Settings,
    /// The modem lines; `None` where the port has none.
    pub(super) lines: Option<u32>,
    pub(super) is_lost: bool,
    pub(super) stats: Stats,
    /// Bytes per second, from the port and to it.
    pub(super) rates: [f64; 2],
    /// Who has the node open.
    pub(super) clients: Vec<String>,
    pub(super) is_hex: bool,
    pub(super) is_paused: bool,
}

impl View {
    /// The rows of a screen of that size, the first of which is the title. None is longer than the
    /// screen is wide, and there are as many as it has.
    pub(super) fn rows(&self, entries: &[Entry], rows: usize, columns: usize) -> Vec<String> {
        let mut all = vec![cut(&self.title(), columns)];
        // What has gone through gets most of it.
        all.extend(flow(&self.words(), columns, (rows / 3).clamp(1, 6)));
        let below = usize::from(rows >= TALL);
        let room = rows.saturating_sub(all.len() + below);
        let mut shown: Vec<String> = Vec::new();
        for entry in entries.iter().rev() {
            if shown.len() >= room {
                break;
            }
            let mut lines = self.entry(entry, columns);
            lines.reverse();
            shown.extend(lines);
        }
        shown.truncate(room);
        shown.resize(room, String::new());
        // The latest is at the bottom once there is more than the screen has.
        let empty = shown.iter().filter(|line| line.is_empty()).count();
        shown.reverse();
        shown.rotate_left(empty);
        all.extend(shown);
        if below > 0 {
            all.push(cut(KEYS, columns));
        }
        all.truncate(rows);
        all
    }

    fn title(&self) -> String {
        let settings = &self.settings;
        let size = 5 + (settings.control & libc::CSIZE) / libc::CS6;
        let parity = match (settings.c(libc::PARENB), settings.c(libc::PARODD)) {
            (false, _) => 'N',
            (true, false) => 'E',
            (true, true) => 'O',
        };
        let stop = 1 + u32::from(settings.c(libc::CSTOPB));
        let state = match (self.is_lost, self.is_paused) {
            (true, _) => " LOST",
            (false, true) => " paused",
            (false, false) => "",
        };
        let speed = settings.output_speed;
        format!("{} {speed} {size}{parity}{stop}{state}", self.port)
    }

    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(lines) = self.lines {
            for (bit, name) in [
                (libc::TIOCM_DTR, "dtr"),
                (libc::TIOCM_RTS, "rts"),
                (libc::TIOCM_CTS, "cts"),
                (libc::TIOCM_DSR, "dsr"),
                (libc::TIOCM_CD, "dcd"),
                (libc::TIOCM_RNG, "ri"),
            ] {
                words.push(match lines & bit as u32 != 0 {
                    true => name.to_uppercase(),
                    false => name.to_owned(),
                });
            }
        }
        let stats = &self.stats;
        let [received, sent] = self.rates;
        words.push(format!("in={} {}/s", stats.received, received.round()));
        words.push(format!("out={} {}/s", stats.sent, sent.round()));
        for (name, count) in [
            ("dropped", stats.dropped),
            ("errors", stats.errors),
            ("breaks", stats.breaks),
            ("losses", stats.losses),
        ] {
            words.push(format!("{name}={count}"));
        }
        words.push(format!("clients={}", self.clients.len()));
        words.extend(self.clients.iter().cloned());
        words
    }

    /// The rows of an entry.
    fn entry(&self, entry: &Entry, columns: usize) -> Vec<String> {
        let time = match columns >= WIDE {
            true => clock(entry.time) + " ",
            false => String::new(),
        };
        let sign = match &entry.what {
            What::Words(_) => "",
            What::Bytes(Direction::Sent, _) => "> ",
            What::Bytes(Direction::Received, _) => "< ",
        };
        let width = columns.saturating_sub(time.len() + sign.len()).max(1);
        let chunks = |text: &str| {
            let chunks = text.as_bytes().chunks(width);
            // Lossless: it is ASCII.
            let piece = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
            chunks.map(piece).collect()
        };
        let pieces: Vec<String> = match &entry.what {
            What::Words(words) => chunks(&cut(words, usize::MAX)),
            What::Bytes(_, bytes) if self.is_hex => hex(bytes, width),
            What::Bytes(_, bytes) => chunks(&bytes.escape_ascii().to_string()),
        };
        let blank = " ".repeat(time.len());
        let mut rows = Vec::new();
        for (number, piece) in pieces.into_iter().enumerate() {
            let start = if number == 0 { &time } else { &blank };
            rows.push(cut(&format!("{start}{sign}{piece}"), columns));
        }
        rows
    }
}

/// The time of the day, in UTC as in the log.
fn clock(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_millis(time).to_string();
    text.get(11..23).unwrap_or_default().to_owned()
}

/// Bytes in hexadecimal, with the text beside it: as many in a row as there is room for, up to 16.
fn hex(bytes: &[u8], width: usize) -> Vec<String> {
    // Each takes four columns, and there is one blank between both parts.
    let count = match width.saturating_sub(1) / 4 {
        0..2 => 1,
        2..4 => 2,
        4..8 => 4,
        8..16 => 8,
        _ => 16,
    };
    let row = |part: &[u8]| {
        let digits: String = part.iter().map(|byte| format!("{byte:02x} ")).collect();
        let shown = |byte: &u8| match byte {
            0x20..0x7f => char::from(*byte),
            _ => '.',
        };
        let text: String = part.iter().map(shown).collect();
        format!("{digits:<length$} {text}", length = 3 * count)
    };
    bytes.chunks(count).map(row).collect()
}

/// Words in rows, as many as fit. A name of a program can be anything that this has chosen for itself.
fn flow(words: &[String], columns: usize, most: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for word in words {
        let word = cut(word, columns);
        let count = rows.len();
        match rows.last_mut() {
            Some(row) if row.len() + 1 + word.len() <= columns => {
                row.push(' ');
                row.push_str(&word);
            }
            _ if count == most => break,
            _ => rows.push(word),
        }
    }
    rows
}

/// As much of it as there is room for; what is no ASCII is not shown as it is.
fn cut(text: &str, columns: usize) -> String {
    let plain = |letter: char| match letter {
        ' '..='~' => letter,
        _ => '?',
    };
    text.chars().take(columns).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn view() -> View {
        View {
            port: "/dev/ttyUSB0".to_owned(),
            settings: Settings::default(),
            lines: Some((libc::TIOCM_DTR | libc::TIOCM_CD) as u32),
            is_lost: false,
            stats: Stats {
                received: 1234,
                dropped: 5,
                ..Stats::default()
            },
            rates: [12.4, 0.0],
            clients: vec!["cat(12)".to_owned(), "minicom(34)".to_owned()],
            is_hex: false,
            is_paused: false,
        }
    }

    fn entry(direction: Direction, bytes: &[u8]) -> Entry {
        Entry {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(3_723_004),
            what: What::Bytes(direction, bytes.to_vec()),
        }
    }

    #[test]
    fn a_wide_screen_shows_all() {
        let entries = [
            entry(Direction::Sent, b"AT\r"),
            entry(Direction::Received, b"OK\r\n"),
        ];
        let rows = view().rows(&entries, 12, 100);
        assert_eq!(rows.len(), 12);
        assert_eq!(rows[0], "/dev/ttyUSB0 9600 8N1");
        assert_eq!(
            rows[1],
            "DTR rts cts dsr DCD ri in=1234 12/s out=0 0/s dropped=5 errors=0 breaks=0 losses=0 \
             clients=2 cat(12)"
        );
        assert_eq!(rows[2], "minicom(34)");
        assert_eq!(rows[3], "01:02:03.004 > AT\\r");
        assert_eq!(rows[4], "01:02:03.004 < OK\\r\\n");
        assert_eq!(rows[5], "");
        assert_eq!(rows[11], KEYS);
    }

    #[test]
    fn no_row_is_too_long_and_none_too_many() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut entries = vec![entry(Direction::Received, &bytes); 20];
        entries.push(Entry {
            time: SystemTime::UNIX_EPOCH,
            what: What::Words("! lange W\u{f6}rter".repeat(30)),
        });
        entries.push(entry(Direction::Sent, b"the latest"));
        // What prctl(2) lets a program call itself, PR_SET_NAME.
        let names = ["cat(1)", "\x1bc(2)", "\x1b[2J\n(3)", "\u{f6}\u{f6}(4)"];
        for is_hex in [false, true] {
            let clients = names.map(str::to_owned).to_vec();
            let view = View {
                is_hex,
                clients,
                ..view()
            };
            for rows in [1, 2, 5, 7, 8, 24, 60] {
                for columns in [1, 2, 3, 7, 16, 20, 39, 40, 80, 200] {
                    let shown = view.rows(&entries, rows, columns);
                    assert_eq!(shown.len(), rows, "{rows}x{columns}");
                    let plain = |row: &str| row.chars().all(|letter| matches!(letter, ' '..='~'));
                    let fits = |row: &String| row.len() <= columns && plain(row);
                    assert!(shown.iter().all(fits), "{rows}x{columns}: {shown:?}");
                }
            }
        }
        let small = view().rows(&entries, 5, 20);
        assert_eq!(small[4], "> the latest");
    }

    #[test]
    fn hexadecimal_has_the_text_beside_it() {
        let view = View {
            is_hex: true,
            ..view()
        };
        let rows = view.entry(&entry(Direction::Received, b"ABC\n"), 80);
        let text = "01:02:03.004 < 41 42 43 0a";
        assert!(rows[0].starts_with(text) && rows[0].ends_with(" ABC."));
        assert_eq!(view.entry(&entry(Direction::Sent, b"ABCDE"), 20).len(), 2);
    }
}
