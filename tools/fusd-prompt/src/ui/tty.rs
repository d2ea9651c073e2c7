//! The terminal that the person is at: taken while there is something to ask, and given back on every
//! way out of here.
//!
//! While it is taken it sends keys one by one, also Ctrl-C and Ctrl-Z, and echoes nothing. What was typed
//! before, and what was typed and not read, is dropped at each change. One that is another job's by now is
//! left alone until it is this one's again.
//!
//! It is opened anew, to be read and written without waiting: others have it open as well, may have
//! read what was there, and a terminal may take no output for as long as it likes.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, TryLockError};
use std::thread;
use std::time::Duration;

use crossterm::cursor::Show;
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::OFlags;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush,
    tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
};

use super::turn::{self, Turn};

/// The terminal that is taken.
static TAKEN: Mutex<Option<Lease>> = Mutex::new(None);

/// A terminal, and its settings as they were.
struct Lease {
    file: File,
    settings: Termios,
    /// Not while it is another job's.
    turn: Option<Turn>,
}

/// Has the terminal say where a paste begins and ends (xterm's mode 2004), or not.
const PASTES_ARE_MARKED: &str = "\x1b[?2004h";
const PASTES_ARE_NOT: &str = "\x1b[?2004l";

/// How many milliseconds a terminal may take nothing before the rest of what is written is dropped.
const PATIENCE: u16 = 1000;

/// How often, and how many milliseconds apart, it is looked at the end whether another thread has given
/// the terminal back.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// Columns and rows of a terminal that does not tell.
const SIZE: (u16, u16) = (80, 24);

/// The person's terminal.
pub(crate) struct Tty {
    file: File,
    /// Where everybody finds it, if it can be told: /dev/tty is another one for each session.
    node: Option<PathBuf>,
}

impl Tty {
    /// The terminal that controls this process's session. Another one is some other session's, whose
    /// shell reads it.
    pub(crate) fn find() -> Option<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true);
        // Lossless: flags are an int everywhere.
        let options = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open("/dev/tty").ok()?;
        let node = turn::terminal();
        Some(Self { file, node })
    }

    /// Whether the terminal is this job's now: in the background it must not be touched.
    pub(crate) fn is_ours(&self) -> bool {
        is_ours(&self.file)
    }

    /// Takes the terminal; what was typed up to now is dropped. False where another of these programs has
    /// it.
    ///
    /// # Errors
    /// It has gone.
    pub(crate) fn take(&self) -> io::Result<bool> {
        let Some(turn) = lease_turn(&mut lock()).or_else(|| turn::take(self.node.as_deref()))
        else {
            return Ok(false);
        };
        // Only now: before, it may have been as the other program needs it.
        let settings = tcgetattr(&self.file)?;
        let file = self.file.try_clone()?;
        let mut taken = lock();
        // What it was before this program had it for the first time is what counts.
        let before = taken.take().map(|lease| lease.settings);
        *taken = Some(Lease {
            file,
            settings: before.unwrap_or_else(|| settings.clone()),
            turn: Some(turn),
        });
        drop(taken);
        // Not OptionalActions::Flush, which waits until all output is taken.
        tcsetattr(&self.file, OptionalActions::Now, &raw(settings))?;
        self.drop_input();
        let mut begin = Vec::new();
        queue!(
            begin,
            EnterAlternateScreen,
            Print(PASTES_ARE_MARKED),
            DisableLineWrap
        )?;
        self.write(&begin)?;
        Ok(true)
    }

    /// Sets it up anew, after another process may have changed it.
    ///
    /// # Errors
    /// It has gone.
    pub(crate) fn take_again(&self) -> io::Result<()> {
        give_back();
        self.take().map(drop)
    }

    /// Drops what has been typed and not been read yet.
    pub(crate) fn drop_input(&self) {
        // Where it has gone, there is nothing to drop.
        let _gone = tcflush(&self.file, QueueSelector::IFlush);
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (u16, u16) {
        match tcgetwinsize(&self.file) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            _ => SIZE,
        }
    }

    /// Reads what has been typed; none is there where it returns 0.
    ///
    /// # Errors
    /// It has gone (`EIO`).
    pub(crate) fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        match (&self.file).read(room) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            read => read,
        }
    }

    /// Writes all of it. Where the terminal takes nothing for a while, the rest is dropped: the whole
    /// screen is drawn anew soon.
    ///
    /// # Errors
    /// It has gone (`EIO`).
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        write(&self.file, bytes)
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn write(mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut fds, PollTimeout::from(PATIENCE)) {
                    Ok(0) => return Ok(()),
                    Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives the terminal back as it was, if it is taken. Nothing that was typed is left for the shell.
pub(crate) fn give_back() {
    restore(&mut lock());
}

/// The same where nothing may wait for long: at the end of the process.
pub(crate) fn give_back_at_exit() {
    for _ in 0..LOOKS {
        match TAKEN.try_lock() {
            Ok(mut taken) => return restore(&mut taken),
            Err(TryLockError::Poisoned(error)) => return restore(&mut error.into_inner()),
            // Somebody does it at this moment, and the process must not end in the middle of it.
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
        }
    }
}

/// Has a panic of the thread of this name be read on a terminal that is as it was.
pub(super) fn give_back_at_panic(name: &'static str) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some(name) {
            give_back_at_exit();
        }
        before(panic);
    }));
}

