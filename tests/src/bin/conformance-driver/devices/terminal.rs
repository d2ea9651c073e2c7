//! A device that takes ioctls of any number: those of terminals, and one whose argument points to
//! further memory.

use std::sync::{Mutex, PoisonError};

use fusd::{
    Area, Device, Errno, IoctlRequest, OpenFile, OpenRequest, Operations, Properties, ReadRequest,
    WriteRequest,
};

/// Bytes of `struct termios2`; `struct termios` is its first 36.
const TERMIOS: usize = 44;

/// Bytes of the argument that points to memory: its address and its length, 8 bytes each.
const POINTER: usize = 16;

/// What is written is there to be read. Settings are kept and change nothing. Commands:
/// - `TCGETS`, `TCSETS`, `TCSETSW`, `TCSETSF`, and the same of `termios2`;
/// - `TIOCGWINSZ`: 24 rows of 80 columns; `FIONREAD`: bytes there are to be read;
/// - `TCFLSH`, with a plain value: what is to be read is dropped;
/// - `_IOWR('e', 20, POINTER)`: reverses the memory that the argument points to, and returns its
///   length.
pub(crate) struct Terminal(Mutex<State>);

struct State {
    settings: [u8; TERMIOS],
    input: Vec<u8>,
}

impl Default for Terminal {
    fn default() -> Self {
        Self(Mutex::new(State {
            settings: [0; TERMIOS],
            input: Vec::new(),
        }))
    }
}

impl Terminal {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Terminal {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream().operations(
            Operations::READ | Operations::WRITE | Operations::IOCTL | Operations::ANY_IOCTL,
        )
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        let mut state = self.state();
        let count = request.len().min(state.input.len());
        let taken: Vec<u8> = state.input.drain(..count).collect();
        request.reply(&taken);
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        self.state().input.extend(request.data());
        request.accept();
    }

    fn ioctl(&self, _: &OpenFile<()>, request: IoctlRequest) {
        let mut state = self.state();
        match request.command().raw() {
            // TCGETS and TCGETS2.
            0x5401 | 0x802c_542a => {
                let size = request.output_len();
                request.reply(0, &state.settings[..size])
            }
            // TCSETS, TCSETSW, TCSETSF, and those of termios2.
            0x5402..=0x5404 | 0x402c_542b..=0x402c_542d => {
                let size = request.input().len();
                state.settings[..size].copy_from_slice(request.input());
                request.reply(0, &[])
            }
            // TIOCGWINSZ.
            0x5413 => request.reply(0, &[24, 0, 80, 0, 0, 0, 0, 0]),
            // FIONREAD.
            0x541b => {
                let count = u32::try_from(state.input.len()).unwrap_or(u32::MAX);
                request.reply(0, &count.to_le_bytes())
            }
            // TCFLSH.
            0x540b => {
                if request.argument() == 0 {
                    state.input.clear();
                }
                request.reply(0, &[])
            }
            0xc010_6514 => reverse(request),
            _ => request.fail(Errno::ENOTTY),
        };
    }
}

fn reverse(request: IoctlRequest) -> fusd::Delivery {
    let (pointer, memory) = request.input().split_at(POINTER);
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|place| pointer[at + place]));
    let area = Area {
        address: word(0),
        length: word(8) as usize,
    };
    if area.length == 0 {
        return request.reply(0, &[]);
    }
    // Not there yet, or changed in the meantime.
    if memory.len() != area.length {
        let argument = Area {
            address: request.argument(),
            length: POINTER,
        };
        return request.again_with(&[argument, area], &[area]);
    }
    let reversed: Vec<u8> = memory.iter().rev().copied().collect();
    let length = i32::try_from(area.length).unwrap_or(i32::MAX);
    request.reply(length, &reversed)
}
