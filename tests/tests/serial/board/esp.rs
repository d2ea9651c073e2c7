//! An ESP8266 in its ROM's loader ("Serial Protocol" in esptool's documentation): requests and answers
//! in frames of SLIP (RFC 1055).

use super::Board;

/// Begins and ends a frame; in a frame, these stand for it and for the second.
const END: u8 = 0xc0;
const ESCAPE: u8 = 0xdb;
const ESCAPED_END: u8 = 0xdc;
const ESCAPED_ESCAPE: u8 = 0xdd;

/// What a request is.
const SYNC: u8 = 0x08;
const READ_REGISTER: u8 = 0x0a;

/// What the chip is, its clock at 115200 bit/s, and the fuses that have its address.
const REGISTERS: [(u32, u32); 5] = [
    (0x4000_1000, 0xfff0_c101),
    (0x6000_0014, 451),
    (0x3ff0_0050, 0x7800_0000),
    (0x3ff0_0054, 0x0000_3456),
    (0x3ff0_005c, 0x00aa_bbcc),
];

/// The address that these make.
pub(crate) const ADDRESS: &str = "aa:bb:cc:34:56:78";

/// The board.
#[derive(Default)]
pub(crate) struct Esp {
    /// What has come of a frame, unescaped.
    frame: Vec<u8>,
    escaped: bool,
}

impl Esp {
    /// The answers to a whole request.
    fn serve(request: &[u8]) -> Vec<u8> {
        let Some((&[0, what, ..], argument)) = request.split_first_chunk::<8>() else {
            return Vec::new();
        };
        match what {
            // So often that one of them is heard.
            SYNC => Self::reply(what, 0x2012_0707).repeat(8),
            READ_REGISTER => {
                let address = argument
                    .first_chunk()
                    .map(|bytes| u32::from_le_bytes(*bytes));
                let found = REGISTERS.iter().find(|(at, _)| Some(*at) == address);
                Self::reply(what, found.map_or(0, |(_, value)| *value))
            }
            _ => Self::reply(what, 0),
        }
    }

    /// A frame that says that all is well.
    fn reply(what: u8, value: u32) -> Vec<u8> {
        let mut answer = vec![1, what, 2, 0];
        answer.extend(value.to_le_bytes());
        answer.extend([0, 0]);
        let mut frame = vec![END];
        for byte in answer {
            match byte {
                END => frame.extend([ESCAPE, ESCAPED_END]),
                ESCAPE => frame.extend([ESCAPE, ESCAPED_ESCAPE]),
                _ => frame.push(byte),
            }
        }
        frame.push(END);
        frame
    }
}

impl Board for Esp {
    fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        for &byte in bytes {
            let escaped = std::mem::take(&mut self.escaped);
            match (escaped, byte) {
                (_, END) => answer.extend(Self::serve(&std::mem::take(&mut self.frame))),
                (false, ESCAPE) => self.escaped = true,
                (true, ESCAPED_END) => self.frame.push(END),
                (true, ESCAPED_ESCAPE) => self.frame.push(ESCAPE),
                _ => self.frame.push(byte),
            }
        }
        answer
    }
}
