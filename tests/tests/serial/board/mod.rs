//! What may be connected to a port: boards, with the boot loaders that programs write to their chips by.

mod avr;
mod esp;

use fusd_tests::client::Handle;
use fusd_tests::wait::{Started, start};

pub(crate) use avr::Avr;
pub(crate) use esp::{ADDRESS, Esp};

/// What answers.
pub(crate) trait Board: Send + 'static {
    /// Takes the bytes that have come, and gives those of the answer.
    fn answer(&mut self, bytes: &[u8]) -> Vec<u8>;
}

/// Has `board` answer at `far` until that is gone; gives it back then.
pub(crate) fn connect<B: Board>(far: Handle, mut board: B) -> Started<B> {
    start(move || {
        while let Some(bytes) = far.read(4096).ok().filter(|bytes| !bytes.is_empty()) {
            let mut answer = board.answer(&bytes);
            while !answer.is_empty() {
                let Ok(count) = far.write(&answer) else {
                    return board;
                };
                answer.drain(..count);
            }
        }
        board
    })
}
