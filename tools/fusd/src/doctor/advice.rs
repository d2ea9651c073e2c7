//! What to do about a backend that does not work, beyond what the library itself says.

use fusd::BackendKind;

use super::kernel::{Kernel, Setting};
use super::machine::{Found, Machine};

/// One line each, the most likely first.
pub(super) fn of(kind: BackendKind, kernel: &Kernel, machine: &Machine) -> Vec<String> {
    match kind {
        BackendKind::Kfusd => kfusd(kernel, machine),
        BackendKind::Cuse => cuse(kernel, machine),
        _ => fuse(kernel, machine),
    }
}

fn kfusd(kernel: &Kernel, machine: &Machine) -> Vec<String> {
    if let Some(node) = machine.node("/dev/fusd/control") {
        return rights("/dev/fusd/control", node, machine);
    }
    let release = &kernel.release;
    let mut advice = Vec::new();
    if kernel.is_before(7, 2) {
        advice.push(format!(
            "the module takes Linux 7.2 or later; this is {release}"
        ));
    }
    if kernel.setting("CONFIG_RUST") == Setting::Absent {
        advice.push(
            "this kernel is built without Rust (CONFIG_RUST), which the module is written in"
                .into(),
        );
    }
    if !advice.is_empty() {
        advice.push("use CUSE or FUSE, or boot another kernel".into());
        return advice;
    }
    if kernel.has("kfusd") {
        advice.push("the module is loaded, but its node is not in this /dev".into());
    } else if kernel.can_load("kfusd") {
        advice.push("the module is installed: load it with `modprobe kfusd`, as root".into());
    } else {
        advice.push(format!(
            "the module is not installed for {release}: kfusd/README.md says how to build it"
        ));
    }
    if let Some(container) = &machine.container {
        advice.push(format!(
            "{container}: load the module outside, and let the node in with --device /dev/fusd/control"
        ));
    }
    advice
}

fn cuse(kernel: &Kernel, machine: &Machine) -> Vec<String> {
    if let Some(node) = machine.node("/dev/cuse") {
        return rights("/dev/cuse", node, machine);
    }
    let mut advice = Vec::new();
    match kernel.setting("CONFIG_CUSE") {
        Setting::Absent => {
            advice.push("this kernel is built without CUSE (CONFIG_CUSE)".to_owned());
            return advice;
        }
        _ if kernel.has("cuse") => {
            advice.push("the kernel has CUSE, but its node is not in this /dev".into());
        }
        _ if kernel.can_load("cuse") => advice.push("load it with `modprobe cuse`, as root".into()),
        _ => advice.push(format!(
            "no module cuse is installed for {}",
            kernel.release
        )),
    }
    if let Some(container) = &machine.container {
        advice.push(format!(
            "{container}: let the node in with --device /dev/cuse"
        ));
    }
    advice
}

fn fuse(kernel: &Kernel, machine: &Machine) -> Vec<String> {
    let mut advice = Vec::new();
    match machine.node("/dev/fuse") {
        Some(node) if !node.is_usable => return rights("/dev/fuse", node, machine),
        Some(_) => {}
        None if kernel.setting("CONFIG_FUSE_FS") == Setting::Absent => {
            return vec!["this kernel is built without FUSE (CONFIG_FUSE_FS)".into()];
        }
        None if kernel.can_load("fuse") => {
            advice.push("load it with `modprobe fuse`, as root".into())
        }
        None => {}
    }
    if machine.uid != 0 {
        match &machine.fusermount {
            None => advice
                .push("install fusermount3 (package fuse3), by which ordinary users mount".into()),
            Some(program) if !program.is_set_uid => advice.push(format!(
                "{} does not have root's rights: as root, `chown root {0}; chmod u+s {0}`",
                program.path.display()
            )),
            Some(_) => {}
        }
    }
    if let Some(container) = &machine.container {
        advice.push(format!(
            "{container}: start it with --device /dev/fuse --cap-add SYS_ADMIN (and, with AppArmor, \
             --security-opt apparmor=unconfined)"
        ));
    }
    advice
}

/// What to do about a node that is there.
fn rights(path: &str, node: &Found, machine: &Machine) -> Vec<String> {
    if !node.is_device {
        return vec![format!(
            "{path} is no device: remove it, and load the module again"
        )];
    }
    if node.is_usable {
        return Vec::new();
    }
    let group_may = node.mode & 0o060 == 0o060 && node.group != "root";
    if group_may && !node.is_in_group {
        return vec![format!(
            "the group {group} may use {path}: as root, `usermod -aG {group} {user}`; then log in again",
            group = node.group,
            user = machine.user,
        )];
    }
    match (machine.uid, &machine.container) {
        (0, Some(container)) => vec![format!(
            "{container} keeps root from it: start it with --device {path}"
        )],
        _ => vec!["run as root".to_owned()],
    }
}
