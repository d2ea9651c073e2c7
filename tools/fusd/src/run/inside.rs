//! The first process in the new namespaces: it starts the drivers, runs the command, and takes in the
//! processes that others leave behind. With it, all of them end.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{self, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use fusd::Errno;
use fusd_tool::{Child, Escort, Program, ToolError, exit, exit_code};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};

use super::{Args, LIFE, dev, namespace};
use crate::driver::{self, Wanted};

/// How long drivers have, at the end, to bring what they do to an end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at that.
const PAUSE: Duration = Duration::from_millis(5);

/// A device, and who serves it.
struct Served {
    wanted: Wanted,
    driver: Child,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    if getpid() != Pid::from_raw(1) {
        return Err(ToolError::usage(
            "this command is for `fusd run` to use; use that instead",
        ));
    }
    let escort = Escort::begin()?;
    end_with_parent()?;
    let devices = args.devices()?;
    let programs = devices.iter().map(Wanted::program);
    let programs = programs.collect::<Result<Vec<_>, _>>()?;
    dev::make(&devices, &args.keep)?;
    dev::renew_proc();
    let started = devices.into_iter().zip(&programs);
    let started = started
        .map(|(wanted, program)| start(wanted, program))
        .collect::<Result<Vec<_>, _>>()?;
    let mut served = Vec::new();
    for (wanted, started) in started {
        if started.ready.recv().is_err() {
            return Err(ended_early(&wanted, &started.child));
        }
        served.push(Served {
            wanted,
            driver: started.child,
        });
    }
    // The command has the rights that its user always has.
    if !nix::unistd::geteuid().is_root() {
        namespace::inherit(false)
            .map_err(|errno| ToolError::failed(format!("cannot give up rights: {errno}")))?;
    }
    let command = Program::new(&args.command);
    let code = escort.run(command, &args.command, |command| attend(command, &served));
    stop(&served);
    code
}

/// Ends this process, and with it all in here, when the one outside does, whatever ends that.
fn end_with_parent() -> Result<(), ToolError> {
    let path = format!("/proc/self/fd/{LIFE}");
    let failed = |error: std::io::Error| {
        let errno = Errno::from(error);
        ToolError::failed(format!("cannot watch over `fusd run` itself: {errno}"))
    };
    let mut life = File::open(path).map_err(failed)?;
    nix::unistd::close(LIFE).map_err(|errno| failed(errno.into()))?;
    thread::Builder::new()
        .name("life".into())
        .spawn(move || {
            // Nothing ever comes but the end.
            let _ = life.read(&mut [0]);
            process::exit(i32::from(exit::SIGNAL) + Signal::SIGKILL as i32);
        })
        .map_err(failed)?;
    Ok(())
}

fn start(wanted: Wanted, program: &Path) -> Result<(Wanted, driver::Started), ToolError> {
    let node = Path::new("/dev").join(&wanted.name);
    let mut words: Vec<OsString> = vec!["--path".into(), node.into()];
    if !driver::says_how_much(&wanted.words) {
        words.push("--quiet".into());
    }
    words.extend(wanted.words.iter().cloned());
    let null = File::open("/dev/null");
    let dress = |program: Program| {
        // The terminal's signals are for the command.
        let program = program.own_group().env("FUSD_BACKEND", "fuse");
        match null {
            Ok(null) => program.stdin(null),
            Err(_) => program,
        }
    };
    match driver::start(program, words, dress) {
        Ok(started) => Ok((wanted, started)),
        Err(errno) => Err(ToolError::new(
            exit::NOT_EXECUTABLE,
            format!(
                "cannot start the device {}: cannot run {}: {errno}",
                wanted.name,
                program.display()
            ),
        )),
    }
}

/// Why a device is not there: what the driver has said is on standard error already.
fn ended_early(wanted: &Wanted, driver: &Child) -> ToolError {
    match driver.wait() {
        Ok(status) => {
            // One that ends with success has not served either.
            let code = match exit_code(status) {
                0 => exit::FAILED,
                code => code,
            };
            ToolError::new(
                code,
                format!(
                    "cannot start the device {}: {} ended before it was there, with {status}",
                    wanted.name, wanted.tool
                ),
            )
        }
        Err(errno) => ToolError::failed(format!("cannot wait for {}: {errno}", wanted.tool)),
    }
}

/// Waits for the command's end, and for that of all others that end before.
fn attend(command: &Child, served: &[Served]) -> Result<ExitStatus, Errno> {
    loop {
        let ended = match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Err(nix::errno::Errno::EINTR) => continue,
            ended => ended?.pid(),
        };
        let Some(pid) = ended else { continue };
        let number = pid.as_raw().unsigned_abs();
        if number == command.pid() {
            return command.wait();
        }
        match served.iter().find(|served| served.driver.pid() == number) {
            Some(served) => {
                let status = served.driver.wait()?;
                let Wanted { name, tool, .. } = &served.wanted;
                fusd_tool::say(format!(
                    "fusd: the device {name} has gone: {tool} ended with {status}\n"
                ));
            }
            // Somebody's child, whose parent has ended before.
            None => drop(waitpid(pid, None)),
        }
    }
}

/// Asks the drivers to end, and waits for that: some have something to finish.
fn stop(served: &[Served]) {
    for served in served {
        served.driver.signal(Signal::SIGTERM);
    }
    let deadline = Instant::now() + PATIENCE;
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    for served in served {
        let pid = Pid::from_raw(served.driver.pid().cast_signed());
        while waitid(Id::Pid(pid), flags) == Ok(WaitStatus::StillAlive) {
            if Instant::now() >= deadline {
                let Wanted { name, tool, .. } = &served.wanted;
                fusd_tool::say(format!(
                    "fusd: {tool}, which serves {name}, does not end, and is killed\n"
                ));
                break;
            }
            thread::sleep(PAUSE);
        }
    }
}
