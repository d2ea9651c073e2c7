//! `fusd up` and `fusd down`: the devices of the configuration file, each served by a process of its
//! own that goes on by itself. `state` knows which of them run.

mod down;
mod state;

pub(crate) use self::down::{Args as DownArgs, run as down};

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use fusd::Errno;
use fusd_tool::{Child, ToolError, exit, exit_code};

use self::state::{Record, State};
use crate::args;
use crate::config::{Config, Entry, default_file};
use crate::driver::{self, Started};
use crate::list::print;

/// Start the devices of the configuration file
///
/// Each is served by a process of its own, which goes on when this one has ended. What is up already
/// stays as it is. The file is /etc/fusd/devices.toml or, for an ordinary user who has one,
/// $XDG_CONFIG_HOME/fusd/devices.toml.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Devices to start [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// How long to wait until the devices are there
    #[arg(short, long, value_name = "TIME", value_parser = args::duration, default_value = "30s")]
    timeout: Duration,

    /// Become the driver of the one device that is named: for a service manager
    ///
    /// The process goes on under the same number, tells the manager when the device is there, and
    /// logs to standard error.
    #[arg(long)]
    foreground: bool,
}

/// Check the configuration file, and start nothing
///
/// What is wrong is said in lines FILE:LINE: KEY: WHAT; the exit status is 2 then.
#[derive(clap::Args, Debug)]
pub(crate) struct CheckArgs {
    /// The configuration file [default: that of `fusd up`]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn check(args: &CheckArgs) -> Result<u8, ToolError> {
    let file = args.file.clone().unwrap_or_else(default_file);
    let config = Config::read(&file)?;
    for entry in &config.entries {
        entry.wanted().program()?;
    }
    let count = match config.entries.len() {
        1 => "1 device".to_owned(),
        count => format!("{count} devices"),
    };
    print(&format!("{}: {count}, no fault\n", config.file.display()));
    Ok(exit::STOPPED)
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    let file = args.config.clone().unwrap_or_else(default_file);
    let config = Config::read(&file)?;
    let entries = chosen(&config, &args.names)?;
    if args.foreground {
        return become_driver(&entries);
    }
    let state = State::open()?;
    let mut code = exit::STOPPED;
    let mut fail = |error: &ToolError| {
        fusd_tool::say(format!("fusd: {error}\n"));
        if code == exit::STOPPED {
            code = error.code();
        }
    };
    let deadline = Instant::now() + args.timeout;
    let mut starting = Vec::new();
    for entry in entries {
        match state.running(&entry.name) {
            Some(record) => print(&format!(
                "{} is up already, at {}\n",
                entry.name, record.node
            )),
            None => match start(entry, &state) {
                Ok(started) => starting.push((entry, started)),
                Err(error) => fail(&error),
            },
        }
    }
    for (entry, started) in starting {
        match finish(entry, &started, &state, deadline) {
            Ok(node) => print(&format!("{} is up, at {}\n", entry.name, node.display())),
            Err(error) => fail(&error),
        }
    }
    Ok(code)
}

fn chosen<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a Entry>, ToolError> {
    if names.is_empty() {
        return Ok(config.entries.iter().collect());
    }
    let entry = |name: &String| {
        config.entry(name).ok_or_else(|| {
            let all = config.entries.iter().map(|entry| entry.name.as_str());
            ToolError::usage(format!(
                "{} has no device {name}; it has {}",
                config.file.display(),
                all.collect::<Vec<_>>().join(", ")
            ))
        })
    };
    names.iter().map(entry).collect()
}

/// Starts a driver, and notes it before anything else can fail.
fn start(entry: &Entry, state: &State) -> Result<Started, ToolError> {
    let wanted = entry.wanted();
    let program = wanted.program()?;
    let failed = |what: &str, errno: Errno| {
        ToolError::failed(format!(
            "cannot start {}: cannot {what}: {errno}",
            entry.name
        ))
    };
    let log = state.log(&entry.name);
    let errors = File::create(&log).map_err(|error| failed("write its log", error.into()))?;
    let null = || File::options().read(true).write(true).open("/dev/null");
    let (input, output) = null()
        .and_then(|input| Ok((input, null()?)))
        .map_err(|error| failed("open /dev/null", error.into()))?;
    let dress = |program: fusd_tool::Program| {
        let program = program.stdin(input).stdout(output).stderr(errors);
        program.own_session()
    };
    let started = driver::start(&program, &wanted.words, dress)
        .map_err(|errno| failed(&format!("run {}", program.display()), errno))?;
    let record = Record::of(started.child.pid(), "");
    if let Err(error) = state.write(&entry.name, &record) {
        end(&started.child);
        state.remove(&entry.name);
        return Err(error);
    }
    Ok(started)
}

/// Waits until the device is there; where.
fn finish(
    entry: &Entry,
    started: &Started,
    state: &State,
    deadline: Instant,
) -> Result<PathBuf, ToolError> {
    let name = &entry.name;
    let limit = deadline.saturating_duration_since(Instant::now());
    match started.ready.recv_timeout(limit) {
        Ok(node) => {
            let record = Record::of(started.child.pid(), &node.to_string_lossy());
            state.write(name, &record)?;
            Ok(node)
        }
        Err(RecvTimeoutError::Timeout) => {
            end(&started.child);
            let error = format!(
                "cannot start {name}: {} has not made the device in time, and was ended{}; wait for \
                 longer with --timeout",
                entry.tool,
                last_words(&state.log(name))
            );
            state.remove(name);
            Err(ToolError::failed(error))
        }
        Err(RecvTimeoutError::Disconnected) => {
            let status = started.child.wait();
            let last = last_words(&state.log(name));
            state.remove(name);
            let (code, how) = match status {
                Ok(status) => (exit_code(status).max(exit::FAILED), status.to_string()),
                Err(errno) => (exit::FAILED, errno.to_string()),
            };
            let text = format!("cannot start {name}: {} ended with {how}{last}", entry.tool);
            Err(ToolError::new(code, text))
        }
    }
}

/// Kills a driver that is of no use. What it has made goes with it.
fn end(driver: &Child) {
    driver.signal(nix::sys::signal::Signal::SIGKILL);
    // It is a child of ours, and dies.
    let _ = driver.wait();
}

/// What a driver has said last.
fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match text.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!("; {line}"),
        None => String::new(),
    }
}

/// Replaces this process by the driver.
fn become_driver(entries: &[&Entry]) -> Result<u8, ToolError> {
    let [entry] = entries else {
        return Err(ToolError::usage(
            "--foreground is for one device; name the one that is meant",
        ));
    };
    let wanted = entry.wanted();
    let program = wanted.program()?;
    let error = Command::new(&program).args(&wanted.words).exec();
    let errno = Errno::from(error);
    Err(ToolError::new(
        exit::NOT_EXECUTABLE,
        format!(
            "cannot start {}: cannot run {}: {errno}",
            entry.name,
            program.display()
        ),
    ))
}