fn restore(taken: &mut Option<Lease>) {
    let Some(lease) = taken else { return };
    if !is_ours(&lease.file) && tcgetpgrp(&lease.file).is_ok() {
        // Another job's: it is given back when it is this one's again. Meanwhile others may ask there.
        lease.turn = None;
        return;
    }
    // Nobody else's turn comes before the settings are as they were.
    let Some(Lease {
        file,
        settings,
        turn: _until_the_end,
    }) = taken.take()
    else {
        return;
    };
    let mut end = Vec::new();
    let queued = queue!(
        end,
        EnableLineWrap,
        Print(PASTES_ARE_NOT),
        LeaveAlternateScreen,
        Show
    );
    // Where it has gone, there is nobody to give it back to. First what does not wait for anything; what
    // was typed is dropped before the settings make lines of it, and what came meanwhile after it.
    let _gone = tcflush(&file, QueueSelector::IFlush);
    let _gone = tcsetattr(&file, OptionalActions::Now, &settings);
    let _gone = tcflush(&file, QueueSelector::IFlush);
    let _gone = queued.and_then(|()| write(&file, &end));
}

fn lock() -> std::sync::MutexGuard<'static, Option<Lease>> {
    TAKEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The turn that is had already.
fn lease_turn(taken: &mut Option<Lease>) -> Option<Turn> {
    taken.as_mut().and_then(|lease| lease.turn.take())
}

/// Whether a terminal is this job's; one that has gone is nobody's.
fn is_ours(file: &File) -> bool {
    tcgetpgrp(file)
        .is_ok_and(|group| group.as_raw_nonzero().get() == nix::unistd::getpgrp().as_raw())
}

/// The settings under which keys come one by one.
pub(super) fn raw(mut settings: Termios) -> Termios {
    settings.input_modes -= InputModes::ICRNL
        | InputModes::INLCR
        | InputModes::IGNCR
        | InputModes::ISTRIP
        | InputModes::IXON
        | InputModes::IXOFF;
    // No signals: Ctrl-C and Ctrl-Z may be a part of what is pasted.
    settings.local_modes -= LocalModes::ICANON
        | LocalModes::ECHO
        | LocalModes::ECHONL
        | LocalModes::IEXTEN
        | LocalModes::ISIG;
    // Another program that reads waits; with 0 it would see the end of the file.
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    settings
}

#[cfg(test)]
pub(super) mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// A pseudo-terminal: this side, and the person's.
    pub(crate) fn pair() -> (File, Tty) {
        let person = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/ptmx")
            .unwrap();
        rustix::pty::unlockpt(&person).unwrap();
        let path = rustix::pty::ptsname(&person, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
        let tty = rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).unwrap();
        let node = Some(path.into_string().unwrap().into());
        let file = tty.into();
        (person, Tty { file, node })
    }

    fn settings(tty: &Tty) -> String {
        format!("{:?}", tcgetattr(&tty.file).unwrap())
    }

    /// Types, and waits until it has arrived: the kernel takes it over at its leisure.
    fn types(person: &mut File, tty: &Tty, keys: &str) {
        person.write_all(keys.as_bytes()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while rustix::io::ioctl_fionread(&tty.file).unwrap() < keys.len() as u64 {
            assert!(Instant::now() < deadline, "{keys:?} does not arrive");
            thread::yield_now();
        }
    }

    /// One test, as what is taken is the process's.
    #[test]
    fn it_is_given_back_as_it_was_with_nothing_left_to_read() {
        let (mut person, tty) = pair();
        let before = settings(&tty);
        types(&mut person, &tty, "too early\n");
        assert!(tty.take().unwrap());
        assert_ne!(settings(&tty), before);
        assert!(
            turn::take(tty.node.as_deref()).is_none(),
            "nobody else has it meanwhile"
        );
        let mut room = [0; 32];
        assert_eq!(
            tty.read(&mut room).unwrap(),
            0,
            "what came before is dropped"
        );
        types(&mut person, &tty, "x\r");
        assert_eq!(tty.read(&mut room).unwrap(), 2);
        types(&mut person, &tty, "too late\n");
        // A panic of the terminal's thread gives it back, before anything is said of it.
        give_back_at_panic("terminal-test");
        let asks = thread::Builder::new().name("terminal-test".into());
        let panicked = asks.spawn(|| panic!("somewhere")).unwrap();
        assert!(panicked.join().is_err());
        assert_eq!(settings(&tty), before);
        // Also where the thread had the lock, which is poisoned now.
        assert!(tty.take().unwrap());
        let panicked = thread::spawn(|| {
            let _taken = lock();
            panic!("the lock is poisoned now");
        });
        assert!(panicked.join().is_err());
        tty.take_again().unwrap();
        types(&mut person, &tty, "too late\r");
        give_back_at_exit();
        give_back();
        assert_eq!(settings(&tty), before);
        let pending = rustix::io::ioctl_fionread(&tty.file).unwrap();
        assert_eq!(pending, 0, "what came after is dropped");
        // A terminal that takes nothing holds up neither the screen nor the end.
        assert!(tty.take().unwrap());
        rustix::termios::tcflow(&tty.file, rustix::termios::Action::OOff).unwrap();
        tty.write(&[b'x'; 1 << 20]).unwrap();
        give_back();
        assert_eq!(settings(&tty), before);
    }
}
