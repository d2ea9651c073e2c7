//! Messages to the module that are nearly right: a valid one for what is under way, with one thing
//! or a few changed. Which fields there are, and where, comes from the protocol's own table.

use std::ops::Range;

use fusd::wire::{
    self, COMMANDS, CommandHeader, Cookie, CopyIn, CopyOut, Field, Hello, Memory, Notify, Publish,
    Register, Reply, Unregister, Workers, operation,
};
use fusd_tests::sys::mapping::page;

use crate::driver::{Message, answer, message, name, registration};
use crate::stress::Random;

/// What a driver knows of its connection: what it can name, rightly or wrongly.
#[derive(Default)]
pub(crate) struct Known {
    /// Requests that have no answer yet.
    pub(crate) live: Vec<Message>,
    /// Numbers of requests that have one.
    pub(crate) past: Vec<u64>,
    /// Files, closed ones among them.
    pub(crate) files: Vec<u64>,
    /// Devices.
    pub(crate) devices: Vec<u64>,
}

/// How many of what is over are remembered.
const REMEMBERED: usize = 32;

impl Known {
    /// Remembers that a request is over.
    pub(crate) fn finish(&mut self, id: u64) {
        self.live.retain(|request| request.id() != id);
        remember(&mut self.past, id);
    }

    /// Remembers what `message` names.
    pub(crate) fn learn(&mut self, message: Message) {
        if message.header.file != 0 {
            remember(&mut self.files, message.header.file);
        }
        let notice = matches!(
            message.header.operation,
            operation::INTERRUPT | operation::NUDGED | operation::GREETING
        );
        if !notice && message.id() != 0 {
            self.live.push(message);
        }
    }
}

fn remember(numbers: &mut Vec<u64>, number: u64) {
    if numbers.contains(&number) {
        return;
    }
    if numbers.len() == REMEMBERED {
        numbers.remove(0);
    }
    numbers.push(number);
}

/// The field of `message`, as a number.
pub(crate) fn get(message: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = message.get(at..at + size)?;
    Some(match size {
        2 => u16::from_ne_bytes(bytes.try_into().ok()?).into(),
        4 => u32::from_ne_bytes(bytes.try_into().ok()?).into(),
        _ => u64::from_ne_bytes(bytes.try_into().ok()?),
    })
}

/// Sets the field of `message`, if it is that long. What does not fit into the field is cut off.
pub(crate) fn set(message: &mut [u8], at: usize, size: usize, value: u64) {
    if let Some(bytes) = message.get_mut(at..at + size) {
        match size {
            2 => bytes.copy_from_slice(&(value as u16).to_ne_bytes()),
            4 => bytes.copy_from_slice(&(value as u32).to_ne_bytes()),
            _ => bytes.copy_from_slice(&value.to_ne_bytes()),
        }
    }
}

/// The values a field must be tried at, but for `right`: the ends of its range, its sign bit, the
/// neighbours of the right one, and what belongs to somebody else.
pub(crate) fn wrong_values(size: usize, right: u64, foreign: &[u64]) -> Vec<u64> {
    let bits = u32::try_from(size * 8).expect("a small field");
    let max = u64::MAX >> (64 - bits);
    let sign = 1 << (bits - 1);
    let neighbours = [right.wrapping_sub(1) & max, right.wrapping_add(1) & max];
    let mut values = vec![0, 1, max, max - 1, sign, sign - 1];
    values.extend(neighbours);
    values.extend(foreign.iter().filter(|value| **value <= max));
    values.sort_unstable();
    values.dedup();
    values.retain(|value| *value != right);
    values
}

/// The fields of a message to the module with this operation, by their places in the message.
pub(crate) fn fields(operation: u16) -> impl Iterator<Item = Field> {
    let layout = COMMANDS.iter().find(|layout| layout.operation == operation);
    let fixed = layout.map_or(&[][..], |layout| layout.fields);
    let header = CommandHeader::FIELDS.iter().copied();
    header.chain(fixed.iter().map(|field| Field {
        at: CommandHeader::SIZE + field.at,
        ..*field
    }))
}

/// Makes messages.
pub(crate) struct Mutator {
    pub(crate) random: Random,
    /// Memory of the clients that a driver may write to. All else belongs to the test itself.
    pub(crate) arena: Range<u64>,
}

