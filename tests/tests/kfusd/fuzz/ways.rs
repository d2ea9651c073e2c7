//! The ways in and out of the module: every call that takes or gives a message, with memory that is
//! in pieces, too short, or ends half-way.

use std::io::{IoSlice, IoSliceMut};

use fusd::wire::{Exchange, IOCTL_EXCHANGE, operation};
use nix::errno::Errno;

use crate::driver::{Driver, Message, message};
use crate::raw::{self, HalfMapped};
use crate::stress::Random;

/// How the handing in of a message ended.
pub(crate) struct Passed {
    pub(crate) taken: Result<(), Errno>,
    /// The errno, if any, was for the message itself: all its memory was there.
    pub(crate) whole: bool,
    /// What was handed in instead, where the call was told of a byte more or fewer.
    pub(crate) instead: Option<Vec<u8>>,
    /// By the ioctl, which a driver may have to do without.
    pub(crate) exchanged: bool,
    /// The message that came back on this occasion.
    pub(crate) received: Option<Message>,
}

/// Addresses where no program has memory.
const NOWHERE: [u64; 6] = [0, 1, 4095, 1 << 47, 0xffff_ffff_8100_0000, u64::MAX];

/// Memory to pass messages with.
pub(crate) struct Ways {
    half: HalfMapped,
    buffer: Vec<u8>,
    /// Reads wait for a message. Then each is made sure of one: nobody is left to end it.
    pub(crate) waits: bool,
}

/// Room for every message, and for a field that is wrong by one.
const ROOM: usize = (1 << 20) + 4096;

impl Ways {
    pub(crate) fn new() -> Self {
        Self {
            half: HalfMapped::new(),
            buffer: vec![0; ROOM + 16],
            waits: false,
        }
    }

    fn provide(&self, driver: &Driver) {
        if self.waits {
            let nudge = message(operation::NUDGE, 0, 0, &[]);
            driver.say(&nudge).expect("a nudge");
        }
    }

    /// Hands in a message, by one way or another.
    pub(crate) fn hand_in(&mut self, driver: &Driver, bytes: &[u8], random: &mut Random) -> Passed {
        match random.below(8) {
            // writev(2) of nothing succeeds before it gets to the module.
            _ if bytes.is_empty() => passed(driver.control().write(bytes).map(drop), true),
            0..=2 => passed(driver.control().write(bytes).map(drop), true),
            3 => {
                let result = pieces(bytes, random, |parts| {
                    nix::sys::uio::writev(driver.control(), parts)
                });
                passed(result.map(drop), true)
            }
            4 => {
                let there = 1 + random.below(bytes.len().clamp(1, 4095));
                let there = there.min(bytes.len());
                self.half.fill(&bytes[..there]);
                let control = driver.control();
                let result = self.half.write(control, there, bytes.len());
                passed(result.map(drop), there == bytes.len())
            }
            _ => self.exchange(driver, bytes, random),
        }
    }

