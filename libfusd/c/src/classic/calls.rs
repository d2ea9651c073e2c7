//! The calls that are the driver's business: from before their callback until they are answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fusd_rust::request::Context;
use fusd_rust::{Access, Errno, IoctlRequest, OpenRequest, ReadRequest, WriteRequest};

use super::callbacks::{Action, Plan};
use super::device::Shared;
use super::file::State;
use super::info::Info;
use crate::fork;
use crate::sync::lock;

/// One call. What it owns stays where it is in memory while the call is in the table.
pub(crate) struct Call {
    pub(crate) info: Info,
    pub(crate) serial: u64,
    /// Of the process that has it, see [`fork::generation`].
    pub(crate) generation: u32,
    pub(crate) device: Arc<Shared>,
    pub(crate) file: State,
    pub(crate) kind: Kind,
}

/// What kind of call it is, and what answers it.
pub(crate) enum Kind {
    Open(OpenRequest<State>),
    Close,
    Read(ReadRequest, Vec<u8>),
    /// The data with a zero byte after them.
    Write(WriteRequest, Vec<u8>),
    /// The argument's memory, where it has any.
    Ioctl(IoctlRequest, Vec<u8>),
    PollDiff(Asked),
    /// With what the call that was interrupted is known by.
    Unblock {
        address: usize,
        serial: u64,
    },
    /// With the open that it is asked for, and what clients could do with the memory.
    Mmap(Box<Opened>, Access),
}

/// An open that the driver has answered, while its client waits for the rest.
pub(crate) struct Opened {
    pub(crate) call: Call,
    pub(crate) result: i64,
}

/// A request for the poll state.
pub(crate) struct Asked {
    /// The state that the driver is told clients know.
    pub(crate) told: u32,
    /// A call that is answered once the state is known, and its result.
    pub(crate) held: Option<Box<(Call, i64)>>,
    /// How often in a row the driver has been asked.
    pub(crate) round: u32,
}

/// By the addresses of their `struct fusd_file_info`.
static TABLE: Mutex<BTreeMap<usize, Call>> = Mutex::new(BTreeMap::new());

/// A number for a call that no other has.
pub(crate) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Makes the call the driver's business.
pub(crate) fn insert(call: Call, action: Action) -> Plan {
    let plan = Plan {
        file: call.info.pointer(),
        serial: call.serial,
        action,
    };
    lock(&TABLE).insert(call.info.address(), call);
    plan
}

/// The call at `address`, if it is still the driver's; it is no more then. With a `serial`, only the
/// call with this number.
pub(crate) fn take(address: usize, serial: Option<u64>) -> Option<Call> {
    let mut table = lock(&TABLE);
    match table.get(&address) {
        Some(call) if serial.is_none_or(|serial| call.serial == serial) => table.remove(&address),
        _ => None,
    }
}

/// Refuses to end a call of the process that has forked this one: its client is that one's business.
///
/// # Errors
/// `ENODEV`, as for a device.
pub(crate) fn check_own(address: usize) -> Result<(), Errno> {
    match look(address, |call| call.generation == fork::generation()) {
        Some(false) => Err(Errno::ENODEV),
        _ => Ok(()),
    }
}

/// Looks at a call that is the driver's.
pub(crate) fn look<T>(address: usize, look: impl FnOnce(&mut Call) -> T) -> Option<T> {
    lock(&TABLE).get_mut(&address).map(look)
}

impl Call {
    /// Who calls, where that is a client who waits.
    pub(crate) fn context(&self) -> Option<&Context> {
        match &self.kind {
            Kind::Open(request) => Some(request),
            Kind::Read(request, _) => Some(request),
            Kind::Write(request, _) => Some(request),
            Kind::Ioctl(request, _) => Some(request),
            Kind::Close | Kind::PollDiff(_) | Kind::Unblock { .. } | Kind::Mmap(..) => None,
        }
    }

    /// Takes over what the driver has put into `private_data`.
    pub(crate) fn take_private_data(&self) {
        if let Some(value) = self.info.new_private_data() {
            self.file.set_private_data(value);
        }
    }
}
