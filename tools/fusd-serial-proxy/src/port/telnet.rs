//! The bytes of RFC 2217: telnet (RFC 854) with the option for serial ports. It knows no sockets.

use crate::termios::Settings;

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

/// Options: bytes as they are, no turns, and the one for serial ports.
const BINARY: u8 = 0;
const SUPPRESS_GO_AHEAD: u8 = 3;
const COM_PORT: u8 = 44;

/// Commands of the last one; the other side adds 100 to them.
const SET_BAUD_RATE: u8 = 1;
const SET_DATA_SIZE: u8 = 2;
const SET_PARITY: u8 = 3;
const SET_STOP_SIZE: u8 = 4;
const SET_CONTROL: u8 = 5;
const NOTIFY_LINE_STATE: u8 = 6;
const NOTIFY_MODEM_STATE: u8 = 7;
const SUSPEND: u8 = 8;
const RESUME: u8 = 9;
const SET_LINE_STATE_MASK: u8 = 10;
const SET_MODEM_STATE_MASK: u8 = 11;
const PURGE_DATA: u8 = 12;
const FROM_SERVER: u8 = 100;

/// A subnegotiation is never longer than this; what comes after it is dropped.
const LONGEST: usize = 64;

/// What comes from the other side, besides bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// The port is set to this speed, in bit/s.
    Speed(u32),
    /// Bits of the line: overruns, errors, breaks.
    Line(u8),
    /// Bits of the modem's lines.
    Modem(u8),
    /// The other side is to be sent nothing, or may be again.
    Suspended(bool),
    /// The other side knows the option, or does not.
    Known(bool),
}

/// What a piece of the connection's bytes comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    pub(super) notices: Vec<Notice>,
    /// What is to be answered.
    pub(super) answer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Data,
    Command,
    /// The option of WILL and its kind.
    Option(u8),
    Sub,
    SubCommand,
}

/// Takes telnet apart.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    place: Place,
    sub: Vec<u8>,
}

/// What this side says first.
pub(super) fn greeting() -> Vec<u8> {
    let mut bytes = Vec::new();
    for option in [BINARY, SUPPRESS_GO_AHEAD] {
        bytes.extend([IAC, WILL, option, IAC, DO, option]);
    }
    bytes.extend([IAC, WILL, COM_PORT]);
    bytes
}

/// Bytes as telnet has them.
pub(super) fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        escaped.push(*byte);
        if *byte == IAC {
            escaped.push(IAC);
        }
    }
    escaped
}

fn command(code: u8, values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![IAC, SB, COM_PORT, code];
    bytes.extend(escape(values));
    bytes.extend([IAC, SE]);
    bytes
}

/// What sets the port.
pub(super) fn set(settings: &Settings) -> Vec<u8> {
    let size = match settings.control & libc::CSIZE {
        libc::CS5 => 5,
        libc::CS6 => 6,
        libc::CS7 => 7,
        _ => 8,
    };
    let parity = match (
        settings.c(libc::PARENB),
        settings.c(libc::PARODD),
        settings.c(libc::CMSPAR),
    ) {
        (false, _, _) => 1,
        (true, true, false) => 2,
        (true, false, false) => 3,
        (true, true, true) => 4,
        (true, false, true) => 5,
    };
    let stop = if settings.c(libc::CSTOPB) { 2 } else { 1 };
    // Of both ways, then of the way in.
    let flow = match (settings.i(libc::IXON), settings.c(libc::CRTSCTS)) {
        (_, true) => 3,
        (true, false) => 2,
        (false, false) => 1,
    };
    [
        command(SET_BAUD_RATE, &settings.output_speed.to_be_bytes()),
        command(SET_DATA_SIZE, &[size]),
        command(SET_PARITY, &[parity]),
        command(SET_STOP_SIZE, &[stop]),
        command(SET_CONTROL, &[flow]),
    ]
    .concat()
}

/// What has the other side tell of all changes.
pub(super) fn watch() -> Vec<u8> {
    [
        command(SET_LINE_STATE_MASK, &[0x1e]),
        command(SET_MODEM_STATE_MASK, &[0xff]),
    ]
    .concat()
}

/// What drives the lines.
pub(super) fn lines(dtr: bool, rts: bool) -> Vec<u8> {
    let value = |on: u8, is: bool| if is { on } else { on + 1 };
    [
        command(SET_CONTROL, &[value(8, dtr)]),
        command(SET_CONTROL, &[value(11, rts)]),
    ]
    .concat()
}

/// What begins or ends a break.
pub(super) fn hold(on: bool) -> Vec<u8> {
    command(SET_CONTROL, &[if on { 5 } else { 6 }])
}

/// What drops all that the other side has not sent yet.
pub(super) fn purge() -> Vec<u8> {
    command(PURGE_DATA, &[2])
}

impl Decoder {
    pub(super) fn take(&mut self, bytes: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        for byte in bytes {
            self.byte(*byte, &mut decoded);
        }
        decoded
    }

