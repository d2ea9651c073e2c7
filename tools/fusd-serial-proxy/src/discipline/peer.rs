//! The kernel's line discipline beside this one: the same bytes in, the same bytes out.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;

use super::Discipline;
use crate::sys;
use crate::termios::Settings;

/// A sequence of numbers that looks like chance and is always the same (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }

    fn some_of(&mut self, flags: &[u32]) -> u32 {
        let mut some = 0;
        for flag in flags {
            if self.below(2) == 0 {
                some |= flag;
            }
        }
        some
    }
}

/// A pseudo-terminal: what comes from the line is written to `line`.
struct Peer {
    line: File,
    program: File,
}

fn nonblocking(file: OwnedFd) -> File {
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    file.into()
}

impl Peer {
    fn new() -> Self {
        let pair = openpty(None, None).unwrap();
        Self {
            line: nonblocking(pair.master),
            program: nonblocking(pair.slave),
        }
    }

    fn set(&self, settings: &Settings) {
        sys::set_settings(&self.program, settings).unwrap();
    }
}

/// Reads until there is what is expected, or for long enough to be sure that there is not.
fn read_like(file: &mut File, expected: &[u8]) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while all.len() < expected.len() && Instant::now() < deadline {
        match file.read(&mut buffer) {
            Ok(count) => all.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) => panic!("{error}"),
        }
    }
    all
}

/// Settings by chance. Signals drop what is under way, which depends on the moment: they have tests
/// of their own.
fn settings(numbers: &mut Numbers) -> Settings {
    use libc::{ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ECHOPRT, ICANON, IEXTEN};
    use libc::{ICRNL, IGNCR, INLCR, ISTRIP, IUCLC, IUTF8, IXANY, IXON, PARMRK};
    use libc::{OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, XTABS};
    let often = numbers.some_of(&[ICRNL, IGNCR, INLCR, IUTF8, IXON, IXANY]);
    let seldom = [ISTRIP, IUCLC, PARMRK];
    let seldom = numbers.some_of(&seldom) & numbers.some_of(&seldom);
    let mut settings = Settings {
        input: often | seldom,
        output: numbers.some_of(&[OPOST, ONLCR, OCRNL, ONOCR, ONLRET, OLCUC, XTABS]),
        local: numbers.some_of(&[
            ICANON, ECHO, ECHOE, ECHOK, ECHOKE, ECHONL, ECHOCTL, ECHOPRT, IEXTEN,
        ]),
        ..Settings::default()
    };
    settings.local |= ICANON * u32::from(numbers.below(3) > 0);
    if numbers.below(3) == 0 {
        settings.characters[libc::VEOL] = b';';
        settings.characters[libc::VEOL2] = b'%';
    }
    settings.characters[libc::VMIN] = 1;
    settings.characters[libc::VTIME] = 0;
    settings
}

/// Bytes by chance: letters, and more often than those what has a meaning. Neither stop nor start:
/// what a stopped terminal has sent depends on the moment.
fn bytes(numbers: &mut Numbers) -> Vec<u8> {
    const SPECIAL: &[u8] =
        b"\n\n\n\r\r\t\t\x7f\x7f\x7f\x17\x15\x04\x16\x12\x08;% _ab  \xc3\xa4\xff\x03\x1b\xe9\x80";
    (0..1 + numbers.below(300))
        .map(|_| match numbers.below(4) {
            0 => SPECIAL[numbers.below(SPECIAL.len())],
            1 => (32 + numbers.below(95)) as u8,
            2 => b'a' + numbers.below(26) as u8,
            _ => numbers.below(256) as u8,
        })
        .filter(|byte| ![0x11, 0x13].contains(&(byte & 0x7f)))
        .collect()
}

/// One terminal of each kind, with the same history.
struct Both {
    peer: Peer,
    own: Discipline,
    place: u64,
}

impl Both {
    fn new() -> Self {
        Self {
            peer: Peer::new(),
            own: Discipline::default(),
            place: 0,
        }
    }

    fn receive(&mut self, bytes: &[u8], context: &str) {
        self.peer.line.write_all(bytes).unwrap();
        self.own.receive(bytes);
        let echo = self.own.take_echo();
        let found = read_like(&mut self.peer.line, &echo);
        assert!(found == echo, "echo: {found:?}, here {echo:?}: {context}");
    }

    fn write(&mut self, bytes: &[u8], context: &str) {
        self.peer.program.write_all(bytes).unwrap();
        let mut sent = Vec::new();
        self.own.write(bytes, &mut sent);
        let found = read_like(&mut self.peer.line, &sent);
        assert!(found == sent, "sent: {found:?}, here {sent:?}: {context}");
    }

