//! Drivers that end, and others that go on in their place, under the open files of clients.

mod handover;
mod keeping;
mod marathon;
mod storing;

use fusd::wire::{
    self, Charge, Cookie, FileRecord, IOCTL_FILES, REGISTER_AGAIN, REGISTER_KEEP, REQUEST_AGAIN,
    Register, operation,
};
use fusd_tests::client::Outcome;
use fusd_tests::wait::{deadline, holds_within};
use nix::errno::Errno;

use crate::driver::{ALL, Driver, Message, message, name, node, registration};
use crate::raw;

/// A limit that is not to be reached.
pub(crate) const LONG: u32 = 600_000;

/// A driver with a device that is kept, and the device's name.
pub(crate) fn kept(flags: u32, keep: u32) -> (Driver, String) {
    let driver = Driver::connect();
    let name = name();
    register(&driver, &name, 1, flags, keep).expect("register");
    (driver, name)
}

/// Registers a device that is kept.
fn register(driver: &Driver, name: &str, device: u64, flags: u32, keep: u32) -> Outcome<()> {
    let register = Register {
        device,
        operations: ALL,
        flags: flags | REGISTER_KEEP,
        mode: 0o666,
        keep,
        ..Register::default()
    };
    driver.say(&registration(register, name))
}

/// A driver that has taken over the device `name`, and its charge.
#[track_caller]
pub(crate) fn successor(name: &str) -> (Driver, Charge) {
    let driver = adopted(&Driver::connect(), name);
    let charge = driver.expect(operation::CHARGE);
    (driver, Charge::from_bytes(&charge.body))
}

/// Takes over the device `name`, whose driver is gone.
#[track_caller]
fn adopted(driver: &Driver, name: &str) -> Driver {
    let mut last = Err(Errno::EBUSY);
    // A process that another test starts just now has the old one's control file, too, until it is
    // another program.
    holds_within(deadline(), || {
        last = raw::adopt(driver, name.as_bytes(), 0);
        !matches!(last, Err(Errno::EBUSY))
    });
    Driver::successor(last.expect("adopt"))
}

/// The open files that a driver finds.
fn files(driver: &Driver) -> Vec<FileRecord> {
    let mut all: Vec<FileRecord> = Vec::new();
    loop {
        let mut buffer = [0; 3 * FileRecord::SIZE];
        let from = all.last().map_or(0, |last| last.file + 1);
        let count = raw::list(driver, IOCTL_FILES, from, &mut buffer).expect("files");
        let records = buffer.chunks(FileRecord::SIZE).take(count);
        all.extend(records.map(FileRecord::from_bytes));
        if count == 0 {
            return all;
        }
    }
}

/// Sets the cookie of a file.
fn set_cookie(driver: &Driver, file: u64, cookie: u64) -> Outcome<()> {
    let cookie = Cookie { file, cookie };
    driver.say(&message(operation::COOKIE, 0, 0, &[&cookie.to_bytes()]))
}

/// Whether a driver that is gone had the request.
fn is_again(request: &Message) -> bool {
    request.header.flags & REQUEST_AGAIN != 0
}

/// Has messages without a fixed part.
fn say(driver: &Driver, operation: u16, id: u64) -> Outcome<()> {
    driver.say(&message(operation, 0, id, &[]))
}
