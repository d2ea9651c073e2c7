// SPDX-License-Identifier: GPL-2.0-only

//! A registered device: from REGISTER, through the making of its node, to its end, which may come
//! from the driver or with it, also while the node is still being made.

use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, LockedBy, Mutex,
    },
};

use crate::connection::{Connection, Inner};
use crate::limits::{self, Load};
use crate::registry::{self, Place};
use crate::sys::{path_exists, Content, Memory, Node};
use crate::wire;
use crate::{client, error};

/// Of a device, what is under the connection's lock.
pub(crate) struct State {
    /// Its driver serves it. Never again true once it was false.
    pub(crate) live: bool,
    /// What is under way.
    pub(crate) load: Load,
    /// Files that the driver knows of.
    pub(crate) files: u32,
    /// What reads of files are served from whose opens are answered now.
    pub(crate) content: Option<Arc<Content>>,
}

/// Whether the node is there.
enum Stand {
    /// Not yet.
    Making,
    /// Yes, for as long as this value lives.
    Made { _node: Node },
    /// No more, and if it is still being made, its maker has to remove it.
    Ended,
}

/// A registered device.
#[pin_data]
pub(crate) struct Device {
    connection: Arc<Connection>,
    name: CString,
    number: u64,
    operations: u64,
    flags: u32,
    max_transfer: u32,
    keep: u32,
    place: Place,
    /// The rest of what concerns its requests.
    pub(crate) state: LockedBy<State, Inner>,
    #[pin]
    stand: Mutex<Stand>,
    /// What can be mapped of files that have nothing of their own.
    #[pin]
    memory: Mutex<Option<Arc<Memory>>>,
    served: Atomic<u64>,
    bytes: Atomic<u64>,
    deadlocks: Atomic<u64>,
}

impl Device {
    /// Registers a device on `connection`, and makes its node.
    ///
    /// # Errors
    /// `EINVAL`: the name, or an owner that does not exist. `ENAMETOOLONG`. `EEXIST`: there is
    /// something of that name under /dev. `EBUSY`: the driver has another device of that number.
    /// `ENOSPC`: too many devices. In all cases, nothing was made.
    pub(crate) fn register(
        connection: &Arc<Connection>,
        register: &wire::Register,
        name: &[u8],
    ) -> Result {
        if name.len() > wire::NAME_MAX {
            return Err(error::enametoolong());
        }
        if !wire::is_name(name) {
            return Err(EINVAL);
        }
        let name = CString::try_from_fmt(fmt!("{}", kernel::str::BStr::from_bytes(name)))?;
        let owner = connection.viewer().owner(register.uid, register.gid)?;
        let mode = u16::try_from(register.mode).map_err(|_| EINVAL)?;
        if path_exists(&name)? {
            return Err(EEXIST);
        }
        let device = registry::add(&name, |place| {
            Self::new(connection, register, name.to_bytes_with_nul(), place)
        })?;
        if let Err(error) = connection.add_device(&device) {
            registry::remove(device.place);
            return Err(error);
        }
        // From here on, clients and the driver get to it; it may end at any time.
        let node = device.place.node(&name, mode, owner, &client::TABLE);
        let node = match node {
            Ok(node) => node,
            Err(error) => {
                drop(connection.remove_device(device.number));
                device.connection.fail(Some(&device));
                registry::remove(device.place);
                return Err(error);
            }
        };
        let mut stand = device.stand.lock();
        if matches!(*stand, Stand::Making) {
            *stand = Stand::Made { _node: node };
            return Ok(());
        }
        drop(stand);
        // Another thread of the driver has unregistered it meanwhile, and left the rest to us.
        drop(node);
        registry::remove(device.place);
        Err(ENOENT)
    }

