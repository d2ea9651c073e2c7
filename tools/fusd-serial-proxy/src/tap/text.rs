//! Lines for people: when, which way, what.

use std::fmt::Write;
use std::time::SystemTime;

use super::Event;

/// How bytes are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// As text, with backslash escapes
    #[default]
    Text,
    /// In hexadecimal, with the text beside it
    Hex,
}

/// Bytes in a line of hexadecimal.
const ROW: usize = 16;

pub(super) struct Text {
    form: Form,
}

impl Text {
    pub(super) fn new(form: Form) -> Self {
        Self { form }
    }

    /// A line for events that are left out.
    pub(super) fn missing(count: u64, now: SystemTime) -> String {
        let time = humantime::format_rfc3339_micros(now);
        format!("{time} ! {count} events are missing\n")
    }

    /// One event, as one or more lines.
    pub(super) fn line(&self, event: Event<'_>, lines: u32, now: SystemTime) -> String {
        let time = humantime::format_rfc3339_micros(now);
        match (self.form, event) {
            (Form::Hex, Event::Bytes(direction, bytes)) => {
                let sign = direction.sign();
                let mut text = String::new();
                for row in bytes.chunks(ROW) {
                    let mut hex = String::new();
                    for byte in row {
                        let _never = write!(hex, "{byte:02x} ");
                    }
                    let shown: String = row.iter().map(|byte| visible(*byte)).collect();
                    let _never = writeln!(text, "{time} {sign} {hex:<48} {shown}");
                }
                text
            }
            _ => format!("{time} {}\n", event.words(lines)),
        }
    }
}

fn visible(byte: u8) -> char {
    match byte {
        0x20..0x7f => char::from(byte),
        _ => '.',
    }
}

#[test]
fn each_form_tells_what_went_which_way() {
    use super::Direction;
    use std::time::Duration;
    let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_002);
    let bytes = Event::Bytes(Direction::Sent, b"AT\r\xff");
    assert_eq!(
        Text::new(Form::Text).line(bytes, 0, now),
        "1970-01-01T00:00:01.000002Z > AT\\r\\xff\n"
    );
    let hex = Text::new(Form::Hex).line(bytes, 0, now);
    assert!(hex.contains("> 41 54 0d ff  "), "{hex}");
    assert!(hex.ends_with(" AT..\n"), "{hex}");
    let long = Event::Bytes(Direction::Received, &[b'x'; 17]);
    let hex = Text::new(Form::Hex).line(long, 0, now);
    assert_eq!(hex.lines().count(), 2);
    let lines = libc::TIOCM_RTS | libc::TIOCM_CTS | libc::TIOCM_CD;
    let line = |event| Text::new(Form::Hex).line(event, lines as u32, now);
    assert!(line(Event::Driven).ends_with("Z > dtr=0 rts=1\n"));
    assert!(line(Event::Found).ends_with("Z < cts=1 dsr=0 dcd=1 ri=0\n"));
}
