//! Writers and readers whose work can be accounted for: every record has its writer's tag and a
//! number. They change between blocking and not as they go, and go on after every interruption.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use fusd_tests::client::{Handle, Outcome, open_with};
use fusd_tests::record;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::os::fd::AsFd;

/// Bytes of a read: whole records.
const READ: usize = 64 * record::SIZE;

/// Writes `count` records, a few at a time.
pub(crate) fn fill(node: &Path, tag: &str, count: u32) -> Outcome<String> {
    let file = open(node, OFlag::O_WRONLY)?;
    let mut next = 0;
    for round in 0_u32.. {
        if next == count {
            break;
        }
        file.set_nonblocking(round % 3 == 1)?;
        let some = (1 + round % 7).min(count - next);
        let data: Vec<u8> = (next..next + some)
            .flat_map(|number| record::bytes(tag, number))
            .collect();
        let mut written = 0;
        while written < data.len() {
            match file.write(&data[written..]) {
                Ok(taken) => written += taken,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => wait(&file, PollFlags::POLLOUT)?,
                Err(errno) => return Err(errno),
            }
        }
        next += some;
    }
    Ok(count.to_string())
}

/// Reads until the end of the file, and keeps all of it in `file`.
pub(crate) fn drain(node: &Path, file: &Path) -> Outcome<String> {
    let mut kept = File::create(file).expect("a file for what is read");
    let node = open(node, OFlag::O_RDONLY)?;
    let mut total = 0;
    for round in 0_u32.. {
        node.set_nonblocking(round % 3 == 1)?;
        match node.read(READ) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => {
                kept.write_all(&bytes).expect("what is read can be kept");
                total += bytes.len();
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => wait(&node, PollFlags::POLLIN)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(total.to_string())
}

/// Opens the node, also where signals come at a bad time.
fn open(node: &Path, flags: OFlag) -> Outcome<Handle> {
    loop {
        match open_with(node, flags) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Waits in poll(2); may return too early.
fn wait(file: &Handle, events: PollFlags) -> Outcome<()> {
    let mut fds = [PollFd::new(file.as_fd(), events)];
    match nix::poll::poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}