    /// By the ioctl, mostly with all as it should be.
    fn exchange(&mut self, driver: &Driver, bytes: &[u8], random: &mut Random) -> Passed {
        let mut command = [bytes, &[0; 16]].concat();
        let mut exchange = Exchange {
            command: command.as_mut_ptr().expose_provenance() as u64,
            buffer: self.buffer.as_mut_ptr().expose_provenance() as u64,
            command_length: u32::try_from(bytes.len()).expect("a short message"),
            buffer_length: ROOM as u32,
            reserved: 0,
        };
        let mut whole = true;
        let mut tail = None;
        let mut instead = None;
        match random.below(12) {
            0 => {
                exchange.command = NOWHERE[random.below(NOWHERE.len())];
                whole = false;
            }
            1 => exchange.buffer = NOWHERE[random.below(NOWHERE.len())],
            2 => {
                let lengths = [
                    exchange.command_length - 1,
                    exchange.command_length + 1,
                    1,
                    1 << 31,
                    u32::MAX - 1,
                    u32::MAX,
                ];
                exchange.command_length = lengths[random.below(lengths.len())].max(1);
                // What there is behind the message may make it whole.
                instead = command
                    .get(..exchange.command_length as usize)
                    .map(Vec::from);
                whole = instead.is_some();
            }
            3 => exchange.buffer_length = [0, 1, 63, 64, 80, u32::MAX][random.below(6)],
            4 => {
                exchange.reserved = 1 << random.below(64);
                whole = false;
            }
            5 => {
                let there = random.below(4096);
                exchange.buffer = self.half.address(there);
                exchange.buffer_length = 4096;
                tail = Some(there);
            }
            _ => {}
        }
        self.provide(driver);
        let result = raw::exchange_raw(driver, &mut exchange);
        // Where the wait has failed, the field says whether the message was taken before.
        let taken = match (exchange.command_length, result) {
            (0, _) | (_, Ok(_)) => Ok(()),
            (_, Err(errno)) => Err(errno),
        };
        if let (Ok(()), Err(errno)) = (taken, result) {
            let expected = [Errno::EAGAIN, Errno::EMSGSIZE, Errno::EFAULT];
            assert!(expected.contains(&errno), "waiting ended with {errno}");
        }
        let received = result.ok().map(|length| match tail {
            Some(there) => Message::parse(&self.half.tail(there)[..length]),
            None => Message::parse(&self.buffer[..length]),
        });
        Passed {
            taken,
            whole,
            instead,
            exchanged: true,
            received,
        }
    }

    /// Takes a message, if there is one and the memory it was to go to is there.
    pub(crate) fn receive(&mut self, driver: &Driver, random: &mut Random) -> Option<Message> {
        let control = driver.control();
        self.provide(driver);
        let result = match random.below(8) {
            0..=4 => {
                let room = [ROOM, ROOM, ROOM, ROOM, 0, 1, 63, 64, 79, 80, 200];
                let room = room[random.below(room.len())];
                nix::unistd::read(control, &mut self.buffer[..room])
                    .map(|length| Message::parse(&self.buffer[..length]))
            }
            5 => {
                let mut parts: Vec<_> = self
                    .buffer
                    .chunks_mut(1 + random.below(ROOM))
                    .take(8)
                    .map(IoSliceMut::new)
                    .collect();
                nix::sys::uio::readv(control, &mut parts)
                    .map(|length| Message::parse(&self.buffer[..length]))
            }
            6 => {
                let there = random.below(4096);
                self.half
                    .read(control, there, 4096)
                    .map(|length| Message::parse(&self.half.tail(there)[..length]))
            }
            _ => {
                self.wrong_ioctl(driver, random);
                return None;
            }
        };
        match result {
            Ok(message) => Some(message),
            Err(Errno::EAGAIN | Errno::EMSGSIZE | Errno::EFAULT) => None,
            Err(errno) => panic!("a read failed with {errno}"),
        }
    }

    /// An ioctl that does not exist, of the control node's own kind.
    fn wrong_ioctl(&mut self, driver: &Driver, random: &mut Random) {
        let number = (random.next() as u32 & 0xffff_00ff) | 0xf1 << 8;
        if crate::fuzz::is_known_ioctl(number) {
            return;
        }
        assert_ne!(number, IOCTL_EXCHANGE);
        let result = raw::ioctl_at(driver, number, &mut self.buffer);
        assert_eq!(result, Err(Errno::ENOTTY), "{number:#x}");
    }
}

fn passed(taken: Result<(), Errno>, whole: bool) -> Passed {
    Passed {
        taken,
        whole,
        instead: None,
        exchanged: false,
        received: None,
    }
}

/// Calls `write` with a message in pieces, empty ones among them.
fn pieces<T>(bytes: &[u8], random: &mut Random, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while parts.len() < 12 {
        let (part, others) = rest.split_at(random.below(rest.len() + 1));
        parts.push(IoSlice::new(part));
        rest = others;
    }
    parts.push(IoSlice::new(rest));
    write(&parts)
}
