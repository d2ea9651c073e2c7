//! A driver to whom all can happen that a message can be about: what it can say rightly, what the
//! protocol says of anything else it says, and whether that is what happened.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use fusd::wire::{
    self, Attach, Command, Cookie, Copied, CopyIn, CopyOut, Fault, HEAD_MAX, Hello, Memory, Notify,
    Publish, Register, Reply, Unregister, Workers, operation,
};
use fusd_tests::client::{Handle, Outcome};
use fusd_tests::sys::mapping::{How, Mapping, page};
use fusd_tests::wait::{Started, start};
use nix::errno::Errno;
use nix::poll::PollFlags;

use crate::content::told;
use crate::driver::{ALL, Driver, Message, message, name, node, registration};
use crate::raw::{self, Arena};

/// The device of a [`Scene`], by its driver's number.
pub(super) const DEVICE: u64 = 1;
/// Its ring, likewise.
const RING: u64 = 3;
/// Bytes that the read of a [`Scene`] asks for.
const ASKED: usize = 16;

/// A driver with two calls under way. All that a message can name is there, and its counterpart on
/// another connection.
pub(super) struct Scene {
    pub(super) driver: Driver,
    /// Hello was said.
    agreed: bool,
    file: Option<Handle>,
    arena: Arc<Arena>,
    ioctl: Option<(Message, Started<Outcome<i32>>)>,
    read: Option<(Message, Started<Outcome<Vec<u8>>>)>,
    /// A request that is over.
    pub(super) finished: u64,
}

impl Scene {
    pub(super) fn fresh(arena: &Arc<Arena>) -> Self {
        let driver = Driver::silent();
        driver.expect(operation::GREETING);
        Self {
            driver,
            agreed: false,
            file: None,
            arena: Arc::clone(arena),
            ioctl: None,
            read: None,
            finished: 0,
        }
    }

    pub(super) fn new(arena: &Arc<Arena>) -> Self {
        let driver = Driver::connect();
        let name = name();
        let flags = wire::REGISTER_RAW_IOCTL;
        driver
            .register(&name, DEVICE, ALL, flags)
            .expect("register");
        let ring = wire::Ring {
            ring: RING,
            size: 1,
            ..wire::Ring::default()
        };
        raw::ring(driver.control(), ring).expect("a ring");
        let opening = crate::driver::open(&node(&name), nix::fcntl::OFlag::O_RDWR);
        let finished = driver.expect(operation::OPEN).id();
        driver.answer(finished, 0, b"").expect("answer");
        let file = opening.wait().expect("open");
        let copy = file.duplicate();
        let calling = {
            let arena = Arc::clone(arena);
            start(move || arena.ioctl(&copy, 0x6b01))
        };
        let ioctl = (driver.expect(operation::IOCTL), calling);
        let reading = file.start_read(ASKED);
        let read = (driver.expect(operation::READ), reading);
        Self {
            driver,
            agreed: true,
            file: Some(file),
            arena: Arc::clone(arena),
            ioctl: Some(ioctl),
            read: Some(read),
            finished,
        }
    }

    pub(super) fn ioctl_id(&self) -> Option<u64> {
        self.ioctl.as_ref().map(|(request, _)| request.id())
    }

    pub(super) fn read_id(&self) -> Option<u64> {
        self.read.as_ref().map(|(request, _)| request.id())
    }

    pub(super) fn file_number(&self) -> u64 {
        let known = self.read.as_ref();
        known.map_or(0, |(request, _)| request.header.file)
    }

