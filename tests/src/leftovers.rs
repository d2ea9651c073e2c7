//! What a test must not leave behind: nodes, mounts, temporary files, processes.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::Case;
use crate::wait::{deadline, holds_within};

/// Directories in which a name with the test's token would be a leftover.
const PLACES: [&str; 5] = ["/dev", "/dev/fusd", "/dev/shm", "/run", "/run/fusd"];

/// Checks that nothing of the test is left, now or soon: what ends after a SIGKILL ends a little
/// later.
///
/// # Panics
/// Something is left.
#[track_caller]
pub fn check(case: &Case) {
    let left = wait_for_none(case);
    assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
}

/// What is left once the deadline has passed; empty as soon as nothing is.
pub fn wait_for_none(case: &Case) -> Vec<String> {
    let mut left = Vec::new();
    holds_within(deadline(), || {
        left = find(case);
        left.is_empty()
    });
    left
}

/// What is there of the test at this moment, one line each.
pub fn find(case: &Case) -> Vec<String> {
    let mut left = Vec::new();
    left.extend(mounts(case.token()).map(|line| format!("mount: {line}")));
    for directory in [case.nodes(), case.temporary()] {
        left.extend(entries(&directory, "").map(|path| format!("file: {path}")));
    }
    for directory in PLACES {
        let marked = entries(Path::new(directory), case.token());
        left.extend(marked.map(|path| format!("file: {path}")));
    }
    left.extend(processes(case.token()).map(|(pid, name)| format!("process: {pid} {name}")));
    left
}

/// Kills the processes of a test.
pub fn kill(token: &str) {
    for (pid, _) in processes(token) {
        let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Clears away what is left, so that it troubles no other test.
pub fn remove(case: &Case) {
    kill(case.token());
    for line in mounts(case.token()) {
        if let Some(place) = line.split(' ').nth(4) {
            let _ = umount2(place, MntFlags::MNT_DETACH);
        }
    }
    // A watcher may have been killed between its mount and what that was made over.
    for node in entries(&case.nodes(), "") {
        let _ = fs::remove_file(node);
    }
}

/// Lines of the mount table that name the test.
fn mounts(token: &str) -> impl Iterator<Item = String> + use<> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("the mount table can be read");
    let lines: Vec<String> = table
        .lines()
        .filter(|line| line.contains(token))
        .map(str::to_owned)
        .collect();
    lines.into_iter()
}

/// Names in `directory` that contain `part`.
fn entries(directory: &Path, part: &str) -> impl Iterator<Item = String> + use<> {
    let part = part.to_owned();
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| entry.file_name().to_string_lossy().contains(&part))
        .map(|entry| entry.path().display().to_string())
}

/// Processes that carry the token in their environment or their arguments, with their names.
/// Those of clients that the test itself still waits for are among them.
pub fn processes(token: &str) -> impl Iterator<Item = (i32, String)> + use<> {
    let mark = token.as_bytes().to_vec();
    let named = move |pid: i32, file: &str| {
        fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|all| all.windows(mark.len()).any(|part| part == mark))
    };
    fs::read_dir("/proc")
        .expect("/proc can be read")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid: &i32| named(*pid, "environ") || named(*pid, "cmdline"))
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (pid, name.trim_end().to_owned())
        })
}

/// Open descriptors of a process.
///
/// # Panics
/// There is no such process.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process lives")
        .count()
}
