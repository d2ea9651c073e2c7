//! Writers and readers whose work can be accounted for: every record has its writer's tag and a
//! number. They change between blocking and not as they go, and go on after every interruption.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fusd_tests::client::{Handle, Outcome, open_with};
use fusd_tests::record;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::readiness::{Waiter, Wanted};

/// Writes `count` records, a few at a time; `told` holds how many of them were taken, whenever this
/// may end.
pub(crate) fn fill(node: &Path, tag: &str, count: u32, told: Option<&Path>) -> Outcome<String> {
    let told = told.map(|path| File::create(path).expect("a file for what is taken"));
    let file = open(node, OFlag::O_WRONLY)?;
    let mut waiter = Waiter::new(&file, Wanted::Writable)?;
    let mut next = 0;
    for round in 0_u32.. {
        if next == count {
            break;
        }
        file.set_nonblocking(round % 3 == 1)?;
        let some = (1 + round % record::AT_ONCE).min(count - next);
        let data: Vec<u8> = (next..next + some)
            .flat_map(|number| record::bytes(tag, number))
            .collect();
        let mut written = 0;
        while written < data.len() {
            match file.write(&data[written..]) {
                Ok(taken) => written += taken,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => waiter.wait()?,
                Err(errno) => return Err(errno),
            }
        }
        next += some;
        if let Some(told) = &told {
            told.write_all_at(&next.to_le_bytes(), 0)
                .expect("what is taken can be told");
        }
    }
    Ok(count.to_string())
}

/// Reads until the end of the file, and keeps all of it in `file`.
pub(crate) fn drain(node: &Path, file: &Path) -> Outcome<String> {
    let mut kept = File::create(file).expect("a file for what is read");
    let node = open(node, OFlag::O_RDONLY)?;
    let mut waiter = Waiter::new(&node, Wanted::Readable)?;
    let mut total = 0;
    for round in 0_u32.. {
        node.set_nonblocking(round % 3 == 1)?;
        match node.read(record::READ) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => {
                kept.write_all(&bytes).expect("what is read can be kept");
                total += bytes.len();
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => waiter.wait()?,
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
