//! The contract: what a client can rely on, row by row. A test of the suite begins with its row's
//! number: `row3_...`.

/// The rows: the first is number 1.
pub(crate) const ROWS: [&str; 16] = [
    "The node is there with its name, mode and owner when the driver says so, and gone when the \
     driver ends, however it ends",
    "Each open that succeeds is released once; the driver may refuse one with any error",
    "Reads and writes of any size, at offsets of 64 bits; a stream has no position (`ESPIPE`)",
    "With `O_NONBLOCK`, also set later, no call waits",
    "poll, select and epoll tell the truth from the first time on, and wake at once; their timeouts \
     hold whatever the driver does",
    "ioctl in both directions, of any size that its number encodes; on demand, old numbers and \
     nested pointers",
    "mmap of memory that the driver offers",
    "SIGKILL ends a waiting client at once, whatever the driver does",
    "Other signals interrupt a call or restart it; no data are lost, none come twice",
    "When the driver ends, waiting calls and later ones fail with `EPIPE`, and poll tells",
    "A driver that opens its own device, or a circle of drivers, gets `EDEADLK`",
    "The driver knows the process, the user and the group of every call",
    "Many calls at once, by as many workers as the driver wants; on one file, in their order",
    "A driver can be restarted under open files",
    "A name that exists, is wrong or is not permitted is refused before anything is made",
    "What a device does not implement never reaches the driver",
];

/// The backends, as the suite's modules are called; a column each.
pub(crate) const BACKENDS: [&str; 3] = ["fuse", "cuse", "kfusd"];

/// The backend and the row, counted from 1, of a test of the suite: `fuse::row3_seek`. The row is
/// `None` for a test of several.
pub(crate) fn place(test: &str) -> Option<(&'static str, Option<usize>)> {
    let (module, name) = test.split_once("::")?;
    let backend = BACKENDS.into_iter().find(|backend| *backend == module)?;
    let row = name
        .strip_prefix("row")
        .and_then(|rest| rest.split('_').next()?.parse().ok())
        .filter(|row| (1..=ROWS.len()).contains(row));
    Some((backend, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_says_its_row() {
        assert_eq!(place("fuse::row3_seek"), Some(("fuse", Some(3))));
        assert_eq!(place("cuse::row16_a_panic"), Some(("cuse", Some(16))));
        assert_eq!(place("fuse::kill_of_drivers"), Some(("fuse", None)));
        assert_eq!(place("fuse::row17_x"), Some(("fuse", None)));
        assert_eq!(place("leftovers_are_found"), None);
    }
}
