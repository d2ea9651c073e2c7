// SPDX-License-Identifier: GPL-2.0-only

//! All devices of all drivers: which names are taken, and which device a minor number means. Also
//! tells those who watch the status node that something has changed.

use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

use crate::connection::Patience;
use crate::deadlock;
use crate::device::Device;
use crate::status::Watchers;
use crate::sys::{Node, Owner, Region, Table, MINORS};

/// The devices, and the numbers they are under.
struct Registry {
    region: Region,
    watchers: Arc<Watchers>,
    devices: RBTree<u32, Arc<Device>>,
    /// The minor given last: they go round, so that a node left somewhere by mistake does not soon
    /// lead to another device.
    last: u32,
}

kernel::sync::global_lock! {
    // SAFETY: `init` is called in the module's init, before anything can lock it.
    unsafe(uninit) static REGISTRY: Mutex<Option<Registry>> = None;
}

/// How often the devices or their files have changed.
static CHANGES: Atomic<u64> = Atomic::new(0);

/// A device's place in the registry: its minor number.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    minor: u32,
}

/// The registry, for as long as this lives: until the module goes.
pub(crate) struct Running(());

impl Running {
    /// Takes the device numbers.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: the module's init calls this, once, before it makes a node.
        unsafe { REGISTRY.init() };
        *REGISTRY.lock() = Some(Registry {
            region: Region::new()?,
            watchers: Watchers::new()?,
            devices: RBTree::new(),
            last: MINORS - 1,
        });
        Ok(Self(()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let registry = REGISTRY.lock().take();
        drop(registry);
    }
}

impl Registry {
    /// A minor that is not in use.
    fn free_minor(&mut self) -> Result<u32> {
        for step in 1..=MINORS {
            let minor = self.last.wrapping_add(step) % MINORS;
            if self.devices.get(&minor).is_none() {
                self.last = minor;
                return Ok(minor);
            }
        }
        Err(ENOSPC)
    }
}

/// Adds the device that `make` makes for a place, under a name.
///
/// # Errors
/// `EEXIST`: the name is taken.
pub(crate) fn add(
    name: &CStr,
    make: impl FnOnce(Place) -> Result<Arc<Device>>,
) -> Result<Arc<Device>> {
    let mut guard = REGISTRY.lock();
    let registry = guard.as_mut().ok_or(ENODEV)?;
    if registry
        .devices
        .values()
        .any(|device| device.name() == name)
    {
        return Err(EEXIST);
    }
    let minor = registry.free_minor()?;
    let device = make(Place { minor })?;
    registry
        .devices
        .try_create_and_insert(minor, device.clone(), GFP_KERNEL)?;
    drop(guard);
    changed();
    deadlock::watch();
    Ok(device)
}

/// Removes the device at `place`: its name is free.
pub(crate) fn remove(place: Place) {
    let device = match REGISTRY.lock().as_mut() {
        Some(registry) => registry.devices.remove_node(&place.minor),
        None => None,
    };
    drop(device);
    changed();
}

/// The device with this minor number.
pub(crate) fn find(minor: u32) -> Option<Arc<Device>> {
    let guard = REGISTRY.lock();
    guard.as_ref()?.devices.get(&minor).cloned()
}

/// The device of this name.
pub(crate) fn named(name: &[u8]) -> Option<Arc<Device>> {
    let guard = REGISTRY.lock();
    let devices = &guard.as_ref()?.devices;
    let mut all = devices.values();
    all.find(|device| device.name().to_bytes() == name).cloned()
}

/// Any device.
pub(crate) fn any() -> Option<Arc<Device>> {
    let guard = REGISTRY.lock();
    let first = guard.as_ref()?.devices.values().next();
    first.cloned()
}

/// What is to be done about devices that wait for a driver.
pub(crate) enum Due {
    /// This one has waited for too long, as the second says.
    Now(Arc<Device>, Patience),
    /// Milliseconds until there may be one.
    Later(u32),
    /// None waits.
    Never,
}

/// What is to be done next about devices that wait for a driver.
pub(crate) fn due() -> Due {
    let guard = REGISTRY.lock();
    let Some(registry) = guard.as_ref() else {
        return Due::Never;
    };
    let mut next = None;
    for device in registry.devices.values() {
        match device.connection().patience(device) {
            Patience::Endless => {}
            Patience::Left(millis) => {
                next = Some(next.map_or(millis, |next: u32| next.min(millis)));
            }
            over => return Due::Now(device.clone(), over),
        }
    }
    next.map_or(Due::Never, Due::Later)
}

/// Calls `each` for every device, in the order of their numbers, with its node's major and minor,
/// until one fails.
pub(crate) fn for_each(mut each: impl FnMut(&Device, (u32, u32)) -> Result) -> Result {
    let guard = REGISTRY.lock();
    let Some(registry) = guard.as_ref() else {
        return Ok(());
    };
    for (minor, device) in registry.devices.iter() {
        each(device, (registry.region.major(), *minor))?;
    }
    Ok(())
}

impl Place {
    /// Makes the node of the device at this place.
    pub(crate) fn node(
        self,
        name: &CStr,
        mode: u16,
        owner: Owner,
        table: &'static Table,
    ) -> Result<Node> {
        let number = match REGISTRY.lock().as_ref() {
            Some(registry) => registry.region.number(self.minor),
            None => return Err(ENODEV),
        };
        Node::new(number, name, mode, owner, table)
    }
}

/// Counts a change, and wakes who watches.
pub(crate) fn changed() {
    CHANGES.add(1, Relaxed);
    if let Some(watchers) = watchers() {
        watchers.wake();
    }
}

/// Who waits for changes.
pub(crate) fn watchers() -> Option<Arc<Watchers>> {
    let guard = REGISTRY.lock();
    Some(guard.as_ref()?.watchers.clone())
}

/// How many changes there have been.
pub(crate) fn changes() -> u64 {
    CHANGES.load(Relaxed)
}
