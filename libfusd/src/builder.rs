//! How a device is registered: its name or path, who may use it, its limits.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use nix::unistd::{getegid, geteuid};

use crate::backend::buffer::BufferPool;
use crate::backend::loopback::Loopback;
use crate::backend::{self, Backend, BackendKind, Choice, Placement};
use crate::loopback::Client;
use crate::request::Link;
use crate::session::{Engine, Limits};
use crate::{Device, Errno, Error, ErrorKind, Properties, Restart, Result, Serving, Session, name};

/// Handlers that run at a time unless said otherwise.
const WORKERS: usize = 16;

/// What a device is to be registered as. Nothing is checked or made before
/// [`register`](Self::register).
#[derive(Clone, Debug)]
#[must_use]
pub struct DeviceBuilder {
    name: String,
    path: Option<PathBuf>,
    mode: Option<u32>,
    owner: Option<u32>,
    group: Option<u32>,
    backend: Choice,
    restart: Option<Restart>,
    limits: Limits,
}

impl DeviceBuilder {
    /// A device called `name`: its node is `/dev/NAME`, or, for an ordinary user,
    /// `$XDG_RUNTIME_DIR/fusd/NAME`.
    ///
    /// A name is made of ASCII letters, digits, `.`, `_` and `-`; a `/` makes subdirectories. A
    /// leading `/dev/` is skipped.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: None,
            mode: None,
            owner: None,
            group: None,
            backend: Choice::Environment,
            restart: None,
            limits: Limits {
                workers: WORKERS,
                open_files: usize::MAX,
            },
        }
    }

    /// Puts the node at `path` instead; the name is not used then. The directory must exist.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Permission bits of the node, 0 to 0o7777. By default 0o666 less the umask, as for any file.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The user who owns the node; by default the driver's effective user. Another one takes root.
    pub fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// The group of the node; by default the driver's effective group. A group that the driver is
    /// not in takes root.
    pub fn group(mut self, gid: u32) -> Self {
        self.group = Some(gid);
        self
    }

    /// The backend to use. By default the one that the environment variable `FUSD_BACKEND` names,
    /// else the best one that this machine has.
    pub fn backend(mut self, kind: BackendKind) -> Self {
        self.backend = Choice::Only(kind);
        self
    }

    /// The best backend that this machine has, whatever `FUSD_BACKEND` says.
    pub fn best_backend(mut self) -> Self {
        self.backend = Choice::Best;
        self
    }

    /// Handlers that may run at a time, at least 1; 16 by default. Threads are started as they
    /// are needed.
    ///
    /// A handler that calls the driver's own device takes two of them, and one that calls another
    /// driver which calls back as well: see [Drivers that call drivers](crate#drivers-that-call-drivers).
    pub fn workers(mut self, count: usize) -> Self {
        self.limits.workers = count.max(1);
        self
    }

    /// Files that may be open at a time; one more open fails with `EBUSY`. No limit by default.
    pub fn max_open(mut self, count: usize) -> Self {
        self.limits.open_files = count;
        self
    }

    /// Has the device outlive this driver, for another one to take over; and takes over the device of
    /// this name that another driver has left so. By default it ends with its driver.
    pub fn restart(mut self, policy: Restart) -> Self {
        self.restart = Some(policy);
        self
    }

    /// Makes the node. When this returns, clients find it, with its mode and owner; their calls
    /// wait until the session runs.
    ///
    /// # Errors
    /// The name, path or mode is impossible (`EINVAL`, `ENAMETOOLONG`); something is at the node's
    /// place (`EEXIST`), the directory is missing (`ENOENT`) or refuses (`EACCES`, `EPERM`); no
    /// backend can be used, or not the one asked for. Nothing is left behind then.
    pub fn register<D: Device>(self, device: D) -> Result<Session> {
        let placement = self.placement()?;
        let properties = device.properties();
        let backend = backend::connect(self.backend, &placement, &properties)?;
        if self.restart.is_some() && !backend.keeps() {
            tracing::warn!(
                node = %placement.path.display(),
                backend = %backend.kind(),
                "the device ends with its driver: this backend cannot keep it for another one",
            );
        }
        Ok(session(backend, device, properties, self.limits))
    }

    /// Serves the device to a client in this process, for tests of the driver. There is no node.
    ///
    /// # Errors
    /// The name or mode is impossible, or no thread can be started.
    pub fn loopback<D: Device>(self, device: D) -> Result<(Client, Serving)> {
        let name = name::check(&self.name)?;
        let properties = device.properties();
        let backend = Arc::new(Loopback::new(name, properties.position));
        let client = Client::new(Arc::clone(&backend));
        Ok((
            client,
            session(backend, device, properties, self.limits).spawn()?,
        ))
    }

    fn placement(&self) -> Result<Placement> {
        let path = match &self.path {
            Some(path) => name::check_path(path)?,
            None => {
                let name = name::check(&self.name)?;
                name::directory()?.join(name)
            }
        };
        let mode = match self.mode {
            Some(mode) if mode > 0o7777 => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    Errno::EINVAL,
                    format!("use the mode {mode:#o}"),
                )
                .because("only the twelve permission bits can be given"));
            }
            Some(mode) => mode,
            None => 0o666 & !umask(),
        };
        let (uid, gid) = (geteuid(), getegid());
        if let (Some(owner), false) = (self.owner, uid.is_root())
            && owner != uid.as_raw()
        {
            return Err(foreign("owner", owner));
        }
        if let (Some(group), false) = (self.group, uid.is_root())
            && group != gid.as_raw()
            && !nix::unistd::getgroups().is_ok_and(|all| all.iter().any(|g| g.as_raw() == group))
        {
            return Err(foreign("group", group));
        }
        Ok(Placement {
            path,
            mode,
            uid: self.owner.unwrap_or(uid.as_raw()),
            gid: self.group.unwrap_or(gid.as_raw()),
            create_parents: self.path.is_none(),
            restart: self.restart,
        })
    }
}

fn session<D: Device>(
    backend: Arc<dyn Backend>,
    device: D,
    properties: Properties,
    limits: Limits,
) -> Session {
    backend.limit_workers(limits.workers);
    let buffers = BufferPool::new(backend.buffer_size());
    let link = Link::new(Arc::clone(&backend));
    let engine = Engine::new(device, properties, limits, link, buffers);
    engine.restore();
    Session::new(backend, engine)
}

fn foreign(what: &str, id: u32) -> Error {
    Error::new(
        ErrorKind::Permission,
        Errno::EPERM,
        format!("make {id} the node's {what}"),
    )
    .because("an ordinary user can give a node to nobody else")
    .hint("run as root")
}

/// The process's umask, which umask(2) can only tell by changing it (`/proc/self/status`, since
/// Linux 4.7). 0o022 where it cannot be read.
fn umask() -> u32 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Umask:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        })
        .unwrap_or(0o022)
}
