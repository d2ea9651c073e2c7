//! What was found out, for people and for programs.

use std::env::consts::ARCH;

use nix::unistd::Group;
use serde_json::{Value, json};

use super::Report;
use super::kernel::{MODULES, OPTIONS};
use super::machine::Node;
use crate::table;

impl Report {
    pub(super) fn as_text(&self) -> String {
        let mut lines = vec![self.title(), String::new()];
        for verdict in &self.verdicts {
            let kind = verdict.kind.name();
            match &verdict.trial {
                Ok(path) => lines.push(format!("{kind:6} works: made and read {path}")),
                Err(why) => lines.push(format!("{kind:6} does not: {why}")),
            }
            for advice in &verdict.advice {
                lines.push(format!("{:6} - {advice}", ""));
            }
        }
        lines.push(String::new());
        lines.extend(table::lay_out(&self.facts()));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn title(&self) -> String {
        let container = match &self.machine.container {
            Some(name) => format!(", in a container ({name})"),
            None => String::new(),
        };
        format!(
            "Linux {} {ARCH}, user {} ({}){container}",
            self.kernel.release, self.machine.user, self.machine.uid
        )
    }

    fn facts(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut row = |name: &str, fact: String| rows.push(vec![name.to_owned(), fact]);
        for node in &self.machine.nodes {
            row(node.path, described(node));
        }
        row("group fusd", self.group());
        row("fusermount3", self.fusermount());
        row(
            "user namespaces",
            match &self.machine.namespaces {
                Ok(()) => "permitted".to_owned(),
                Err(why) => format!("not permitted: {why}"),
            },
        );
        let modules = MODULES.map(|module| match self.kernel.has(module) {
            true => format!("{module}: in the kernel"),
            false if self.kernel.can_load(module) => format!("{module}: can be loaded"),
            false => format!("{module}: none"),
        });
        row("modules", modules.join(", "));
        let options =
            OPTIONS.map(|option| format!("{option}={}", self.kernel.setting(option).name()));
        let source = match &self.kernel.source {
            Some(path) => format!(" ({})", path.display()),
            None => " (the kernel does not tell)".to_owned(),
        };
        row("built with", options.join(" ") + &source);
        let left = match self.leftovers.is_empty() {
            true => "nothing".to_owned(),
            false => {
                let nodes = self.leftovers.join(" ");
                format!("dead mounts at {nodes}; `fusermount3 -uz NODE` removes one")
            }
        };
        row("left behind", left);
        rows
    }

    fn group(&self) -> String {
        match Group::from_name("fusd") {
            Ok(Some(group)) => {
                let member = nix::unistd::getgroups().is_ok_and(|all| all.contains(&group.gid))
                    || nix::unistd::getegid() == group.gid;
                match member {
                    true => "there, and this user is in it".to_owned(),
                    false => "there, and this user is not in it".to_owned(),
                }
            }
            _ => "none: only root may use kfusd".to_owned(),
        }
    }

    fn fusermount(&self) -> String {
        let Some(program) = &self.machine.fusermount else {
            return "not installed: ordinary users cannot mount".to_owned();
        };
        let path = program.path.display();
        let rights = match program.is_set_uid {
            true => "",
            false => ", without root's rights",
        };
        let others = match program.allows_others {
            true => "users may let others open their devices",
            false => "users alone open their devices (no user_allow_other in /etc/fuse.conf)",
        };
        format!("{path}{rights}; {others}")
    }

    pub(super) fn as_json(&self) -> Value {
        let verdicts = self.verdicts.iter().map(|verdict| {
            json!({
                "backend": verdict.kind.name(),
                "works": verdict.trial.is_ok(),
                "why_not": verdict.trial.as_ref().err(),
                "advice": verdict.advice,
            })
        });
        let nodes = self.machine.nodes.iter().map(|node| {
            let found = node.found.as_ref();
            json!({
                "path": node.path,
                "there": found.is_some(),
                "mode": found.map(|found| format!("{:04o}", found.mode)),
                "owner": found.map(|found| &found.owner),
                "group": found.map(|found| &found.group),
                "usable": found.is_some_and(|found| found.is_usable),
            })
        });
        let modules = MODULES.map(|module| (module.to_owned(), self.kernel.has(module).into()));
        let options = OPTIONS.map(|option| {
            let setting = self.kernel.setting(option).name();
            (option.to_owned(), setting.into())
        });
        let fusermount = self.machine.fusermount.as_ref().map(|program| {
            json!({
                "path": program.path.to_string_lossy(),
                "set_uid": program.is_set_uid,
                "user_allow_other": program.allows_others,
            })
        });
        json!({
            "kernel": {
                "release": self.kernel.release,
                "architecture": ARCH,
                "config": Value::Object(options.into_iter().collect()),
                "modules": Value::Object(modules.into_iter().collect()),
            },
            "user": { "name": self.machine.user, "uid": self.machine.uid },
            "container": self.machine.container,
            "backends": verdicts.collect::<Vec<_>>(),
            "nodes": nodes.collect::<Vec<_>>(),
            "fusermount3": fusermount,
            "user_namespaces": {
                "permitted": self.machine.namespaces.is_ok(),
                "why_not": self.machine.namespaces.as_ref().err(),
            },
            "left_behind": self.leftovers,
        })
    }
}

/// As ls(1) shows it: `crw-rw---- root:fusd`.
fn described(node: &Node) -> String {
    let Some(found) = &node.found else {
        return "missing".to_owned();
    };
    let kind = if found.is_device { 'c' } else { '-' };
    let bits = (0..9).rev().map(|bit| match found.mode >> bit & 1 {
        0 => '-',
        _ => ['x', 'w', 'r'][bit % 3],
    });
    let mode: String = std::iter::once(kind).chain(bits).collect();
    let usable = match found.is_usable {
        true => "this user may use it",
        false => "this user may not use it",
    };
    format!("{mode} {}:{}, {usable}", found.owner, found.group)
}