    fn new(
        connection: &Arc<Connection>,
        register: &wire::Register,
        name: &[u8],
        place: Place,
    ) -> Result<Arc<Self>> {
        let name = CStr::from_bytes_with_nul(name).map_err(|_| EINVAL)?;
        let most = limits::max_transfer();
        let max_transfer = match register.max_transfer {
            0 => most,
            wanted => wanted.min(most),
        };
        let state = State {
            live: true,
            load: Load::default(),
            files: 0,
            content: None,
        };
        Arc::pin_init(
            pin_init!(Self {
                connection: connection.clone(),
                name: CString::try_from(name)?,
                number: register.device,
                operations: register.operations,
                flags: register.flags,
                max_transfer,
                keep: register.keep,
                place,
                state: LockedBy::new(connection.lock_of_state(), state),
                stand <- new_mutex!(Stand::Making, "fusd_device"),
                memory <- new_mutex!(None, "fusd_device_memory"),
                served: Atomic::new(0),
                bytes: Atomic::new(0),
                deadlocks: Atomic::new(0),
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Ends a device that has been taken out of its connection: calls fail, and the node goes.
    pub(crate) fn end(&self) {
        self.connection.fail(Some(self));
        self.offer(None);
        self.withdraw();
        let stand = core::mem::replace(&mut *self.stand.lock(), Stand::Ended);
        if matches!(stand, Stand::Made { .. }) {
            // Here the node goes. devtmpfs does it in a thread of its own, and is waited for. Only
            // then is the name free: the driver core has no place for two of one name.
            drop(stand);
            registry::remove(self.place);
        }
    }

    /// What can be mapped of files that have nothing of their own, if anything.
    pub(crate) fn memory(&self) -> Option<Arc<Memory>> {
        self.memory.lock().clone()
    }

    /// Has this be what can be mapped, or nothing. What is mapped stays.
    pub(crate) fn offer(&self, memory: Option<Arc<Memory>>) {
        let before = core::mem::replace(&mut *self.memory.lock(), memory);
        drop(before);
    }

    /// Forgets what was published. What files have of it they have already lost.
    fn withdraw(&self) {
        let mut inner = self.connection.lock();
        let content = self.state.access_mut(&mut inner).content.take();
        drop(inner);
        drop(content);
    }

    /// The driver's connection.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Its name, below /dev.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// Its name, as text: [`wire::is_name`] lets ASCII through alone.
    pub(crate) fn name_text(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    /// The driver's number for it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// For how long it waits for a driver, in milliseconds; 0: it ends with its own.
    pub(crate) fn keep(&self) -> u32 {
        self.keep
    }

    /// What a successor of its driver is told of it.
    pub(crate) fn record(&self) -> wire::DeviceRecord {
        wire::DeviceRecord {
            device: self.number,
            operations: self.operations,
            flags: self.flags,
            max_transfer: self.max_transfer,
            keep: self.keep,
            // CAST: no more than NAME_MAX.
            name_length: self.name.to_bytes().len() as u32,
        }
    }

    /// Bytes of data in one request, at most.
    pub(crate) fn max_transfer(&self) -> u32 {
        self.max_transfer
    }

    /// The operations that go to the driver, and the flags of the registration.
    pub(crate) fn registered_as(&self) -> (u64, u32) {
        (self.operations, self.flags)
    }

    /// Whether operations of this kind go to the driver (`IMPLEMENTS_`).
    pub(crate) fn implements(&self, operation: u64) -> bool {
        self.operations & operation != 0
    }

    /// Whether it was registered with this flag (`REGISTER_`).
    pub(crate) fn has_flag(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether its driver serves it.
    pub(crate) fn is_live(&self) -> bool {
        self.connection.lock().serves(self)
    }

    /// Counts an answer that carried `bytes` bytes, or took them.
    pub(crate) fn count(&self, bytes: u64) {
        self.served.add(1, Relaxed);
        self.bytes.add(bytes, Relaxed);
    }

    /// Counts a call that failed because it would have waited for itself.
    pub(crate) fn count_deadlock(&self) {
        self.deadlocks.add(1, Relaxed);
    }

    /// How many such calls there were.
    pub(crate) fn deadlocks(&self) -> u64 {
        self.deadlocks.load(Relaxed)
    }

    /// How many requests have been answered, and the bytes of data that went with them.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.served.load(Relaxed), self.bytes.load(Relaxed))
    }
}