    /// Right messages, one of each kind and of some two.
    pub(super) fn right(&self, operation: u16) -> Vec<Vec<u8>> {
        let id = self.ioctl_id().unwrap_or_default();
        let make = |flags, id, parts: &[&[u8]]| message(operation, flags, id, parts);
        let address = self.arena.range().start + 64;
        let reply = |error, events, value| Reply {
            error,
            events,
            value,
        };
        match operation {
            operation::HELLO => {
                let hello = Hello {
                    version: wire::VERSION,
                    reserved: 0,
                    features: wire::FEATURES,
                };
                vec![make(0, 0, &[&hello.to_bytes()])]
            }
            operation::REGISTER => {
                let register = Register {
                    device: DEVICE + 1,
                    operations: ALL,
                    mode: 0o640,
                    max_transfer: 4096,
                    ..Register::default()
                };
                vec![registration(register, &name())]
            }
            operation::UNREGISTER => vec![make(0, 0, &[&Unregister { device: DEVICE }.to_bytes()])],
            operation::REPLY => {
                let events = 0x41;
                let read = self.read_id().unwrap_or_default();
                vec![
                    make(0, id, &[&reply(0, 0, 5).to_bytes()]),
                    make(0, id, &[&reply(5, 0, 0).to_bytes()]),
                    make(
                        wire::REPLY_EVENTS,
                        read,
                        &[&reply(0, events, 0).to_bytes(), b"data"],
                    ),
                ]
            }
            operation::NOTIFY => {
                let notify = Notify {
                    file: self.file_number(),
                    events: 0x41,
                    reserved: 0,
                };
                vec![make(0, 0, &[&notify.to_bytes()])]
            }
            operation::NUDGE | operation::RESUME => vec![make(0, 0, &[])],
            operation::COOKIE => {
                let cookie = Cookie {
                    file: self.file_number(),
                    cookie: 7,
                };
                vec![make(0, 0, &[&cookie.to_bytes()])]
            }
            operation::BACK => vec![make(0, self.read_id().unwrap_or_default(), &[])],
            operation::WORKERS => {
                let workers = |limit, flags| Workers { limit, flags }.to_bytes();
                vec![
                    make(0, 0, &[&workers(2, 0)]),
                    make(0, id, &[&workers(0, wire::WORKERS_JOIN)]),
                ]
            }
            operation::MEMORY => {
                let memory = |file, flags| Memory {
                    device: DEVICE,
                    file,
                    address: self.arena.range().start,
                    length: 2 * page() as u64,
                    flags,
                    reserved: 0,
                };
                vec![
                    make(0, 0, &[&memory(0, 0).to_bytes()]),
                    make(
                        0,
                        0,
                        &[&memory(self.file_number(), wire::MEMORY_READ_ONLY).to_bytes()],
                    ),
                ]
            }
            operation::PUBLISH => {
                let publish = |file, length, flags| Publish {
                    device: DEVICE,
                    file,
                    address: if length == 0 {
                        0
                    } else {
                        self.arena.range().start
                    },
                    length,
                    flags,
                    reserved: 0,
                };
                [
                    publish(0, 5, 0),
                    publish(self.file_number(), page() as u64 + 5, 0),
                    publish(self.file_number(), 0, wire::PUBLISH_NOTHING),
                ]
                .map(|publish| make(0, 0, &[&publish.to_bytes()]))
                .into()
            }
            operation::ATTACH => {
                let attach = Attach {
                    file: self.file_number(),
                    ring: RING,
                    flags: wire::ATTACH_READS,
                    reserved: 0,
                };
                vec![make(0, 0, &[&attach.to_bytes()])]
            }
            operation::COPY_IN => {
                let copy = CopyIn {
                    address,
                    length: 8,
                    reserved: 0,
                };
                vec![make(0, id, &[&copy.to_bytes()])]
            }
            operation::COPY_OUT => {
                let copy = CopyOut {
                    address,
                    length: 8,
                    reserved: 0,
                };
                vec![make(0, id, &[&copy.to_bytes(), b"01234567"])]
            }
            _ => panic!("a message that this test does not know: {operation}"),
        }
    }

