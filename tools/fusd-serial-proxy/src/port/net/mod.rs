//! A port at the other end of a TCP connection: bytes alone, or a serial port with all that belongs to
//! one (RFC 2217).

mod input;
mod output;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};

use super::telnet::{self, Decoder};
use super::{Opened, Source, Unit};
use crate::termios::Settings;
use input::Input;
use output::Output;

/// How long a connection may take, and the first answer of the other side.
const PATIENCE: Duration = Duration::from_secs(5);

/// After how long a silence the other side is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(60);

/// Bytes that wait to be sent at most: far more than all commands of a busy port.
const PENDING: usize = 64 << 10;

/// Bits of the modem's lines, and those of `TIOCMGET` for them; in the lower half, that they changed.
const MODEM: [(u8, i32); 4] = [
    (0x10, libc::TIOCM_CTS),
    (0x20, libc::TIOCM_DSR),
    (0x40, libc::TIOCM_RNG),
    (0x80, libc::TIOCM_CD),
];

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
