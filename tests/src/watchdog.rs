//! A test that hangs fails, and holds no other up.
//!
//! Most waiting has a deadline of its own; this is for what has none, a call on a node made by the
//! test itself. Whoever is late gets its drivers killed, which has to end every call on their nodes.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::leftovers;
use crate::wait::deadline;

/// How long a test may take, in deadlines of a single wait.
const DEADLINES: u32 = 10;

/// The variable that holds how long a test may take instead, in seconds: for those that are told to do
/// more than the suite has them do.
const LIMIT: &str = "FUSD_TEST_LIMIT";

/// Watches a test until it is dropped.
pub struct Watch {
    _alive: Sender<Infallible>,
}

/// Watches the test `name`, whose processes carry `token`, for as long as any test may take.
pub(crate) fn watch(name: &str, token: &str) -> Watch {
    let told = env::var(LIMIT).ok();
    let limit = match told.and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => Duration::from_secs(seconds),
        None => deadline() * DEADLINES,
    };
    watch_for(limit, name, token)
}

/// Watches the test `name`, whose processes carry `token`. It may take as long as `limit`, and then
/// as long again to end without its drivers, or as long as a wait may take; after that the whole program is
/// aborted.
///
/// # Panics
/// No thread can be started.
pub fn watch_for(limit: Duration, name: &str, token: &str) -> Watch {
    let (alive, ended) = mpsc::channel();
    let name = name.to_owned();
    let token = token.to_owned();
    thread::Builder::new()
        .name("watchdog".into())
        .spawn(move || {
            if has_ended(&ended, limit) {
                return;
            }
            tell(&format!(
                "{name} still runs after {limit:?}: its processes are killed\n{}",
                whereabouts(&token)
            ));
            leftovers::kill(&token);
            if !has_ended(&ended, limit.max(deadline())) {
                tell(&format!(
                    "{name} hangs although its processes are gone\n{}",
                    whereabouts(&token)
                ));
                process::abort();
            }
        })
        .expect("a thread");
    Watch { _alive: alive }
}

fn has_ended(ended: &Receiver<Infallible>, limit: Duration) -> bool {
    ended.recv_timeout(limit) != Err(RecvTimeoutError::Timeout)
}

/// Says it at once: what a test prints by macros is kept until its end.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Where in the kernel the threads of this process and those of the test's processes are.
fn whereabouts(token: &str) -> String {
    let own = i32::try_from(process::id()).ok();
    let marked = leftovers::processes(token).map(|(pid, _)| pid);
    let mut lines = Vec::new();
    for pid in own.into_iter().chain(marked) {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            lines.push(format!("    {pid} {}", thread_state(&task.path())));
        }
    }
    lines.join("\n")
}

/// A thread's name, and its kernel stack in one line: only root sees that, others the function in
/// which it waits.
fn thread_state(task: &Path) -> String {
    let read = |file: &str| fs::read_to_string(task.join(file)).unwrap_or_default();
    let stack = read("stack");
    let place: Vec<_> = match stack.is_empty() {
        true => vec![read("wchan")],
        false => stack
            .lines()
            .filter_map(|line| Some(line.split_once("] ")?.1.to_owned()))
            .collect(),
    };
    format!("{}: {}", read("comm").trim_end(), place.join(" < "))
}
