//! A driver that the test plays itself, message by message.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fusd::wire::{
    self, CommandHeader, Greeting, Hello, Ioctl, Notify, Register, Reply, RequestHeader, Transfer,
    Unregister, operation,
};
use fusd_tests::client::{self, Handle, Outcome};
use fusd_tests::wait::{Started, deadline, start};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

/// All operations but flush: a test that closes a file must not have to answer itself.
pub(crate) const ALL: u64 = wire::IMPLEMENTS_ALL & !wire::IMPLEMENTS_FLUSH;

/// A connection to the module.
pub(crate) struct Driver(Handle);

/// A message from the module.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Its header.
    pub(crate) header: RequestHeader,
    /// What follows.
    pub(crate) body: Vec<u8>,
}

/// A name that no other test has.
pub(crate) fn name() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("fusd-test/{}-{number}", std::process::id())
}

/// The node of a name.
pub(crate) fn node(name: &str) -> PathBuf {
    PathBuf::from("/dev").join(name)
}

/// A message to the module.
pub(crate) fn message(operation: u16, flags: u16, id: u64, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let header = CommandHeader {
        length: u32::try_from(CommandHeader::SIZE + body.len()).expect("a short message"),
        operation,
        flags,
        id,
    };
    [header.to_bytes().as_slice(), &body].concat()
}

/// A registration with `name`.
pub(crate) fn registration(register: Register, name: &str) -> Vec<u8> {
    let register = Register {
        name_length: u32::try_from(name.len()).expect("a short name"),
        ..register
    };
    message(
        operation::REGISTER,
        0,
        0,
        &[&register.to_bytes(), name.as_bytes()],
    )
}

/// An answer to request `id`.
pub(crate) fn answer(id: u64, error: i32, value: u64, data: &[u8]) -> Vec<u8> {
    let reply = Reply {
        error: u32::try_from(error).expect("an errno"),
        events: 0,
        value,
    };
    message(operation::REPLY, 0, id, &[&reply.to_bytes(), data])
}

impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Driver {
    /// Opens the control node.
    pub(crate) fn silent() -> Self {
        let control = "/dev/fusd/control".as_ref();
        Self(client::open_with(control, OFlag::O_RDWR).expect("the control node"))
    }

    /// Opens it and shakes hands, with all features.
    pub(crate) fn connect() -> Self {
        let driver = Self::silent();
        let greeting = driver.next();
        assert_eq!(greeting.header.operation, operation::GREETING);
        let greeting = Greeting::from_bytes(&greeting.body);
        let hello = Hello {
            version: greeting.version,
            reserved: 0,
            features: greeting.features,
        };
        let hello = message(operation::HELLO, 0, 0, &[&hello.to_bytes()]);
        driver.say(&hello).expect("hello");
        driver
    }

    /// The control file that a successor has got.
    pub(crate) fn successor(control: std::os::fd::OwnedFd) -> Self {
        Self(Handle::from(control))
    }

    /// Connects and registers device 1 with a new name. Returns the name too.
    pub(crate) fn with_device(operations: u64, flags: u32) -> (Self, PathBuf) {
        let driver = Self::connect();
        let name = name();
        driver
            .register(&name, 1, operations, flags)
            .expect("register");
        (driver, node(&name))
    }

    /// The same connection by another descriptor.
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    /// The control file.
    pub(crate) fn control(&self) -> &Handle {
        &self.0
    }

    /// Writes a message.
    pub(crate) fn say(&self, message: &[u8]) -> Outcome<()> {
        let count = self.0.write(message)?;
        assert_eq!(count, message.len(), "a message is taken whole");
        Ok(())
    }

    /// Registers a device of mode 0666.
    pub(crate) fn register(
        &self,
        name: &str,
        device: u64,
        operations: u64,
        flags: u32,
    ) -> Outcome<()> {
        let register = Register {
            device,
            operations,
            flags,
            mode: 0o666,
            ..Register::default()
        };
        self.say(&registration(register, name))
    }

    /// Unregisters a device.
    pub(crate) fn unregister(&self, device: u64) -> Outcome<()> {
        let unregister = Unregister { device };
        self.say(&message(
            operation::UNREGISTER,
            0,
            0,
            &[&unregister.to_bytes()],
        ))
    }

    /// Waits for the next message.
    #[track_caller]
    pub(crate) fn next(&self) -> Message {
        let ready = self.0.poll(PollFlags::POLLIN, deadline()).expect("poll");
        assert!(ready.contains(PollFlags::POLLIN), "no message came");
        self.read().expect("a message")
    }

    /// Waits for the next message, which is to be of this kind.
    #[track_caller]
    pub(crate) fn expect(&self, operation: u16) -> Message {
        let message = self.next();
        assert_eq!(message.header.operation, operation, "{message:?}");
        message
    }

    /// Likewise, from this process. While another test starts a program, that one's process has copies of
    /// the files of this test, and closes them.
    #[track_caller]
    pub(crate) fn expect_own(&self, operation: u16) -> Message {
        loop {
            let message = self.next();
            if !message.is_close_elsewhere() {
                assert_eq!(message.header.operation, operation, "{message:?}");
                return message;
            }
        }
    }

    /// There is no message from this process now.
    #[track_caller]
    pub(crate) fn expect_nothing_own(&self) {
        while self.has_message() {
            let message = self.next();
            assert!(message.is_close_elsewhere(), "a message came: {message:?}");
        }
    }

    fn has_message(&self) -> bool {
        let ready = self.0.poll(PollFlags::POLLIN, Duration::ZERO);
        !ready.expect("poll").is_empty()
    }

    /// Reads a message.
    pub(crate) fn read(&self) -> Outcome<Message> {
        self.0.read(2 << 20).map(|bytes| Message::parse(&bytes))
    }

    /// There is no message now.
    #[track_caller]
    pub(crate) fn expect_nothing(&self) {
        if self.has_message() {
            panic!("a message came: {:?}", self.next());
        }
    }

    /// How many messages wait for the driver.
    pub(crate) fn queued(&self) -> usize {
        let path = format!("/proc/self/fdinfo/{}", self.as_fd().as_raw_fd());
        let text = std::fs::read_to_string(path).expect("fdinfo");
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("fusd-queued:\t"));
        line.expect("a line of the module")
            .parse()
            .expect("a number")
    }

    /// Answers request `id` with success.
    pub(crate) fn answer(&self, id: u64, value: u64, data: &[u8]) -> Outcome<()> {
        self.say(&answer(id, 0, value, data))
    }

    /// Answers request `id` with an error.
    pub(crate) fn refuse(&self, id: u64, error: Errno) -> Outcome<()> {
        self.say(&answer(id, error as i32, 0, b""))
    }

    /// Pushes the poll state of a file.
    pub(crate) fn notify(&self, file: u64, events: PollFlags) -> Outcome<()> {
        let notify = Notify {
            file,
            events: u32::try_from(events.bits()).expect("flags"),
            reserved: 0,
        };
        self.say(&message(operation::NOTIFY, 0, 0, &[&notify.to_bytes()]))
    }

    /// Opens a node of this driver. Returns the file, and its number.
    #[track_caller]
    pub(crate) fn open(&self, node: &std::path::Path) -> (Handle, u64) {
        self.open_with(node, OFlag::O_RDWR)
    }

    /// The same with these flags.
    #[track_caller]
    pub(crate) fn open_with(&self, node: &std::path::Path, flags: OFlag) -> (Handle, u64) {
        let opening = open(node, flags);
        let message = self.expect(operation::OPEN);
        self.answer(message.header.id, 0, b"").expect("an answer");
        (opening.wait().expect("open"), message.header.file)
    }
}

/// Opens a node on a thread of its own.
pub(crate) fn open(node: &std::path::Path, flags: OFlag) -> Started<Outcome<Handle>> {
    let node = node.to_owned();
    start(move || client::open_with(&node, flags))
}

impl Message {
    /// From its bytes.
    #[track_caller]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let header = RequestHeader::from_bytes(bytes);
        assert_eq!(header.length as usize, bytes.len(), "one whole message");
        assert_eq!(header.reserved, 0);
        // Numbers that count, and no address of the kernel's.
        assert!(header.id < 1 << 40 && header.file < 1 << 40, "{header:?}");
        Self {
            header,
            body: bytes[RequestHeader::SIZE..].to_vec(),
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.header.id
    }

    /// Whether another process has closed a file, and waits for nothing.
    fn is_close_elsewhere(&self) -> bool {
        let header = &self.header;
        header.operation == operation::FLUSH && header.id == 0 && header.pid != std::process::id()
    }

    /// The fixed part of a read or a write.
    pub(crate) fn transfer(&self) -> Transfer {
        Transfer::from_bytes(&self.body)
    }

    /// The data of a write.
    pub(crate) fn written(&self) -> &[u8] {
        &self.body[Transfer::SIZE..]
    }

    /// The fixed part of an ioctl.
    pub(crate) fn ioctl(&self) -> Ioctl {
        Ioctl::from_bytes(&self.body)
    }
}
