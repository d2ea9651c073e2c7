//! A port at the other end of a TCP connection: bytes alone, or a serial port with all that belongs to
//! one (RFC 2217).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fusd::Errno;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};

use super::telnet::{self, Decoder, Notice};
use super::{Opened, Port, Source, Unit};
use crate::sys::COUNTERS;
use crate::termios::Settings;

/// How long a connection may take, and the first answer of the other side.
const PATIENCE: Duration = Duration::from_secs(5);

/// After how long a silence the other side is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes that wait to be sent at most: far more than all commands of a busy port.
const PENDING: usize = 64 << 10;

/// Bytes of one read.
const READ: usize = 4096;

/// Bits of the modem's lines, and those of `TIOCMGET` for them; in the lower half, that they changed.
const MODEM: [(u8, i32); 4] = [
    (0x10, libc::TIOCM_CTS),
    (0x20, libc::TIOCM_DSR),
    (0x40, libc::TIOCM_RNG),
    (0x80, libc::TIOCM_CD),
];

/// Bits of the line's state: overrun, parity, framing, break.
const OVERRUN: u8 = 0x02;
const PARITY: u8 = 0x04;
const FRAMING: u8 = 0x08;
const BREAK: u8 = 0x10;

/// What both halves know.
#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// What the other side said of its modem's lines last.
    modem: u8,
    suspended: bool,
    known: Option<bool>,
    counts: [u32; 11],
    /// What telnet makes of bytes that are counted as sent, and of commands: it goes first.
    pending: VecDeque<u8>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Output {
    stream: Arc<TcpStream>,
    shared: Arc<Shared>,
    /// It is a serial port.
    serial: bool,
    lines: u32,
}

struct Input {
    stream: Arc<TcpStream>,
    shared: Arc<Shared>,
    decoder: Option<Decoder>,
}

/// Connects to `address`; with `serial`, to a serial port.
///
/// # Errors
/// There is nobody, or nobody who knows of serial ports (`EPROTO`).
pub(crate) fn open_port(address: &str, serial: bool) -> io::Result<Opened> {
    let stream = connect(address)?;
    stream.set_nodelay(true)?;
    let stream = Arc::new(stream);
    let shared = Arc::new(Shared::default());
    let mut input = Input {
        stream: Arc::clone(&stream),
        shared: Arc::clone(&shared),
        decoder: serial.then(Decoder::default),
    };
    let early = match serial {
        true => greet(&mut input)?,
        false => Vec::new(),
    };
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    // One that has lost its power says nothing of it.
    set_socket_keepalive(&stream, true)?;
    set_tcp_keepidle(&stream, SILENCE)?;
    set_tcp_keepintvl(&stream, PATIENCE)?;
    stream.set_nonblocking(true)?;
    Ok(Opened {
        port: Box::new(Output {
            stream,
            shared,
            serial,
            lines: 0,
        }),
        source: Box::new(input),
        settings: Settings::default().raw(),
        early,
    })
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = ErrorKind::NotFound.into();
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Agrees with the other side on what is spoken.
///
/// Returns what has come besides.
fn greet(input: &mut Input) -> io::Result<Vec<Unit>> {
    let deadline = Instant::now() + PATIENCE;
    let mut early = Vec::new();
    input.stream.set_read_timeout(Some(PATIENCE))?;
    input.stream.set_write_timeout(Some(PATIENCE))?;
    (&*input.stream).write_all(&telnet::greeting())?;
    loop {
        match input.shared.lock().known {
            Some(true) => break,
            Some(false) => return Err(rustix::io::Errno::PROTO.into()),
            None => {}
        }
        if !input.read(&mut early)? || Instant::now() > deadline {
            return Err(rustix::io::Errno::PROTO.into());
        }
        flush(&input.stream, &mut input.shared.lock());
    }
    (&*input.stream).write_all(&telnet::watch())?;
    Ok(early)
}

/// Sends what goes first, as far as it goes; whether that is all. If the other side takes nothing and
/// it gets too much, the port is lost.
fn flush(mut stream: &TcpStream, state: &mut State) -> bool {
    while !state.pending.is_empty() {
        let (bytes, _) = state.pending.as_slices();
        match stream.write(bytes) {
            Ok(count) if count > 0 => drop(state.pending.drain(..count)),
            // If it is lost, the other half finds out.
            _ => {
                if state.pending.len() > PENDING {
                    state.pending.clear();
                    let _lost = stream.shutdown(Shutdown::Both);
                }
                return false;
            }
        }
    }
    true
}

impl Output {
    fn say(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if !self.serial {
            return Err(Errno::ENOTTY);
        }
        let mut state = self.shared.lock();
        state.pending.extend(bytes);
        flush(&self.stream, &mut state);
        Ok(())
    }
}

impl Port for Output {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.lock();
        if !flush(&self.stream, &mut state) || state.suspended {
            return Ok(0);
        }
        let count = if self.serial {
            state.pending.extend(telnet::escape(bytes));
            flush(&self.stream, &mut state);
            bytes.len()
        } else {
            match (&*self.stream).write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            }
        };
        state.counts[5] = state.counts[5].wrapping_add(count as u32);
        Ok(count)
    }

    fn apply(&mut self, settings: &mut Settings) -> Result<(), Errno> {
        *settings = settings.encoded();
        if !self.serial {
            return Ok(());
        }
        self.say(&telnet::set(settings))
    }

    fn queued(&mut self) -> usize {
        self.shared.lock().pending.len()
    }

    fn drop_output(&mut self) {
        // Without a serial port there is nothing to be dropped.
        let _none = self.say(&telnet::purge());
    }

    fn lines(&mut self) -> Result<u32, Errno> {
        if !self.serial {
            return Err(Errno::ENOTTY);
        }
        let modem = self.shared.lock().modem;
        let mut lines = self.lines;
        for (bit, line) in MODEM {
            if modem & bit != 0 {
                lines |= line as u32;
            }
        }
        Ok(lines)
    }

    fn set_lines(&mut self, lines: u32) -> Result<(), Errno> {
        let is = |line: i32| lines & line as u32 != 0;
        let (dtr, rts) = (is(libc::TIOCM_DTR), is(libc::TIOCM_RTS));
        self.say(&telnet::lines(dtr, rts))?;
        self.lines = lines & (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32;
        Ok(())
    }

    fn set_break(&mut self, on: bool) -> Result<(), Errno> {
        self.say(&telnet::hold(on))
    }

    fn counters(&mut self) -> Result<[u8; COUNTERS], Errno> {
        if !self.serial {
            return Err(Errno::ENOTTY);
        }
        let mut bytes = [0; COUNTERS];
        let counts = self.shared.lock().counts;
        for (place, count) in bytes.chunks_exact_mut(4).zip(counts) {
            place.copy_from_slice(&count.to_ne_bytes());
        }
        Ok(bytes)
    }

    fn has_unsent(&self) -> bool {
        !self.shared.lock().pending.is_empty()
    }

    fn is_suspended(&self) -> bool {
        self.shared.lock().suspended
    }

    fn handles_flow(&self) -> bool {
        self.serial
    }
}