    /// What the protocol says of a message.
    pub(super) fn expected(&self, bytes: &[u8]) -> Outcome<Command> {
        let head = &bytes[..bytes.len().min(HEAD_MAX)];
        let (command, _) = Command::parse(head, bytes.len()).map_err(|fault| match fault {
            Fault::Version => Errno::EPROTONOSUPPORT,
            Fault::Feature => Errno::EOPNOTSUPP,
            _ => Errno::EINVAL,
        })?;
        let is_hello = matches!(command, Command::Hello(_));
        if is_hello == self.agreed {
            return Err(Errno::EPROTO);
        }
        let known = |holds: bool, errno| if holds { Ok(command) } else { Err(errno) };
        match command {
            Command::Workers { id, .. } => {
                let known_ids = [Some(0), self.read_id(), self.ioctl_id()];
                known(known_ids.contains(&Some(id)), Errno::ENOENT)
            }
            Command::Hello(_) | Command::Nudge | Command::Resume => Ok(command),
            Command::Cookie(it) => known(it.file == self.file_number(), Errno::ENOENT),
            // The device is no stream.
            Command::Attach(it) => {
                let is_known = it.file == self.file_number() && it.ring == RING;
                Err(if is_known {
                    Errno::EINVAL
                } else {
                    Errno::ENOENT
                })
            }
            // The device of the two requests is not to be kept.
            Command::Back { id } => {
                let is_known = [self.read_id(), self.ioctl_id()].contains(&Some(id));
                Err(if is_known {
                    Errno::EINVAL
                } else {
                    Errno::ENOENT
                })
            }
            Command::Register(it) if it.uid == u32::MAX || it.gid == u32::MAX => Err(Errno::EINVAL),
            Command::Register(it) => known(it.device != DEVICE, Errno::EBUSY),
            Command::Unregister(it) => known(it.device == DEVICE, Errno::ENOENT),
            Command::Notify(it) => known(it.file == self.file_number(), Errno::ENOENT),
            Command::Memory(it) if it.device != DEVICE => Err(Errno::ENOENT),
            Command::Memory(it) if it.file != 0 && it.file != self.file_number() => {
                Err(Errno::ENOENT)
            }
            Command::Memory(it) => self.expected_memory(&it).map(|()| command),
            Command::Publish(it) if it.device != DEVICE => Err(Errno::ENOENT),
            Command::Publish(it) if it.file != 0 && it.file != self.file_number() => {
                Err(Errno::ENOENT)
            }
            Command::Publish(it) => self.expected_publish(&it).map(|()| command),
            Command::Reply(answer) => match Some(answer.id) {
                it if it == self.ioctl_id() => {
                    let value = i32::try_from(answer.reply.value);
                    let fits = answer.length == 0 && value.is_ok();
                    known(fits, Errno::EINVAL)
                }
                it if it == self.read_id() => {
                    let fits = answer.length <= ASKED && answer.reply.value == 0;
                    known(fits, Errno::EINVAL)
                }
                _ => Err(Errno::ENOENT),
            },
            Command::CopyIn { id, copy } => self.expected_copy(id, copy.length, command),
            Command::CopyOut { id, copy } => self.expected_copy(id, copy.length, command),
        }
    }

    fn expected_memory(&self, memory: &Memory) -> Outcome<()> {
        let (arena, page) = (self.arena.range(), page() as u64);
        let aligned = memory.address.is_multiple_of(page) && memory.length.is_multiple_of(page);
        match memory.address {
            _ if memory.length == 0 => Ok(()),
            _ if !aligned => Err(Errno::EINVAL),
            it if it == arena.start && memory.length <= arena.end - arena.start => Ok(()),
            it if arena.contains(&it) => Err(Errno::EINVAL),
            // What else is tried is no address of anything.
            _ => Err(Errno::EFAULT),
        }
    }

    fn expected_publish(&self, publish: &Publish) -> Outcome<()> {
        let arena = self.arena.range();
        match publish.address {
            _ if publish.length == 0 => Ok(()),
            _ if i64::try_from(publish.length).is_err() => Err(Errno::EINVAL),
            it if !it.is_multiple_of(page() as u64) => Err(Errno::EINVAL),
            it if it == arena.start && publish.length <= arena.end - arena.start => Ok(()),
            it if arena.contains(&it) => Err(Errno::EINVAL),
            // What else is tried is no address of anything.
            _ => Err(Errno::EFAULT),
        }
    }

    fn expected_copy(&self, id: u64, length: u32, command: Command) -> Outcome<Command> {
        match Some(id) {
            it if it == self.ioctl_id() && length <= 1 << 20 => Ok(command),
            it if it == self.ioctl_id() || it == self.read_id() => Err(Errno::EINVAL),
            _ => Err(Errno::ENOENT),
        }
    }