    fn byte(&mut self, byte: u8, decoded: &mut Decoded) {
        self.place = match (self.place, byte) {
            (Place::Data, IAC) => Place::Command,
            (Place::Data, _) => {
                decoded.bytes.push(byte);
                Place::Data
            }
            (Place::Command, IAC) => {
                decoded.bytes.push(IAC);
                Place::Data
            }
            (Place::Command, SB) => {
                self.sub.clear();
                Place::Sub
            }
            (Place::Command, WILL..=DONT) => Place::Option(byte),
            (Place::Command, _) => Place::Data,
            (Place::Option(kind), option) => {
                negotiate(kind, option, decoded);
                Place::Data
            }
            (Place::Sub, IAC) => Place::SubCommand,
            (Place::SubCommand, SE) => {
                if let Some(notice) = notice(&self.sub) {
                    decoded.notices.push(notice);
                }
                Place::Data
            }
            (Place::Sub | Place::SubCommand, _) => {
                if self.sub.len() < LONGEST {
                    self.sub.push(byte);
                }
                Place::Sub
            }
        };
    }
}

/// Agrees to what was offered here as well, and to nothing else.
fn negotiate(kind: u8, option: u8, decoded: &mut Decoded) {
    let ours = [BINARY, SUPPRESS_GO_AHEAD, COM_PORT].contains(&option);
    match (kind, option) {
        (DO, COM_PORT) => decoded.notices.push(Notice::Known(true)),
        (DONT, COM_PORT) => decoded.notices.push(Notice::Known(false)),
        (WILL, _) if !ours => decoded.answer.extend([IAC, DONT, option]),
        (WILL, COM_PORT) => decoded.answer.extend([IAC, DO, option]),
        (DO, _) if !ours => decoded.answer.extend([IAC, WONT, option]),
        _ => {}
    }
}

fn notice(sub: &[u8]) -> Option<Notice> {
    let [COM_PORT, code, values @ ..] = sub else {
        return None;
    };
    match (code.checked_sub(FROM_SERVER)?, values) {
        (SET_BAUD_RATE, [a, b, c, d]) => Some(Notice::Speed(u32::from_be_bytes([*a, *b, *c, *d]))),
        (NOTIFY_LINE_STATE, [state]) => Some(Notice::Line(*state)),
        (NOTIFY_MODEM_STATE, [state]) => Some(Notice::Modem(*state)),
        (SUSPEND, _) => Some(Notice::Suspended(true)),
        (RESUME, _) => Some(Notice::Suspended(false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_notices_are_told_apart_wherever_the_pieces_end() {
        let mut stream = b"a\xff\xffb".to_vec();
        stream.extend([IAC, DO, COM_PORT, IAC, WILL, 1, IAC, DO, 24]);
        stream.extend([IAC, SB, COM_PORT, 107, IAC, IAC, IAC, SE]);
        stream.extend([IAC, SB, COM_PORT, 101, 0, 1, 0xc2, 0, IAC, SE, b'c']);
        let whole = Decoder::default().take(&stream);
        assert_eq!(whole.bytes, b"a\xffbc");
        let speed = Notice::Speed(115_200);
        let notices = [Notice::Known(true), Notice::Modem(0xff), speed];
        assert_eq!(whole.notices, notices);
        assert_eq!(whole.answer, [IAC, DONT, 1, IAC, WONT, 24]);
        let mut decoder = Decoder::default();
        let mut parts = Decoded::default();
        for byte in stream {
            let part = decoder.take(&[byte]);
            parts.bytes.extend(part.bytes);
            parts.notices.extend(part.notices);
            parts.answer.extend(part.answer);
        }
        assert_eq!(parts, whole);
    }

    #[test]
    fn settings_are_said_as_the_rfc_has_them() {
        let mut settings = Settings {
            output_speed: 255,
            ..Settings::default().raw()
        };
        settings.control = libc::CS7 | libc::PARENB | libc::CSTOPB;
        let said = set(&settings);
        let speed = [IAC, SB, COM_PORT, 1, 0, 0, 0, 255, 255, IAC, SE];
        assert_eq!(said[..11], speed, "the byte 255 comes twice");
        let values: Vec<u8> = said[11..].chunks(7).map(|part| part[4]).collect();
        assert_eq!(values, [7, 3, 2, 1]);
        assert_eq!(lines(true, false)[4], 8);
        assert_eq!(lines(true, false)[11], 12);
        assert_eq!(escape(b"a\xff"), b"a\xff\xff");
    }

    #[test]
    fn nonsense_is_no_harm() {
        let mut decoder = Decoder::default();
        for seed in 0..2000_u32 {
            let bytes: Vec<u8> = (0..50)
                .map(|place| match (seed * 31 + place * 7) % 5 {
                    0 => IAC,
                    1 => SB,
                    2 => SE,
                    _ => (seed.wrapping_mul(2_654_435_761) >> (place % 24)) as u8,
                })
                .collect();
            decoder.take(&bytes);
            assert!(decoder.sub.len() <= LONGEST);
        }
    }
}
