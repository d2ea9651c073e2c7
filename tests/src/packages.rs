//! What `cargo xtask test` unpacks below the user's cache folder instead of installing it: a server that
//! would be started at once, and sources that are no program.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::Case;

/// Where Debian has nats-server(8), which is not in everybody's PATH.
const INSTALLED: &str = "/usr/sbin/nats-server";

/// The folder of the package `name`; else the test is skipped, and is to return.
#[track_caller]
pub fn unpacked(case: &Case, name: &str) -> Option<PathBuf> {
    let found = folder(name);
    if found.is_none() {
        case.skip(&format!(
            "{name} is not unpacked; `cargo xtask test` does that where it can be had"
        ));
    }
    found
}

/// The program nats-server(8); likewise.
#[track_caller]
pub fn nats_server(case: &Case) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let unpacked = folder("nats-server").map(|folder| folder.join("usr/sbin/nats-server"));
    let found = env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .chain([INSTALLED.into()])
        .chain(unpacked)
        .find(|program| program.is_file());
    if found.is_none() {
        case.skip("there is no nats-server; the package of that name has it");
    }
    found
}

fn folder(name: &str) -> Option<PathBuf> {
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")))?;
    let folder = cache.join("fusd/packages").join(name);
    folder.is_dir().then_some(folder)
}

/// What it is set to, if it is and not to nothing.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
