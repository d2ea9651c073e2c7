//! What a helper says: up to the end of its output, or its own end.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};

use fusd_tool::Child;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The output of a program. What the program has started may keep it open for good, and is not waited
/// for.
pub(crate) struct Output {
    file: File,
    program: OwnedFd,
}

impl Output {
    /// What `child`, which has not been waited for, writes to the other end of `pipe`.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub(crate) fn of(pipe: impl Into<OwnedFd>, child: &Child) -> io::Result<Self> {
        let file = File::from(pipe.into());
        let flags = fcntl_getfl(&file)?;
        fcntl_setfl(&file, flags | OFlags::NONBLOCK)?;
        let pid = Pid::from_raw(child.pid().cast_signed()).ok_or(ErrorKind::NotFound)?;
        let program = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { file, program })
    }
}

impl Read for Output {
    /// Waits for more; there is no more to come where it returns 0.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let ended = {
                let mut fds = [
                    PollFd::new(self.file.as_fd(), PollFlags::POLLIN),
                    PollFd::new(self.program.as_fd(), PollFlags::POLLIN),
                ];
                poll(&mut fds, PollTimeout::NONE)?;
                fds[1].any() == Some(true)
            };
            // Looked at after the end: what the program itself has said is in the pipe then.
            match self.file.read(room) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && ended => return Ok(0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::pipe;

    use fusd_tool::Program;

    use super::*;

    #[test]
    fn the_end_of_the_program_is_the_end_also_where_its_output_stays_open() {
        let (reader, stdout) = pipe().unwrap();
        // Until this end goes, which is after all has been read, the other process lives.
        let (stdin, lifeline) = pipe().unwrap();
        let child = Program::new(["sh", "-c", "exec 3<&0; cat <&3 & echo said"])
            .stdin(stdin)
            .stdout(stdout)
            .spawn()
            .unwrap();
        let mut output = Output::of(reader, &child).unwrap();
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        assert_eq!(said, "said\n");
        assert!(child.wait().unwrap().success());
        drop(lifeline);
    }
}
