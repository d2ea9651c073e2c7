//! Namespaces of this process's own: of mounts, so that /dev can be another one, and of processes, so
//! that all in it end together; for ordinary users, and only to be allowed that, of users as well.

use std::fs;
use std::path::Path;

use fusd::Errno;
use fusd_tool::{ToolError, exit};
use nix::errno::Errno as Raw;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

use crate::doctor::namespaces;

/// Enters new namespaces: the next process that is started is the first one in that of processes. The
/// user stays the same. This process must have one thread.
///
/// # Errors
/// They are not permitted here.
pub(super) fn enter() -> Result<(), ToolError> {
    let both = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    // Root needs no more, but for a container's, which may be denied it.
    if geteuid().is_root() && unshare(both).is_ok() {
        return Ok(());
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(both | CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    // The rights of an ordinary user do not reach further than to say that each is who he was.
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{uid} {uid} 1")),
        ("gid_map", format!("{gid} {gid} 1")),
    ] {
        let path = Path::new("/proc/self").join(file);
        fs::write(&path, text).map_err(|error| {
            let errno = Errno::from(error);
            ToolError::failed(format!("cannot write {}: {errno}", path.display()))
        })?;
    }
    inherit(true).map_err(|errno| refused(Raw::from_raw(errno.raw())))
}

/// Has the programs that this thread starts keep the right to mount in these namespaces, or no longer.
///
/// # Errors
/// This process does not have that right (`EPERM`).
pub(super) fn inherit(on: bool) -> Result<(), Errno> {
    let errno =
        |error: rustix::io::Errno| Errno::from_raw(error.raw_os_error()).unwrap_or(Errno::EIO);
    let mut sets = capabilities(None).map_err(errno)?;
    if on {
        sets.inheritable |= CapabilitySet::SYS_ADMIN;
        set_capabilities(None, sets).map_err(errno)?;
    }
    configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, on).map_err(errno)?;
    if !on {
        sets.inheritable -= CapabilitySet::SYS_ADMIN;
        set_capabilities(None, sets).map_err(errno)?;
    }
    Ok(())
}

/// Why there are no namespaces, and what to do.
pub(super) fn refused(errno: Raw) -> ToolError {
    let errno = Errno::from(errno);
    let why = match namespaces(Path::new("/proc/sys")) {
        Err(why) => why,
        Ok(()) => "in a container, start that with --security-opt seccomp=unconfined or with \
                   --cap-add SYS_ADMIN; see what `fusd doctor` says"
            .to_owned(),
    };
    ToolError::new(
        exit::PERMISSION,
        format!("cannot make a private /dev: user namespaces are not permitted: {errno}; {why}"),
    )
}
