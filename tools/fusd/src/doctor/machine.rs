//! The machine around the kernel: who asks, in which container, and what is there for devices.

use std::env;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgroups};

use crate::table::printable;

/// The nodes that backends need.
pub(super) const NODES: [&str; 3] = ["/dev/fusd/control", "/dev/cuse", "/dev/fuse"];

/// A node that a backend needs.
pub(super) struct Node {
    pub(super) path: &'static str,
    /// `None` where nothing is there.
    pub(super) found: Option<Found>,
}

/// Who may use a node.
pub(super) struct Found {
    pub(super) is_device: bool,
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) owner: String,
    pub(super) group: String,
    /// This user may read and write it.
    pub(super) is_usable: bool,
    /// The user is in its group.
    pub(super) is_in_group: bool,
}

/// The program by which ordinary users mount.
pub(super) struct Fusermount {
    pub(super) path: PathBuf,
    /// It has root's rights, as it must.
    pub(super) is_set_uid: bool,
    /// The administrator lets others use what a user mounts (`user_allow_other`).
    pub(super) allows_others: bool,
}

/// All that matters here.
pub(super) struct Machine {
    pub(super) user: String,
    pub(super) uid: u32,
    pub(super) container: Option<String>,
    pub(super) nodes: Vec<Node>,
    pub(super) fusermount: Option<Fusermount>,
    /// Why ordinary users can have no namespaces of their own, if so.
    pub(super) namespaces: Result<(), String>,
}

impl Machine {
    pub(super) fn look() -> Self {
        let uid = geteuid();
        Self {
            user: user(uid),
            uid: uid.as_raw(),
            container: container(Path::new("/")),
            nodes: NODES.map(node).into(),
            fusermount: fusermount(),
            namespaces: namespaces(Path::new("/proc/sys")),
        }
    }

    pub(super) fn node(&self, path: &str) -> Option<&Found> {
        let node = self.nodes.iter().find(|node| node.path == path)?;
        node.found.as_ref()
    }
}

pub(super) fn user(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => printable(&user.name),
        _ => uid.to_string(),
    }
}

fn node(path: &'static str) -> Node {
    let found = fs::metadata(path).ok().map(|status| {
        let gid = Gid::from_raw(status.gid());
        let group = match Group::from_gid(gid) {
            Ok(Some(group)) => printable(&group.name),
            _ => gid.to_string(),
        };
        let file = fs::File::options().read(true).write(true).open(path);
        let groups = getgroups().unwrap_or_default();
        Found {
            is_device: status.file_type().is_char_device(),
            mode: status.permissions().mode() & 0o7777,
            owner: user(Uid::from_raw(status.uid())),
            group,
            is_usable: file.is_ok(),
            is_in_group: getegid() == gid || groups.contains(&gid),
        }
    });
    Node { path, found }
}

fn fusermount() -> Option<Fusermount> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let path = env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .chain(usual)
        .map(|directory| directory.join("fusermount3"))
        .find(|path| path.is_file())?;
    let status = fs::metadata(&path).ok()?;
    let conf = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    Some(Fusermount {
        is_set_uid: status.uid() == 0 && status.mode() & libc::S_ISUID != 0,
        path,
        allows_others: conf.lines().any(|line| line.trim() == "user_allow_other"),
    })
}

/// The kind of container that this is, as far as what container managers leave tells. `root` is the
/// root directory.
fn container(root: &Path) -> Option<String> {
    let text = |path: &str| {
        let text = fs::read_to_string(root.join(path)).unwrap_or_default();
        Some(printable(text.trim())).filter(|text| !text.is_empty())
    };
    if let Some(name) = text("run/systemd/container") {
        return Some(name);
    }
    for (path, name) in [("run/.containerenv", "podman"), (".dockerenv", "docker")] {
        if root.join(path).exists() {
            return Some(name.to_owned());
        }
    }
    let groups = text("proc/1/cgroup").unwrap_or_default();
    for name in ["kubepods", "docker", "libpod", "lxc", "garden"] {
        if groups.contains(name) {
            return Some(name.to_owned());
        }
    }
    let release = text("proc/sys/kernel/osrelease").unwrap_or_default();
    release
        .to_lowercase()
        .contains("microsoft")
        .then(|| "wsl".to_owned())
}

/// Whether ordinary users may have namespaces of their own, by the settings below `settings`
/// (/proc/sys).
pub(crate) fn namespaces(settings: &Path) -> Result<(), String> {
    let number = |path: &str| -> Option<u64> {
        fs::read_to_string(settings.join(path))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    if !settings.join("user/max_user_namespaces").exists() {
        return Err("the kernel is built without them (CONFIG_USER_NS)".to_owned());
    }
    for (path, bad, good) in [
        ("user/max_user_namespaces", 0, "28000"),
        ("kernel/unprivileged_userns_clone", 0, "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", 1, "0"),
    ] {
        if number(path) == Some(bad) {
            let name = path.replace('/', ".");
            return Err(format!(
                "{name} is {bad}; permit them, as root, with `sysctl -w {name}={good}`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_container_is_known_by_what_its_manager_leaves() {
        for (files, expected) in [
            (&[][..], None),
            (&[(".dockerenv", "")], Some("docker")),
            (
                &[("run/.containerenv", ""), (".dockerenv", "")],
                Some("podman"),
            ),
            (
                &[("run/systemd/container", "systemd-nspawn\n")],
                Some("systemd-nspawn"),
            ),
            (
                &[("proc/1/cgroup", "0::/kubepods/besteffort/pod1\n")],
                Some("kubepods"),
            ),
            (&[("proc/1/cgroup", "0::/init.scope\n")], None),
            (
                &[(
                    "proc/sys/kernel/osrelease",
                    "6.6.1-microsoft-standard-WSL2\n",
                )],
                Some("wsl"),
            ),
        ] {
            let root = tree(files);
            assert_eq!(container(root.path()).as_deref(), expected, "{files:?}");
        }
    }

    #[test]
    fn what_keeps_users_from_namespaces_is_named_with_what_to_do() {
        const MOST: (&str, &str) = ("user/max_user_namespaces", "1000\n");
        assert_eq!(namespaces(tree(&[MOST]).path()), Ok(()));
        for (files, text) in [
            (&[][..], "CONFIG_USER_NS"),
            (
                &[("user/max_user_namespaces", "0\n")],
                "user.max_user_namespaces=28000",
            ),
            (
                &[MOST, ("kernel/unprivileged_userns_clone", "0\n")],
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                &[
                    MOST,
                    ("kernel/apparmor_restrict_unprivileged_userns", "1\n"),
                ],
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
        ] {
            let error = namespaces(tree(files).path()).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