    /// Looks whether a message that was taken has done what it says.
    pub(super) fn check_effect(&mut self, command: Command, bytes: &[u8]) {
        match command {
            Command::Hello(_) => {
                assert_eq!(self.driver.say(bytes), Err(Errno::EPROTO), "a second one");
            }
            Command::Register(it) => {
                let name = &bytes[wire::CommandHeader::SIZE + Register::SIZE..];
                let node = node(std::str::from_utf8(name).expect("ASCII"));
                let found = fs::metadata(&node).expect("the node").permissions();
                assert_eq!(found.mode() & 0o7777, it.mode);
                self.driver.unregister(it.device).expect("unregister");
                assert!(!node.exists());
            }
            Command::Unregister(_) => {
                assert_eq!(self.end_ioctl(), Err(Errno::EPIPE));
                assert_eq!(self.end_read(), Err(Errno::EPIPE));
            }
            Command::Reply(it) if Some(it.id) == self.ioctl_id() => {
                let value = i32::try_from(it.reply.value).expect("checked");
                assert_eq!(self.end_ioctl(), answered(&it.reply, value));
            }
            Command::Reply(it) => {
                let data = bytes[bytes.len() - it.length..].to_vec();
                assert_eq!(self.end_read(), answered(&it.reply, data));
            }
            Command::Notify(it) => {
                let all = PollFlags::from_bits_truncate(wire::POLL_MASK as i16);
                let file = self.file.as_ref().expect("a file");
                let told = PollFlags::from_bits_truncate(it.events as i16);
                assert_eq!(file.ready(all), told);
            }
            // Whether it counts is what the tests of deadlocks are for.
            Command::Workers { .. } => self.driver.expect_nothing(),
            Command::Nudge => drop(self.driver.expect(operation::NUDGED)),
            Command::Resume => {
                // What was under way has failed, as nothing says that it is to come again.
                assert_eq!(self.end_ioctl(), Err(Errno::EPIPE));
                assert_eq!(self.end_read(), Err(Errno::EPIPE));
                self.driver.expect(operation::CHARGE);
            }
            Command::Cookie(it) => {
                let file = self.file.as_ref().expect("a file").duplicate();
                let reading = start(move || file.read(1));
                let request = self.driver.expect(operation::READ);
                assert_eq!(request.header.cookie, it.cookie);
                self.driver.answer(request.id(), 0, b"").expect("answer");
                reading.wait().expect("read");
            }
            Command::Attach(_) | Command::Back { .. } => panic!("not to be taken"),
            Command::Memory(it) => {
                let file = self.file.as_ref().expect("a file");
                let mapped = |how| Mapping::new(file, 0, 1, how).map(drop);
                let (written, seen) = match (it.length, it.flags) {
                    (0, _) => (Err(Errno::ENODEV), Err(Errno::ENODEV)),
                    (_, wire::MEMORY_READ_ONLY) => (Err(Errno::EACCES), Ok(())),
                    _ => (Ok(()), Ok(())),
                };
                assert_eq!(mapped(How::SHARED), written);
                assert_eq!(mapped(How::READ_ONLY), seen);
            }
            Command::Publish(it) => {
                let file = self.file.as_ref().expect("a file");
                let expected = match (it.file, it.flags) {
                    // The file was open before; and where nothing is published, nothing is told.
                    (0, _) | (_, wire::PUBLISH_NOTHING) => None,
                    _ => Some(it.length.to_string()),
                };
                assert_eq!(told(file), expected);
                if let Some(length) = it.length.checked_sub(1).filter(|_| it.file != 0) {
                    let last = file.read_at(length, 2).expect("pread");
                    assert_eq!(last.len(), 1, "the end is where it was said to be");
                }
            }
            Command::CopyIn { copy, .. } => self.check_copied(copy.address, copy.length, true),
            Command::CopyOut { copy, .. } => self.check_copied(copy.address, copy.length, false),
        }
    }

    fn check_copied(&self, address: u64, length: u32, fetched: bool) {
        let arena = self.arena.range();
        let end = address.saturating_add(length.into());
        let is_there = arena.contains(&address) && end <= arena.end;
        let message = self.driver.expect(operation::COPIED);
        assert_eq!(Some(message.id()), self.ioctl_id());
        let copied = Copied::from_bytes(&message.body);
        assert_eq!(copied.error, if is_there { 0 } else { 14 }, "{address:#x}");
        let data = message.body.len() - Copied::SIZE;
        let given = if is_there && fetched { length } else { 0 };
        assert_eq!(data, given as usize);
    }

    fn end_ioctl(&mut self) -> Outcome<i32> {
        self.ioctl.take().expect("an ioctl").1.wait()
    }

    fn end_read(&mut self) -> Outcome<Vec<u8>> {
        self.read.take().expect("a read").1.wait()
    }

    /// Ends what is under way as if nothing had happened.
    pub(super) fn finish(mut self) {
        if let Some(id) = self.ioctl_id() {
            self.driver.answer(id, 7, b"").expect("an answer");
            assert_eq!(self.end_ioctl(), Ok(7));
        }
        if let Some(id) = self.read_id() {
            self.driver.answer(id, 0, b"read").expect("an answer");
            assert_eq!(self.end_read().as_deref(), Ok(&b"read"[..]));
        }
        if !self.agreed {
            let hello = self.right(operation::HELLO).swap_remove(0);
            let said = self.driver.say(&hello);
            assert!(matches!(said, Ok(()) | Err(Errno::EPROTO)), "{said:?}");
        }
    }
}

/// What a client sees of a reply.
fn answered<T>(reply: &Reply, value: T) -> Outcome<T> {
    match i32::try_from(reply.error).expect("an errno") {
        0 => Ok(value),
        errno => Err(Errno::from_raw(errno)),
    }
}