impl Mutator {
    /// The next message; it may even be right.
    pub(crate) fn next(&mut self, known: &Known) -> Vec<u8> {
        let mut message = self.valid(known);
        if self.random.below(8) > 2 {
            for _ in 0..1 + self.random.below(2) {
                self.change(&mut message, known);
            }
            // With a wrong length, nothing else of it is looked at.
            if self.random.below(4) != 0 {
                let length = message.len() as u64;
                set(&mut message, 0, 4, length);
            }
            if self.random.below(24) == 0 {
                message.extend_from_within(..);
            }
        }
        self.spare_own_memory(&mut message);
        message
    }

    /// One of `numbers`, or any.
    fn one_of(&mut self, numbers: &[u64]) -> u64 {
        match numbers.len() {
            0 => self.random.next(),
            length => numbers[self.random.below(length)],
        }
    }

    /// A request to talk about, an ioctl if `ioctl` and there is one.
    fn request(&mut self, known: &Known, ioctl: bool) -> Option<Message> {
        let wanted: Vec<_> = known
            .live
            .iter()
            .filter(|request| !ioctl || request.header.operation == operation::IOCTL)
            .collect();
        match wanted.len() {
            0 => known.live.first().cloned(),
            length => Some(wanted[self.random.below(length)].clone()),
        }
    }

    fn valid(&mut self, known: &Known) -> Vec<u8> {
        match self.random.below(32) {
            0 => {
                let hello = Hello {
                    version: wire::VERSION,
                    reserved: 0,
                    features: wire::FEATURES,
                };
                message(operation::HELLO, 0, 0, &[&hello.to_bytes()])
            }
            1 => {
                let register = Register {
                    device: 2 + self.random.below(6) as u64,
                    operations: wire::IMPLEMENTS_ALL,
                    flags: self.random.below(4) as u32,
                    mode: 0o666,
                    ..Register::default()
                };
                registration(register, &name())
            }
            2 => {
                let device = self.one_of(&known.devices);
                let fixed = Unregister { device }.to_bytes();
                message(operation::UNREGISTER, 0, 0, &[&fixed])
            }
            3..=6 => {
                let notify = Notify {
                    file: self.one_of(&known.files),
                    events: self.random.next() as u32 & wire::POLL_MASK,
                    reserved: 0,
                };
                message(operation::NOTIFY, 0, 0, &[&notify.to_bytes()])
            }
            7 => match self.random.below(2) {
                0 => self.succession(known),
                _ => self.workers(known),
            },
            8 => match self.random.below(2) {
                0 => self.memory(known),
                _ => self.publish(known),
            },
            9..=14 => self.copy(known),
            _ => self.reply(known),
        }
    }

    fn workers(&mut self, known: &Known) -> Vec<u8> {
        let request = self.request(known, false);
        let workers = Workers {
            limit: self.random.below(4) as u32,
            flags: wire::WORKERS_JOIN,
        };
        let id = request.map_or(0, |request| request.id());
        message(operation::WORKERS, 0, id, &[&workers.to_bytes()])
    }

    /// A nudge, or a message that has to do with successors.
    fn succession(&mut self, known: &Known) -> Vec<u8> {
        match self.random.below(8) {
            0 => message(operation::RESUME, 0, 0, &[]),
            1 | 2 => {
                let id = self.request(known, false).map_or(0, |request| request.id());
                message(operation::BACK, 0, id, &[])
            }
            3..=5 => {
                let cookie = Cookie {
                    file: self.one_of(&known.files),
                    cookie: self.random.next(),
                };
                message(operation::COOKIE, 0, 0, &[&cookie.to_bytes()])
            }
            _ => message(operation::NUDGE, 0, 0, &[]),
        }
    }

    fn memory(&mut self, known: &Known) -> Vec<u8> {
        let pages = self.random.below(4);
        let memory = Memory {
            device: self.one_of(&known.devices),
            file: match self.random.below(2) {
                0 => 0,
                _ => self.one_of(&known.files),
            },
            address: if pages == 0 { 0 } else { self.arena.start },
            length: (pages * page()) as u64,
            flags: if pages == 0 {
                0
            } else {
                self.random.below(2) as u32
            },
            reserved: 0,
        };
        message(operation::MEMORY, 0, 0, &[&memory.to_bytes()])
    }

    fn publish(&mut self, known: &Known) -> Vec<u8> {
        // As often as not, nothing: else reads would not come any more.
        let length = self.random.below(2) * self.random.below(3 * page());
        let publish = Publish {
            device: self.one_of(&known.devices),
            file: match self.random.below(2) {
                0 => 0,
                _ => self.one_of(&known.files),
            },
            address: if length == 0 { 0 } else { self.arena.start },
            length: length as u64,
            flags: if length == 0 {
                wire::PUBLISH_NOTHING
            } else {
                0
            },
            reserved: 0,
        };
        message(operation::PUBLISH, 0, 0, &[&publish.to_bytes()])
    }

