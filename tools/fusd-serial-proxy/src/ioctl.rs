//! The ioctls of a terminal and of a serial port (ioctl_tty(2)), by their numbers on x86, Arm and
//! RISC-V (`include/uapi/asm-generic/ioctls.h`).

use std::time::Duration;

use fusd::{Errno, IoctlRequest};

use crate::options::BREAK;
use crate::state::State;
use crate::sys::RS485;
use crate::termios::{Settings, TERMIOS};

/// What an ioctl that does not wait comes to.
type Outcome = Result<Vec<u8>, Errno>;

fn int(value: i32) -> Outcome {
    Ok(value.to_ne_bytes().to_vec())
}

fn count(value: usize) -> Outcome {
    int(i32::try_from(value).unwrap_or(i32::MAX))
}

/// The int that a client hands in; 0 if it hands in less.
fn handed_in(request: &IoctlRequest) -> u32 {
    let bytes = request.input().first_chunk();
    u32::from_ne_bytes(bytes.copied().unwrap_or_default())
}

/// Does what a client asks of the file `id`.
pub(crate) fn serve(state: &mut State, id: u64, request: IoctlRequest) {
    if drives(&request) && !state.may_change(id) {
        request.fail(Errno::EPERM);
        return;
    }
    let outcome = match request.command().raw() {
        // Those that may wait answer themselves.
        0x5403 | 0x5404 | 0x402c_542c | 0x402c_542d => {
            // TCSETSF and TCSETSF2, not TCSETSW and TCSETSW2.
            let flush = matches!(request.command().raw(), 0x5404 | 0x402c_542d);
            match Settings::from_bytes(request.input(), state.settings()) {
                Some(new) => return state.set_when_sent(request, id, new, flush),
                None => Err(Errno::EINVAL),
            }
        }
        // TCSBRK: a break, or only what comes before it.
        0x5409 if request.argument() == 0 => return state.send_break(request, BREAK),
        0x5409 => return state.when_sent(request),
        // TCSBRKP: in tenths of a second.
        0x5425 => {
            let tenths = request.argument().min(600);
            let length = match tenths {
                0 => BREAK,
                tenths => Duration::from_millis(100 * tenths),
            };
            return state.send_break(request, length);
        }
        // TIOCMIWAIT.
        0x545c => {
            // Lossless: the lines are in the lower bits.
            let mask = request.argument() as u32;
            return state.when_lines_change(request, mask);
        }
        _ => at_once(state, id, &request),
    };
    match outcome {
        Ok(output) => request.reply(0, &output),
        Err(errno) => request.fail(errno),
    };
}

/// Whether it does something on the line: what one who may not write may not do either. Settings that
/// such a client makes change nothing.
fn drives(request: &IoctlRequest) -> bool {
    match request.command().raw() {
        0x5409 => request.argument() == 0,
        // TCXONC, TIOCMBIS, TIOCMBIC, TIOCMSET, TCSBRKP, TIOCSBRK, TIOCCBRK, TIOCSRS485.
        0x540a | 0x5416..=0x5418 | 0x5425 | 0x5427 | 0x5428 | 0x542f => true,
        _ => false,
    }
}

fn at_once(state: &mut State, id: u64, request: &IoctlRequest) -> Outcome {
    const NOTHING: Outcome = Ok(Vec::new());
    match request.command().raw() {
        // TCGETS, TCGETS2.
        0x5401 => Ok(state.settings().to_bytes()[..TERMIOS].to_vec()),
        0x802c_542a => Ok(state.settings().to_bytes().to_vec()),
        // TCSETS, TCSETS2.
        0x5402 | 0x402c_542b => {
            let new = Settings::from_bytes(request.input(), state.settings());
            state.set(id, new.ok_or(Errno::EINVAL)?).and(NOTHING)
        }
        // TCXONC.
        0x540a => flow(state, request.argument()),
        // TCFLSH.
        0x540b => flush(state, id, request.argument()),
        // TIOCEXCL, TIOCNXCL, TIOCGEXCL.
        0x540c => state.claim(id, true).and(NOTHING),
        0x540d => state.claim(id, false).and(NOTHING),
        0x8004_5440 => int(i32::from(state.is_claimed())),
        // TIOCOUTQ, FIONREAD.
        0x5411 => count(state.queued()),
        0x541b => count(state.readable(id)),
        // TIOCGWINSZ, TIOCSWINSZ.
        0x5413 => Ok(state.window().to_vec()),
        0x5414 => {
            let size = request.input().first_chunk().ok_or(Errno::EINVAL)?;
            *state.window() = *size;
            NOTHING
        }
        // TIOCMGET, TIOCMBIS, TIOCMBIC, TIOCMSET.
        0x5415 => Ok(state.lines()?.to_ne_bytes().to_vec()),
        0x5416 => set_lines(state, state.driven() | handed_in(request)),
        0x5417 => set_lines(state, state.driven() & !handed_in(request)),
        0x5418 => set_lines(state, handed_in(request)),
        // TIOCGSOFTCAR, TIOCSSOFTCAR: whether the carrier is ignored.
        0x5419 => int(i32::from(state.settings().c(libc::CLOCAL))),
        0x541a => {
            let mut new = *state.settings();
            new.control &= !libc::CLOCAL;
            new.control |= libc::CLOCAL * u32::from(handed_in(request) != 0);
            state.set(id, new).and(NOTHING)
        }
        // TIOCGSERIAL, TIOCSSERIAL: what the hardware is, nobody here may change.
        0x541e => Ok(state.port()?.serial()?.to_vec()),
        0x541f => Err(Errno::EPERM),
        // TIOCSETD, TIOCGETD: the terminal's own line discipline and no other.
        0x5423 if handed_in(request) == 0 => NOTHING,
        0x5423 => Err(Errno::EINVAL),
        0x5424 => int(0),
        // TIOCSBRK, TIOCCBRK.
        0x5427 => state.set_break_now(true).and(NOTHING),
        0x5428 => state.set_break_now(false).and(NOTHING),
        // TIOCGRS485, TIOCSRS485.
        0x542e => Ok(state.port()?.rs485()?.to_vec()),
        0x542f => {
            let value: [u8; RS485] = *request.input().first_chunk().ok_or(Errno::EINVAL)?;
            Ok(state.port()?.set_rs485(value)?.to_vec())
        }
        // TIOCGICOUNT.
        0x545d => Ok(state.port()?.counters()?.to_vec()),
        _ => Err(Errno::ENOTTY),
    }
}

fn set_lines(state: &mut State, lines: u32) -> Outcome {
    state.set_lines(lines).map(|()| Vec::new())
}

/// `TCOOFF`, `TCOON`, `TCIOFF`, `TCION`: 0 to 3.
fn flow(state: &mut State, action: u64) -> Outcome {
    match action {
        0 | 1 => state.halt(action == 0),
        2 | 3 => state.send_flow(action == 2),
        _ => return Err(Errno::EINVAL),
    }
    Ok(Vec::new())
}

/// `TCIFLUSH`, `TCOFLUSH`, `TCIOFLUSH`: 0 to 2.
fn flush(state: &mut State, id: u64, queue: u64) -> Outcome {
    if queue > 2 {
        return Err(Errno::EINVAL);
    }
    if queue != 1 {
        state.flush_input(id);
    }
    if queue != 0 && state.may_change(id) {
        state.flush_output();
    }
    Ok(Vec::new())
}
