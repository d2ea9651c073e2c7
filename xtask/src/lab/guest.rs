//! A guest, from its start to its end, whatever it is made of.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::channel::{End, Ends, channels};
use super::kernel::Kernel;
use super::{init, qemu, uml};
use crate::host::find_program;

/// How to boot a guest.
pub(crate) struct Boot<'a> {
    pub(crate) kernel: Kernel,
    /// The kernel's image.
    pub(crate) image: PathBuf,
    /// The folder with the first program.
    pub(crate) folder: &'a Path,
    /// The guest's memory in MiB.
    pub(crate) memory: u32,
    pub(crate) cpus: u32,
    /// Whether the guest's clock counts instructions, not time.
    pub(crate) counts_instructions: bool,
    /// Whether the terminal of this program is the guest's.
    pub(crate) interactive: bool,
    /// How long the guest may live, or `None` for ever.
    pub(crate) deadline: Option<Duration>,
}

impl Boot<'_> {
    /// Boots the guest, shows what its command writes, and waits for the end. Returns the console.
    pub(crate) fn run(&self) -> Result<(End, String)> {
        if self
            .folder
            .as_os_str()
            .to_string_lossy()
            .contains([' ', ','])
        {
            bail!(
                "the kernel's command line cannot name {}; set TMPDIR to a folder without spaces",
                self.folder.display()
            );
        }
        let (channels, ends) = channels()?;
        set_child_subreaper(true).context("cannot become the parent of the guest's processes")?;
        let mut child = self.start(&ends)?;
        drop(ends);
        // What a person sees on the terminal does not come through here.
        let mark = (!self.interactive).then(|| init::mark(self.folder));
        let mut listener = channels.listen(mark);
        let end = listener.wait(self.deadline);
        self.kill(&mut child)?;
        Ok((end, listener.finish()))
    }

    fn start(&self, ends: &Ends) -> Result<Child> {
        if self.kernel.is_for_qemu() && find_program(qemu::PROGRAM).is_none() {
            bail!(
                "there is no {} here (package {}); to install it: cargo xtask lab build {}",
                qemu::PROGRAM,
                qemu::PACKAGE,
                self.kernel.name()
            );
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .stdout(ends.console_copy()?)
            .stderr(ends.console_copy()?);
        match self.interactive {
            true => command.stdin(Stdio::inherit()),
            // A group of its own: it can be killed with all that it started.
            false => command.stdin(Stdio::null()).process_group(0),
        };
        match self.kernel.is_for_qemu() {
            true => qemu::describe(self, ends, &mut command),
            false => uml::describe(self, ends, &mut command),
        }
        command
            .spawn()
            .context("cannot run setpriv (package util-linux)")
    }

    fn kill(&self, child: &mut Child) -> Result<()> {
        match self.interactive {
            true => child.kill()?,
            // It may have ended by itself.
            false => {
                let group = Pid::from_raw(i32::try_from(child.id())?);
                let _ = killpg(group, Signal::SIGKILL);
            }
        }
        child.wait().context("cannot wait for the guest")?;
        // The programs in User-Mode Linux are processes too. They die with their kernel and become
        // children of this program, which has no others.
        while waitpid(None, None).is_ok() {}
        Ok(())
    }
}