impl Input {
    /// What the other side has said, as far as clients learn of it.
    fn notice(&self, notice: Notice, units: &mut Vec<Unit>) {
        let mut state = self.shared.lock();
        match notice {
            Notice::Speed(speed) => units.push(Unit::Speed(speed)),
            Notice::Suspended(suspended) => state.suspended = suspended,
            Notice::Known(known) => state.known = Some(known),
            Notice::Modem(modem) => {
                state.modem = modem;
                // In the order of the counters.
                for (index, (bit, _)) in MODEM.into_iter().enumerate() {
                    let changed = u32::from(modem & bit >> 4 != 0);
                    state.counts[index] = state.counts[index].wrapping_add(changed);
                }
                units.push(Unit::Lines);
            }
            Notice::Line(line) => {
                for (bit, index) in [(FRAMING, 6), (OVERRUN, 7), (PARITY, 8), (BREAK, 9)] {
                    let more = u32::from(line & bit != 0);
                    state.counts[index] = state.counts[index].wrapping_add(more);
                }
                if line & BREAK != 0 {
                    units.push(Unit::Break);
                }
            }
        }
    }
}

impl Source for Input {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn read(&mut self, units: &mut Vec<Unit>) -> io::Result<bool> {
        let mut buffer = [0; READ];
        let count = match (&*self.stream).read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => return Ok(true),
                _ => return Err(error),
            },
        };
        let Some(decoder) = &mut self.decoder else {
            units.push(Unit::Bytes(buffer[..count].to_vec()));
            return Ok(true);
        };
        let decoded = decoder.take(&buffer[..count]);
        if !decoded.bytes.is_empty() {
            let mut state = self.shared.lock();
            let count = decoded.bytes.len() as u32;
            state.counts[4] = state.counts[4].wrapping_add(count);
            units.push(Unit::Bytes(decoded.bytes));
        }
        for notice in decoded.notices {
            self.notice(notice, units);
        }
        if !decoded.answer.is_empty() {
            let mut state = self.shared.lock();
            state.pending.extend(decoded.answer);
            flush(&self.stream, &mut state);
        }
        Ok(true)
    }
}