    fn copy(&mut self, known: &Known) -> Vec<u8> {
        let request = self.request(known, true);
        let id = request.map_or_else(|| self.random.next(), |request| request.id());
        let length = self.random.below(5000) as u32 + 1;
        let address = self.arena.start + self.random.below(8192) as u64;
        if self.random.below(2) == 0 {
            let copy = CopyIn {
                address,
                length,
                reserved: 0,
            };
            message(operation::COPY_IN, 0, id, &[&copy.to_bytes()])
        } else {
            let copy = CopyOut {
                address,
                length,
                reserved: 0,
            };
            let data = vec![b'o'; length as usize];
            message(operation::COPY_OUT, 0, id, &[&copy.to_bytes(), &data])
        }
    }

    fn reply(&mut self, known: &Known) -> Vec<u8> {
        let Some(request) = self.request(known, false) else {
            let id = self.one_of(&known.past);
            return answer(id, 0, 0, b"");
        };
        if self.random.below(8) != 0 {
            return honest(&request, &mut self.random);
        }
        let reply = Reply {
            error: self.random.below(wire::ERRNO_MAX as usize + 1) as u32,
            events: self.random.next() as u32 & wire::POLL_MASK,
            value: 0,
        };
        let flags = wire::REPLY_EVENTS;
        message(operation::REPLY, flags, request.id(), &[&reply.to_bytes()])
    }

    /// Changes one thing.
    fn change(&mut self, message: &mut Vec<u8>, known: &Known) {
        if message.is_empty() {
            return;
        }
        let place = self.random.below(message.len());
        match self.random.below(10) {
            0..=4 => self.change_field(message, known),
            5 => message[place] ^= 1 << self.random.below(8),
            6 => message.truncate(place),
            7 => {
                // Once in a while more than any device takes.
                let most = match self.random.below(128) {
                    0 => 2 << 20,
                    1..=16 => 5000,
                    _ => 64,
                };
                let length = message.len() + self.random.below(most);
                message.resize(length, self.random.next() as u8);
            }
            8 => {
                let other = COMMANDS[self.random.below(COMMANDS.len())].operation;
                set(message, 4, 2, other.into());
            }
            _ => message[place] = self.random.next() as u8,
        }
    }

    fn change_field(&mut self, message: &mut [u8], known: &Known) {
        let operation = get(message, 4, 2).unwrap_or_default() as u16;
        let fields: Vec<_> = fields(operation).collect();
        let field = fields[self.random.below(fields.len())];
        let Some(right) = get(message, field.at, field.size) else {
            return;
        };
        let mut foreign = [&known.past[..], &known.files, &known.devices].concat();
        foreign.extend(known.live.iter().map(Message::id));
        foreign.push(self.random.next());
        let values = wrong_values(field.size, right, &foreign);
        if !values.is_empty() {
            let value = values[self.random.below(values.len())];
            set(message, field.at, field.size, value);
        }
    }

    /// Has a driver that writes to its clients' memory do so where that is meant for it, or where
    /// nothing can be: the clients are threads of this very program.
    fn spare_own_memory(&self, message: &mut [u8]) {
        let at = CommandHeader::SIZE;
        if get(message, 4, 2) != Some(operation::COPY_OUT.into()) {
            return;
        }
        let Some(address) = get(message, at, 8) else {
            return;
        };
        let end = address.saturating_add(message.len() as u64);
        let is_nowhere = end <= 4096 || address >= 1 << 47;
        let is_theirs = self.arena.contains(&address) && end <= self.arena.end;
        if !is_nowhere && !is_theirs {
            set(message, at, 8, self.arena.start);
            // What is longer than the arena is not to be taken.
            if message.len() as u64 > self.arena.end - self.arena.start {
                set(message, at, 8, u64::MAX);
            }
        }
    }
}

/// What an honest driver answers.
pub(crate) fn honest(request: &Message, random: &mut Random) -> Vec<u8> {
    let (value, data) = match request.header.operation {
        operation::READ => {
            let size = request.transfer().size as usize;
            (0, vec![b'r'; size - random.below(2).min(size)])
        }
        operation::WRITE => (request.transfer().size.into(), Vec::new()),
        operation::SEEK => (random.next() >> 2, Vec::new()),
        operation::IOCTL => (1, vec![b'i'; request.ioctl().out_size as usize]),
        operation::OPEN => (random.next(), Vec::new()),
        _ => (0, Vec::new()),
    };
    answer(request.id(), 0, value, &data)
}