    /// Reads all there is, by reads of `size`, of which each gets the same.
    fn read(&mut self, size: usize, context: &str) {
        while let Some(piece) = self.own.piece(self.place, size) {
            let own = self.own.parts(self.place, piece.length).concat();
            self.place += (piece.length + piece.skipped) as u64;
            self.own.forget(self.place);
            if !self.own.has_lines() {
                // They may arrive in parts.
                let found = read_like(&mut self.peer.program, &own);
                assert!(found == own, "read: {found:?}, here {own:?}: {context}");
                continue;
            }
            let mut buffer = vec![0; size];
            let deadline = Instant::now() + Duration::from_secs(20);
            let count = loop {
                match self.peer.program.read(&mut buffer) {
                    Ok(count) => break count,
                    Err(error)
                        if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline =>
                    {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                    Err(error) => panic!("{error}; here {own:?}: {context}"),
                }
            };
            let found = &buffer[..count];
            assert!(found == own, "read: {found:?}, here {own:?}: {context}");
        }
    }
}

#[test]
fn it_does_what_the_kernel_does() {
    for seed in 1..=400u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut both = Both::new();
        let settings = settings(&mut numbers);
        both.peer.set(&settings);
        both.own.set(settings);
        let context = format!("seed {seed}, {settings:?}");
        for round in 0..4 {
            let mut bytes = bytes(&mut numbers);
            // Without echo, only the end of a line tells that all has arrived; a character before it
            // takes what may be quoted.
            bytes.extend(b"x\x04");
            let context = format!("{context}, round {round}, {bytes:?}");
            if numbers.below(3) == 0 {
                both.write(&bytes, &context);
            }
            both.receive(&bytes, &context);
            // A read that fills its buffer with a line but for the newline has the kernel forget
            // where the line ends: not something to do alike.
            both.read(4096, &context);
        }
        // What lines end with is a byte again where there are no lines.
        let mut raw = settings;
        raw.local = 0;
        raw.input = 0;
        both.peer.set(&raw);
        both.own.set(raw);
        both.receive(b"end", &context);
        both.read(4096, &context);
        assert_eq!(sys::queued(&both.peer.line).unwrap(), 0);
    }
}

#[test]
fn bytes_that_are_there_become_a_line() {
    let mut both = Both::new();
    let lines = Settings {
        local: libc::ICANON,
        ..Settings::default()
    };
    let raw = Settings { local: 0, ..lines };
    both.peer.set(&raw);
    both.own.set(raw);
    both.receive(b"abc", "raw");
    both.peer.set(&raw);
    // They have arrived when they can be counted.
    let deadline = Instant::now() + Duration::from_secs(20);
    while rustix::io::ioctl_fionread(&both.peer.program).unwrap() < 3 {
        assert!(Instant::now() < deadline);
    }
    both.peer.set(&lines);
    both.own.set(lines);
    both.receive(b"de\nf", "lines");
    both.read(100, "lines");
    both.peer.set(&raw);
    both.own.set(raw);
    both.read(100, "raw again");
}

#[test]
fn a_signal_character_flushes() {
    let mut own = Discipline::default();
    own.receive(b"abc\nde\x03f\n");
    assert!(own.takes_output_back());
    assert!(!own.takes_output_back(), "once");
    let place = own.head() - own.readable(0) as u64;
    assert_eq!(own.parts(place, 10).concat(), b"f\n");
    assert_eq!(own.take_echo(), b"^Cf\r\n");
}

#[test]
fn breaks_and_errors_are_marked_or_not() {
    use libc::{BRKINT, IGNBRK, IGNPAR, INPCK, PARMRK};
    for (flags, expected) in [
        (0, &b"\0p"[..]),
        (IGNBRK, b"p"),
        (PARMRK, b"\xff\0\0p"),
        (INPCK, b"\0\0"),
        (INPCK | IGNPAR, b"\0"),
        (INPCK | PARMRK, b"\xff\0\0\xff\0p"),
        (BRKINT, b"p"),
    ] {
        let mut own = Discipline::default();
        own.set(Settings {
            input: flags,
            local: 0,
            ..Settings::default()
        });
        own.receive_break();
        own.receive_error(b'p');
        assert_eq!(own.parts(0, 10).concat(), expected, "{flags:o}");
    }
}

#[test]
fn stop_and_start_are_no_bytes() {
    let mut own = Discipline::default();
    own.receive(b"a\x13b");
    assert!(own.stopped());
    own.receive(b"\x11");
    assert!(!own.stopped());
    let mut any = *own.settings();
    any.input |= libc::IXANY;
    own.set(any);
    own.receive(b"\x13c");
    assert!(!own.stopped(), "any character starts");
    own.receive(b"\x13");
    any.input &= !libc::IXON;
    own.set(any);
    assert!(!own.stopped());
}
