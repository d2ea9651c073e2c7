//! A command that a program without a device of its own runs to its end, with the signals that come.

use std::ffi::OsString;
use std::process::ExitStatus;
use std::sync::Arc;

use fusd::Errno;

use crate::child::{Child, Program};
use crate::signals::{Phase, Signals};
use crate::{ToolError, command};

/// The signals of this process: until the command runs, each ends the process at once; from then on,
/// those that a process sends are the command's. The terminal's reach it without help.
pub struct Escort(Signals);

impl Escort {
    /// Takes the signals. To be called before any other thread is started.
    ///
    /// # Errors
    /// The thread that takes them cannot be had.
    pub fn begin() -> Result<Self, ToolError> {
        Signals::take().map(Self)
    }

    /// Runs `program`, whose words are `words`, until `wait` has waited for its end; gives the exit
    /// code, as a shell has it.
    ///
    /// # Errors
    /// It cannot be started, or waited for.
    pub fn run(
        &self,
        program: Program,
        words: &[OsString],
        wait: impl FnOnce(&Child) -> Result<ExitStatus, Errno>,
    ) -> Result<u8, ToolError> {
        self.0.enter(Phase::Registering { asked: None });
        let child = Arc::new(command::start_program(program, words)?);
        let phase = Phase::Accompanying {
            command: Arc::clone(&child),
        };
        if let Some(signal) = self.0.enter(phase) {
            child.signal(signal);
        }
        let status = wait(&child);
        self.0.enter(Phase::Ending);
        status
            .map(command::code)
            .map_err(|errno| ToolError::failed(format!("cannot wait for the command: {errno}")))
    }
}
