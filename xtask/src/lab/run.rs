//! `cargo xtask lab run` and `shell`: a command, or a person, in a guest.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::build;
use super::cache::Cache;
use super::channel::End;
use super::console::{first_fault, tail};
use super::guest::Boot;
use super::init::{self, Task};
use super::kernel::Kernel;

/// The status when the guest was killed at its deadline: that of timeout(1).
const TIMED_OUT: u8 = 124;

/// How much of the console a failure shows, in lines.
const SHOWN: usize = 60;

/// Run a command in a guest, end with its status
///
/// The guest sees this machine's files; what it writes vanishes with it. A report of a fault on the
/// kernel's console makes the run fail whatever the command's status.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which kernel
    kernel: Kernel,

    /// Kill the guest after this time; the status is then 124
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,

    #[command(flatten)]
    machine: Machine,

    /// Show the kernel's console also when nothing failed
    #[arg(long)]
    console: bool,

    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Have a shell in a guest; `exit` ends it
#[derive(clap::Args)]
pub(crate) struct ShellArgs {
    /// Which kernel
    #[arg(default_value = "um")]
    kernel: Kernel,

    #[command(flatten)]
    machine: Machine,
}

#[derive(clap::Args)]
struct Machine {
    /// Memory of the guest, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(128..))]
    memory: u32,

    /// Processors of the guest
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=4))]
    cpus: u32,

    /// Let the guest's clocks count instructions, one nanosecond each; not for um
    #[arg(long)]
    icount: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let task = Task::Command(&args.command);
    let deadline = Some(Duration::from_secs(args.timeout));
    let (end, console) = boot(args.kernel, &args.machine, &task, deadline)?;
    if args.console {
        eprint!("{console}");
    }
    let (code, fault) = verdict(end, &console, args.timeout);
    if let Some(fault) = fault {
        report(args.kernel, &console, &fault)?;
    }
    Ok(ExitCode::from(code))
}

pub(crate) fn shell(args: &ShellArgs) -> Result<ExitCode> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let name = args.kernel.name();
        bail!("a shell needs a terminal; for a script: cargo xtask lab run {name} -- COMMAND");
    }
    let settings = stty(&["-g"])?;
    let size = stty(&["size"])?;
    let size = size.split_once(' ').and_then(|(rows, columns)| {
        Some((rows.trim().parse().ok()?, columns.trim().parse().ok()?))
    });
    eprintln!("what is written here vanishes with the guest; exit ends it");
    let result = boot(args.kernel, &args.machine, &Task::Shell { size }, None);
    // The guest sets the terminal for its own use.
    stty(&[settings.trim()])?;
    let (end, console) = result?;
    if let (_, Some(fault)) = verdict(end, &console, 0) {
        report(args.kernel, &console, &fault)?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn boot(
    kernel: Kernel,
    machine: &Machine,
    task: &Task<'_>,
    deadline: Option<Duration>,
) -> Result<(End, String)> {
    if machine.icount && !kernel.is_for_qemu() {
        bail!(
            "{} cannot count instructions; x86 can: cargo xtask lab run x86 --icount",
            kernel.name()
        );
    }
    let built = build::find(kernel)?.ok_or_else(|| build::not_built(kernel))?;
    let folder = init::write(kernel, task)?;
    Boot {
        kernel,
        image: built.join(kernel.image()),
        folder: folder.path(),
        memory: machine.memory,
        cpus: machine.cpus,
        counts_instructions: machine.icount,
        interactive: matches!(task, Task::Shell { .. }),
        deadline,
    }
    .run()
}

/// The exit status of a run, and what was wrong with the guest.
fn verdict(end: End, console: &str, timeout: u64) -> (u8, Option<String>) {
    let fault =
        first_fault(console).map(|(_, line)| format!("the kernel reports: {}", line.trim()));
    match end {
        End::Status(status) if fault.is_some() => (status.max(1), fault),
        End::Status(status) => (status, None),
        End::Deadline => {
            let late = format!("killed after {timeout} s");
            let text = fault.map_or(late.clone(), |fault| format!("{late}; {fault}"));
            (TIMED_OUT, Some(text))
        }
        End::Lost => {
            let lost = "the guest ended before the command did".to_owned();
            (
                1,
                Some(fault.map_or(lost.clone(), |fault| format!("{lost}; {fault}"))),
            )
        }
    }
}

/// Shows the console from the first fault on, or its end, and keeps all of it.
fn report(kernel: Kernel, console: &str, fault: &str) -> Result<()> {
    let name = format!("{}-console-{}", kernel.name(), std::process::id());
    let path = Cache::open()?.log(&name);
    fs::write(&path, console).with_context(|| format!("cannot write {}", path.display()))?;
    let lines: Vec<_> = match first_fault(console) {
        // The line before a fault is often the cut that belongs to it.
        Some((index, _)) => console
            .lines()
            .skip(index.saturating_sub(1))
            .take(SHOWN)
            .collect(),
        None => tail(console, SHOWN),
    };
    for line in lines {
        eprintln!("    {line}");
    }
    eprintln!("xtask: {fault}; the whole console: {}", path.display());
    Ok(())
}

/// Runs stty(1) on this program's terminal.
fn stty(arguments: &[&str]) -> Result<String> {
    let output = Command::new("stty")
        .args(arguments)
        .stdin(Stdio::inherit())
        .output()
        .context("cannot run stty")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[    0.000000] Linux version 7.2.13\n";
    const BAD: &str = "[    1.000000] WARNING: kernel/x.c:1\n";

    #[test]
    fn the_commands_status_is_the_runs() {
        assert_eq!(verdict(End::Status(0), GOOD, 1), (0, None));
        assert_eq!(verdict(End::Status(3), GOOD, 1), (3, None));
    }

    #[test]
    fn a_report_of_the_kernel_is_a_failure_whatever_the_status() {
        let (code, fault) = verdict(End::Status(0), BAD, 1);
        assert_eq!(code, 1);
        assert!(fault.unwrap().contains("WARNING: kernel/x.c:1"));
        assert_eq!(verdict(End::Status(3), BAD, 1).0, 3);
    }

    #[test]
    fn a_guest_that_hangs_or_dies_is_a_failure() {
        let (code, fault) = verdict(End::Deadline, GOOD, 5);
        assert_eq!(
            (code, fault.as_deref()),
            (TIMED_OUT, Some("killed after 5 s"))
        );
        let (code, fault) = verdict(End::Lost, BAD, 5);
        assert_eq!(code, 1);
        assert!(fault.unwrap().contains("the kernel reports"));
    }
}
