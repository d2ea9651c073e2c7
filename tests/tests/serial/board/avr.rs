//! An Arduino: an ATmega328P whose boot loader speaks version 1 of the protocol of Atmel's STK500 (the
//! application note AVR061).

use super::Board;

/// Bytes of its flash memory.
const SIZE: usize = 32 << 10;

/// What ends a request, and what is around each answer.
const END: u8 = 0x20;
const IN_SYNC: u8 = 0x14;
const OK: u8 = 0x10;

/// The board.
pub(crate) struct Avr {
    pub(crate) flash: Vec<u8>,
    /// What has come of a request.
    request: Vec<u8>,
    /// Where the next page goes.
    address: usize,
}

impl Default for Avr {
    fn default() -> Self {
        Self {
            flash: vec![0xff; SIZE],
            request: Vec::new(),
            address: 0,
        }
    }
}

impl Avr {
    /// How long a request is that begins so, with its end. More may have to come before that is known.
    fn length(request: &[u8]) -> usize {
        let byte = |index| usize::from(request.get(index).copied().unwrap_or(0));
        match byte(0) {
            // A parameter of the programmer; where the next page goes.
            0x41 => 3,
            0x55 => 4,
            // What the chip is like, in two parts.
            0x42 => 22,
            0x45 => 2 + byte(1),
            // A command for the chip itself.
            0x56 => 6,
            // A page to be written, and one to be read.
            0x64 => 5 + (byte(1) << 8 | byte(2)),
            0x74 => 5,
            _ => 2,
        }
    }

    /// Does what a whole request asks for; gives what is between the bytes around the answer.
    fn serve(&mut self, request: &[u8]) -> Vec<u8> {
        let number = |index: usize| usize::from(request[index]);
        match request[0] {
            0x41 | 0x56 => vec![0],
            0x55 => {
                // In words.
                self.address = 2 * (number(1) | number(2) << 8);
                Vec::new()
            }
            0x64 => {
                let page = &request[4..request.len() - 1];
                self.flash[self.address..][..page.len()].copy_from_slice(page);
                Vec::new()
            }
            0x74 => self.flash[self.address..][..number(1) << 8 | number(2)].to_vec(),
            // The chip's signature.
            0x75 => vec![0x1e, 0x95, 0x0f],
            _ => Vec::new(),
        }
    }
}

impl Board for Avr {
    fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.request.extend(bytes);
        let mut answer = Vec::new();
        while self.request.len() >= Self::length(&self.request).max(2) {
            let rest = self.request.split_off(Self::length(&self.request));
            let request = std::mem::replace(&mut self.request, rest);
            assert_eq!(request.last(), Some(&END), "{request:x?}");
            answer.push(IN_SYNC);
            answer.extend(self.serve(&request));
            answer.push(OK);
        }
        answer
    }
}
