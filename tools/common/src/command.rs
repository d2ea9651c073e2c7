//! The command that runs beside the device: `-- COMMAND ARGS`.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

use fusd::Errno;

use crate::child::{Child, Program};
use crate::signals::{Phase, Signals};
use crate::{ToolError, exit};

/// Runs the command to its end; its exit code is the result. With `reads_nothing` there is nothing on its
/// standard input.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run(
    words: &[OsString],
    node: &Path,
    signals: &Signals,
    reads_nothing: bool,
) -> Result<u8, ToolError> {
    let child = Arc::new(start(words, node, reads_nothing)?);
    let phase = Phase::Accompanying {
        command: Arc::clone(&child),
    };
    if let Some(signal) = signals.enter(phase) {
        child.signal(signal);
    }
    let status = child.wait();
    signals.enter(Phase::Ending);
    status
        .map(code)
        .map_err(|errno| ToolError::failed(format!("cannot wait for the command: {errno}")))
}

fn start(words: &[OsString], node: &Path, reads_nothing: bool) -> Result<Child, ToolError> {
    let mut program = Program::new(words).env("FUSD_PATH", node);
    if reads_nothing {
        let null = File::open("/dev/null").map_err(|error| {
            ToolError::failed(format!("cannot open /dev/null: {}", Errno::from(error)))
        })?;
        program = program.stdin(null);
    }
    start_program(program, words)
}

/// Starts the command `words`, which `program` runs.
///
/// # Errors
/// It cannot be started: with the exit code that a shell would end with.
pub(crate) fn start_program(program: Program, words: &[OsString]) -> Result<Child, ToolError> {
    program.spawn().map_err(|errno| {
        let (code, hint) = match errno {
            Errno::ENOENT => (
                exit::NOT_FOUND,
                "; give a program of $PATH, or the path of one",
            ),
            Errno::EACCES | Errno::ENOEXEC => (
                exit::NOT_EXECUTABLE,
                "; give a program that this user may execute",
            ),
            _ => (exit::NOT_EXECUTABLE, ""),
        };
        let name = match words.first() {
            Some(word) if !word.is_empty() => word.display().to_string(),
            _ => "\"\"".to_owned(),
        };
        let text = format!("cannot run the command {name}: {errno}{hint}");
        ToolError::new(code, text)
    })
}

/// The exit code of a program that ended so, as a shell has it.
pub fn code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => i32::from(exit::SIGNAL) + signal,
        (None, None) => i32::from(exit::FAILED),
    };
    // Lossless: both are below 256.
    code as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    fn shell(script: &str) -> u8 {
        let child = start(
            &words(&["/bin/sh", "-c", script]),
            Path::new("/dev/x"),
            true,
        )
        .unwrap();
        code(child.wait().unwrap())
    }

    #[test]
    fn the_code_is_that_of_the_command() {
        assert_eq!(shell("exit 0"), 0);
        assert_eq!(shell("exit 42"), 42);
        assert_eq!(shell("kill -TERM $$"), 143);
        assert_eq!(shell("kill -KILL $$"), 137);
    }

    #[test]
    fn there_may_be_nothing_for_it_to_read() {
        assert_eq!(shell("read -r line"), 1);
    }

    #[test]
    fn the_command_knows_the_node() {
        assert_eq!(shell("test \"$FUSD_PATH\" = /dev/x"), 0);
    }

    #[test]
    fn what_cannot_be_run_has_the_codes_of_a_shell() {
        let start = |program| start(&words(&[program]), Path::new("/dev/x"), false).unwrap_err();
        let error = start("/no/such/program");
        assert_eq!(error.code(), 127);
        assert_eq!(
            error.to_string(),
            "cannot run the command /no/such/program: No such file or directory (ENOENT); give a \
             program of $PATH, or the path of one"
        );
        assert_eq!(start("/etc/passwd").code(), 126);
        assert_eq!(start("/").code(), 126);
    }
}
