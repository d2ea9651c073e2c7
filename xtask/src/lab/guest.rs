//! A guest of User-Mode Linux: a kernel that is a process, from its start to its end.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, killpg};
use nix::sys::statvfs::statvfs;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// How a guest came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The command ended with this status.
    Status(u8),
    /// The guest was killed at the deadline.
    Deadline,
    /// The guest ended, or could not start the command.
    Lost,
}

/// How to boot a guest.
pub(crate) struct Boot<'a> {
    /// The kernel.
    pub(crate) image: PathBuf,
    /// The folder with the first program.
    pub(crate) folder: &'a Path,
    /// The guest's memory in MiB.
    pub(crate) memory: u32,
    pub(crate) cpus: u32,
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
        let (console, console_end) = io::pipe()?;
        let (output, output_end) = io::pipe()?;
        let (errors, errors_end) = io::pipe()?;
        let (status, status_end) = io::pipe()?;
        let ends = [output_end, errors_end, status_end];
        set_child_subreaper(true).context("cannot become the parent of the guest's processes")?;
        let mut child = self.start(console_end, &ends)?;
        drop(ends);

        let (sender, events) = mpsc::channel();
        let console = collect(console, sender.clone());
        let threads = [
            thread::spawn(move || show(output, io::stdout())),
            thread::spawn(move || show(errors, io::stderr())),
            thread::spawn(move || listen(status, &sender)),
        ];
        let end = wait(&events, self.deadline);
        self.kill(&mut child)?;
        for thread in threads {
            // A closed pipe of this program's own is no reason to fail.
            let _ = thread.join();
        }
        let console = console.join().unwrap_or_default();
        let console = String::from_utf8_lossy(&console).replace('\r', "");
        Ok((end, console))
    }

    fn start(&self, console: PipeWriter, ends: &[PipeWriter; 3]) -> Result<Child> {
        let [output, errors, status] = ends.each_ref().map(|end| end.as_raw_fd());
        for end in ends {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot pass on a pipe")?;
        }
        let folder = self.folder.display();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&self.image)
            .arg(format!("mem={}M", self.memory))
            .arg(format!("ncpus={}", self.cpus))
            .args(["rootfstype=hostfs", "rootflags=/", "ro", "seccomp=on"])
            .arg(format!("init={folder}/init"))
            .arg(format!("uml_dir={folder}/"))
            .args(["con=null", "con0=null,fd:1"])
            .arg(match self.interactive {
                // A terminal is open in both directions.
                true => "con1=fd:0".to_owned(),
                false => format!("con1=null,fd:{output}"),
            })
            .arg(format!("con2=null,fd:{errors}"))
            .arg(format!("con3=null,fd:{status}"))
            .env("TMPDIR", self.memory_folder())
            .stdout(console.try_clone()?)
            .stderr(console);
        match self.interactive {
            true => command.stdin(Stdio::inherit()),
            // A group of its own: it can be killed with all that it started.
            false => command.stdin(Stdio::null()).process_group(0),
        };
        command
            .spawn()
            .context("cannot run setpriv (package util-linux)")
    }

    /// Where the file is that is the guest's memory: in memory, if there is room.
    fn memory_folder(&self) -> PathBuf {
        let shared = Path::new("/dev/shm");
        let room = statvfs(shared).map_or(0, |fs| fs.blocks_available() * fs.fragment_size());
        match room > u64::from(self.memory) << 20 {
            true => shared.to_owned(),
            false => self.folder.to_owned(),
        }
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
        // The guest's programs are processes too. They die with their kernel and become children of
        // this program, which has no others.
        while waitpid(None, None).is_ok() {}
        Ok(())
    }
}

enum Event {
    Told(End),
    /// Nothing holds the console any more.
    Ended,
}

fn wait(events: &Receiver<Event>, deadline: Option<Duration>) -> End {
    let event = match deadline {
        Some(deadline) => events.recv_timeout(deadline),
        None => events.recv().map_err(RecvTimeoutError::from),
    };
    match event {
        Ok(Event::Told(end)) => end,
        Err(RecvTimeoutError::Timeout) => End::Deadline,
        // The last words may still be on their way.
        Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => {
            match events.recv_timeout(Duration::from_secs(1)) {
                Ok(Event::Told(end)) => end,
                _ => End::Lost,
            }
        }
    }
}

/// Gathers the console.
fn collect(mut pipe: PipeReader, sender: Sender<Event>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut console = Vec::new();
        // What was read before an error is kept.
        let _ = pipe.read_to_end(&mut console);
        let _ = sender.send(Event::Ended);
        console
    })
}

/// Passes on what comes, at once. Goes on reading when nobody wants it: the guest shall not wait.
fn show(mut pipe: PipeReader, mut target: impl Write) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        let _ = target.write_all(&buffer[..length]);
        let _ = target.flush();
    }
}

/// Reads what the first program says: `exit STATUS`, or why it cannot go on.
fn listen(mut pipe: PipeReader, sender: &Sender<Event>) {
    let mut line = Vec::new();
    let mut byte = [0];
    while let Ok(1) = pipe.read(&mut byte) {
        match byte[0] {
            b'\n' => {
                let end = parse_end(&String::from_utf8_lossy(&line));
                let _ = sender.send(Event::Told(end));
                line.clear();
            }
            byte => line.push(byte),
        }
    }
}

fn parse_end(line: &str) -> End {
    let line = line.trim();
    match line
        .strip_prefix("exit ")
        .and_then(|status| status.parse().ok())
    {
        Some(status) => End::Status(status),
        None => {
            eprintln!("{line}");
            End::Lost
        }
    }
}

/// Keeps a console for later.
pub(crate) fn save(console: &str, path: &Path) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(console.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_status() {
        assert_eq!(parse_end("exit 0\r"), End::Status(0));
        assert_eq!(parse_end("exit 137"), End::Status(137));
        assert_eq!(parse_end("lab: cannot mount a tmpfs"), End::Lost);
    }

    #[test]
    fn a_status_counts_though_the_console_ended_first() {
        let (sender, events) = mpsc::channel();
        sender.send(Event::Ended).unwrap();
        sender.send(Event::Told(End::Status(3))).unwrap();
        assert_eq!(wait(&events, None), End::Status(3));
        drop(sender);
        assert_eq!(wait(&events, None), End::Lost);
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let (_sender, events) = mpsc::channel();
        assert_eq!(wait(&events, Some(Duration::from_millis(1))), End::Deadline);
    }
}
