//! `fusd doctor`: what works on this machine, what does not and why, and what to do about it.
//!
//! Whether a backend works is not guessed but tried, by the same way that every driver goes: a device
//! is made on it, read, and taken away (`trial`). What the machine has (`machine`, `kernel`) says what
//! to do where that fails.

mod advice;
mod kernel;
mod machine;
mod report;
mod trial;

use fusd::BackendKind;
use fusd_tool::{ToolError, exit};

use self::kernel::Kernel;
use self::machine::Machine;
pub(crate) use self::machine::namespaces;
use crate::devices::{self, Driver};
use crate::list::print;
use crate::table::printable;

/// Tell which backends work here, which do not and why, and what to do
///
/// Each backend is tried: a device is made, read and removed again. The exit status is 0 if any of
/// them works for this user, and 69 if none does.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was found out of a backend.
struct Verdict {
    kind: BackendKind,
    /// What was made, or why nothing was.
    trial: Result<String, String>,
    /// What to do where it failed.
    advice: Vec<String>,
}

/// All that was found out.
struct Report {
    kernel: Kernel,
    machine: Machine,
    verdicts: Vec<Verdict>,
    /// Nodes that drivers have left which ended without removing them.
    leftovers: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    let kernel = Kernel::look();
    let machine = Machine::look();
    let leftovers = devices::find()
        .into_iter()
        .filter(|device| device.driver == Driver::Dead)
        .map(|device| printable(&device.path.to_string_lossy()))
        .collect();
    let kinds = [BackendKind::Kfusd, BackendKind::Cuse, BackendKind::Fuse];
    let verdicts = kinds.map(|kind| {
        let trial = trial::make(kind).map(|path| path.display().to_string());
        let advice = match &trial {
            Ok(_) => Vec::new(),
            Err(_) => advice::of(kind, &kernel, &machine),
        };
        Verdict {
            kind,
            trial,
            advice,
        }
    });
    let report = Report {
        kernel,
        machine,
        verdicts: verdicts.into(),
        leftovers,
    };
    print(&match args.json {
        true => format!("{:#}\n", report.as_json()),
        false => report.as_text(),
    });
    match report.verdicts.iter().any(|verdict| verdict.trial.is_ok()) {
        true => Ok(exit::STOPPED),
        false => Ok(exit::NO_BACKEND),
    }
}
