//! Mounting by ourselves: for root, and for uid 0 of a user namespace.
//!
//! The mount is made whole before it is attached, so that only one call lies between the
//! appearance of the placeholder and that of the node. Where the kernel or a filter does not have
//! the calls for that, `mount(2)` does it in one.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::unistd::{getegid, geteuid};

use super::MountOptions;
use super::site::{Found, MountId, Site, mount_id};
use crate::sys::mount::{
    MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, fsconfig_create, fsconfig_set,
    fsmount, fsopen, move_mount,
};

/// A mount that is ready to be attached.
pub(super) enum Prepared {
    /// A detached mount.
    Mount(OwnedFd),
    /// The data for `mount(2)`.
    Data(CString),
}

/// Prepares a mount that is served through `device`. `EPERM` if we may not mount.
pub(super) fn prepare(device: &OwnedFd, options: &MountOptions<'_>) -> Result<Prepared, Errno> {
    let context = match fsopen(c"fuse") {
        Err(Errno::ENOSYS) => return Ok(prepare_for_one_call(device, options)),
        other => other?,
    };
    let names = [
        ("source", Some("fusd".to_owned())),
        ("subtype", Some("fusd".to_owned())),
    ];
    for (key, value) in names.into_iter().chain(settings(device, options)) {
        let value = value.map(text);
        fsconfig_set(context.as_fd(), &text(key), value.as_deref())?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME;
    fsmount(context.as_fd(), attributes).map(Prepared::Mount)
}

/// Prepares what `mount(2)` needs. It checks nothing yet.
pub(super) fn prepare_for_one_call(device: &OwnedFd, options: &MountOptions<'_>) -> Prepared {
    Prepared::Data(mount_data(&settings(device, options)))
}

/// Attaches the mount over the placeholder at `site`.
pub(super) fn attach(prepared: &Prepared, site: &Site) -> Result<MountId, Errno> {
    match prepared {
        Prepared::Mount(mount) => {
            let id = mount_id(mount.as_fd(), c"")?;
            move_mount(mount.as_fd(), site.dir(), site.name())?;
            Ok(id)
        }
        Prepared::Data(data) => {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
            let data = Some(data.as_c_str());
            nix::mount::mount(
                Some("fusd"),
                site.anchored(),
                Some("fuse.fusd"),
                flags,
                data,
            )?;
            match site.look()? {
                Found::Mount { id, .. } => Ok(id),
                _ => Err(Errno::ESTALE),
            }
        }
    }
}

type Setting = (&'static str, Option<String>);

fn settings(device: &OwnedFd, options: &MountOptions<'_>) -> Vec<Setting> {
    let mode = libc::S_IFREG | (options.mode & 0o7777);
    vec![
        ("fd", Some(device.as_raw_fd().to_string())),
        ("rootmode", Some(format!("{mode:o}"))),
        ("user_id", Some(geteuid().to_string())),
        ("group_id", Some(getegid().to_string())),
        ("default_permissions", None),
        ("allow_other", None),
        ("max_read", Some(options.max_read.to_string())),
    ]
}

fn mount_data(settings: &[Setting]) -> CString {
    let list: Vec<_> = settings
        .iter()
        .map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => (*key).to_owned(),
        })
        .collect();
    text(list.join(","))
}

fn text(text: impl Into<Vec<u8>>) -> CString {
    CString::new(text).expect("names and numbers hold no NUL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_root_is_a_regular_file_of_the_mode_asked_for() {
        let device = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let options = MountOptions {
            path: Path::new("/dev/x"),
            mode: 0o666,
            max_read: 4096,
            create_parents: false,
        };
        let data = mount_data(&settings(&device, &options));
        let data = data.to_str().unwrap();
        let fd = device.as_raw_fd();
        assert!(
            data.starts_with(&format!("fd={fd},rootmode=100666,user_id=")),
            "{data}"
        );
        assert!(
            data.ends_with(",default_permissions,allow_other,max_read=4096"),
            "{data}"
        );
    }
}
