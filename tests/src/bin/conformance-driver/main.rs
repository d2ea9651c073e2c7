//! A driver made for the conformance suite: `--device` chooses one of several small devices, each
//! for one part of the contract.
//!
//! It is told what to do on its standard input, one line each, and answers each with one line:
//! `counts KIND` (calls that reached the device), `threads`, `stop`, and what the device itself
//! understands. It ends when its standard input does, so that no test leaves it behind.

mod counted;
mod devices;
mod options;

use std::io::{BufRead, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use fusd::{BackendKind, Device, DeviceBuilder, Serving, Session, StopHandle};
use nix::sys::signal::{SigSet, Signal};

use crate::counted::{Counted, Counts};
use crate::devices::Memory;
use crate::options::Options;

/// What a device does with a line that it is told: its answer, or `None` if it does not
/// understand.
pub(crate) type Control = Box<dyn Fn(&[&str]) -> Option<String> + Send>;

/// The variable that sets the level of the log; "info" has every call in it.
const LOG: &str = "FUSD_TEST_LOG";

/// The signals that end the driver.
fn stops() -> SigSet {
    SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT])
}

fn main() -> ExitCode {
    let level = std::env::var(LOG).ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(level.unwrap_or(tracing::Level::WARN))
        .init();
    // Before any thread: all of them inherit the mask, and only the one that waits is told.
    stops().thread_block().expect("signals can be blocked");
    let result = Options::parse(std::env::args().skip(1)).and_then(|options| {
        let device = options.device.clone();
        devices::serve(&device, options)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("conformance-driver: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Serves `device` until it is told to stop.
pub(crate) fn serve<D: Device>(
    options: Options,
    device: D,
    control: Control,
) -> Result<(), String> {
    let counts = Arc::new(Counts::default());
    let device = Counted::new(device, Arc::clone(&counts));
    let mut builder = DeviceBuilder::new("unnamed")
        .backend(options.backend)
        .path(&options.path)
        .mode(options.mode)
        .workers(options.workers);
    if let Some(owner) = options.owner {
        builder = builder.owner(owner).group(owner);
    }
    if let Some(policy) = options.restart {
        builder = builder.restart(policy);
    }
    if let Some(limit) = options.max_open {
        builder = builder.max_open(limit);
    }
    let session = builder
        .register(device)
        .map_err(|error| error.to_string())?;
    let _beside = beside(options.backend, &options.beside)?;
    let stop = session.stop_handle();
    {
        let stop = stop.clone();
        thread::spawn(move || {
            if stops().wait().is_ok() {
                stop.stop();
            }
        });
    }
    thread::spawn(move || obey(&stop, &counts, &control));
    if let Some(mut ready) = options.ready {
        let line = [session.path().as_os_str().as_bytes(), b"\n"].concat();
        ready
            .write_all(&line)
            .map_err(|error| format!("ready-fd: {error}"))?;
    }
    session.run().map_err(|error| error.to_string())
}

/// Serves a device more at each of the paths.
fn beside(backend: BackendKind, paths: &[PathBuf]) -> Result<Vec<Serving>, String> {
    paths
        .iter()
        .map(|path| {
            DeviceBuilder::new("unnamed")
                .backend(backend)
                .path(path)
                .mode(0o666)
                .register(Memory::default())
                .and_then(Session::spawn)
                .map_err(|error| error.to_string())
        })
        .collect()
}

fn obey(stop: &StopHandle, counts: &Counts, control: &Control) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["counts", kind] => counts.get(kind).map(|count| count.to_string()),
            ["threads"] => std::fs::read_dir("/proc/self/task")
                .ok()
                .map(|tasks| tasks.count().to_string()),
            ["stop", "for", "good"] => {
                // First the answer: the process ends with the session.
                println!("stopping");
                stop.stop_for_good();
                continue;
            }
            ["stop"] => {
                stop.stop();
                Some("stopping".into())
            }
            words => control(words),
        };
        println!("{}", answer.unwrap_or_else(|| format!("? {line}")));
    }
    stop.stop();
}
