//! A control file that outlives its driver, because somebody else has it too: so service managers do
//! with what a service leaves in their store (sd_pid_notify_with_fds(3), `FDSTORE=1`). The driver that
//! they start next gets it, by `LISTEN_FDS` and `LISTEN_FDNAMES`, and says that it is the successor.

use super::*;

use fusd_tests::wait::wait_until;
use nix::poll::PollFlags;

use crate::module::tests;

tests! {
    fn who_gets_the_file_goes_on() {
        for flags in [0, REGISTER_AGAIN] {
            let (driver, name) = kept(flags, LONG);
            let (file, number) = driver.open(&node(&name));
            let reading = file.start_read(5);
            let read = driver.expect(operation::READ);
            let store = driver.duplicate();
            drop(driver);
            // Nobody is told: there still is a control file.
            let writing = file.start_write(b"untouched");
            store.control().poll(PollFlags::POLLIN, deadline()).expect("poll");
            assert!(reading.blocks());
            let next = store.duplicate();
            say(&next, operation::RESUME, 0).expect("resume");
            let charge = Charge::from_bytes(&next.expect(operation::CHARGE).body);
            assert_eq!((charge.devices, charge.files), (1, 1));
            assert_eq!(files(&next)[0].file, number);
            if flags == 0 {
                assert_eq!(reading.wait(), Err(Errno::EPIPE));
                assert_eq!(next.answer(read.id(), 0, b"x"), Err(Errno::ENOENT));
            } else {
                let again = next.expect(operation::READ);
                assert!(is_again(&again));
                next.answer(again.id(), 0, b"again").expect("answer");
                assert_eq!(reading.wait().as_deref(), Ok(&b"again"[..]));
            }
            let write = next.expect(operation::WRITE);
            assert!(!is_again(&write));
            next.answer(write.id(), 9, b"").expect("answer");
            assert_eq!(writing.wait(), Ok(9));
            // Where the store lets go as well, the device waits as long as it says.
            drop((next, store));
            wait_until("there is no driver", || crate::status::line(&node(&name)).driver == 0);
            drop(file);
            successor(&name).0.unregister(1).expect("unregister");
        }
    }
}
