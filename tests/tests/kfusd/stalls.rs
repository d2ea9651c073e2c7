//! Memory that does not answer: one side's page fault that takes for ever (userfaultfd(2), a dead
//! network file system) must hold nobody else.

use std::sync::Arc;

use fusd::wire::{CopyIn, REGISTER_RAW_IOCTL, operation};
use fusd_tests::backend;
use fusd_tests::wait::{start, wait_until};
use nix::errno::Errno;

use crate::driver::{ALL, Driver, answer, message};
use crate::module::tests;
use crate::raw::{self, Stall};
use crate::signals::opened;

/// A stalling page; `None` where there is none, and `test` is to return.
fn stall(test: &str) -> Option<Arc<Stall>> {
    let stall = Stall::new();
    if stall.is_none() {
        backend::skip(test, "this kernel has no userfaultfd");
    }
    stall.map(Arc::new)
}

/// Waits until somebody sleeps in the page.
fn hold(page: &Arc<Stall>) {
    wait_until("somebody is held", || page.holds_somebody());
}

tests! {
    fn a_driver_stalled_in_its_answer_does_not_hold_a_killed_client() {
        let Some(page) = stall("a_driver_stalled_in_its_answer_does_not_hold_a_killed_client")
            else { return };
        let (driver, node) = Driver::with_device(ALL, 0);
        let client = opened(&driver, &node, &["read", "1000"]);
        let request = driver.expect(operation::READ);
        let whole = answer(request.id(), 0, 0, &[b'd'; 1000]);
        let (copy, held) = (driver.duplicate(), Arc::clone(&page));
        let answering = start(move || {
            held.write_behind(copy.control(), &whole[..100], whole.len() - 100)
        });
        hold(&page);
        // Nobody else may answer it meanwhile.
        assert_eq!(driver.answer(request.id(), 0, b"second"), Err(Errno::EBUSY));
        client.kill();
        assert_eq!(driver.expect(operation::INTERRUPT).id(), request.id());
        driver.expect(operation::RELEASE);
        page.release();
        assert_eq!(answering.wait(), Err(Errno::ENOENT), "too late");
    }

    fn a_driver_stalled_in_a_large_answer_reaches_nobody_who_has_gone_on() {
        let Some(page) = stall("a_driver_stalled_in_a_large_answer_reaches_nobody_who_has_gone_on")
            else { return };
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let reading = start(move || {
            let mut memory = vec![0; 65536];
            let count = nix::unistd::read(&file, &mut memory);
            memory.fill(b'c');
            (count, memory, file)
        });
        let request = driver.expect(operation::READ);
        let whole = answer(request.id(), 0, 0, &[b'd'; 65536]);
        let (copy, held) = (driver.duplicate(), Arc::clone(&page));
        let answering = start(move || {
            held.write_behind(copy.control(), &whole[..whole.len() - 100], 100)
        });
        hold(&page);
        driver.unregister(1).expect("unregister");
        let (count, memory, _file) = reading.wait();
        assert_eq!(count, Err(Errno::EPIPE));
        page.release();
        assert_eq!(answering.wait(), Err(Errno::ENOENT), "too late");
        assert!(memory.iter().all(|byte| *byte == b'c'), "its memory is its own");
    }

    fn a_driver_stalled_in_its_read_holds_nobody() {
        let Some(page) = stall("a_driver_stalled_in_its_read_holds_nobody") else { return };
        let (driver, node) = Driver::with_device(ALL, 0);
        let client = opened(&driver, &node, &["write", "1000"]);
        let (copy, held) = (driver.duplicate(), Arc::clone(&page));
        let reading = start(move || held.read(copy.control(), 4096));
        hold(&page);
        client.kill();
        driver.expect(operation::INTERRUPT);
        driver.expect(operation::RELEASE);
        // Another client is served by another thread.
        let (file, _) = driver.open(&node);
        let other = file.start_write(b"x");
        let request = driver.expect(operation::WRITE);
        driver.answer(request.id(), 1, b"").expect("answer");
        assert_eq!(other.wait(), Ok(1));
        page.release();
        assert_eq!(reading.wait(), Ok(64 + 16 + 1000));
    }

    fn a_client_stalled_in_its_buffer_does_not_hold_the_driver() {
        let Some(page) = stall("a_client_stalled_in_its_buffer_does_not_hold_the_driver")
            else { return };
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let (copy, held) = (file.duplicate(), Arc::clone(&page));
        let reading = start(move || held.read(&copy, 100));
        let request = driver.expect(operation::READ);
        driver.answer(request.id(), 0, &[b'c'; 100]).expect("answer");
        hold(&page);
        let other = file.start_read(1);
        let request = driver.expect(operation::READ);
        driver.answer(request.id(), 0, b"o").expect("answer");
        assert_eq!(other.wait().expect("read"), b"o");
        page.release();
        assert_eq!(reading.wait(), Ok(100));
    }

    fn a_client_stalled_in_a_copy_does_not_hold_the_driver() {
        let Some(page) = stall("a_client_stalled_in_a_copy_does_not_hold_the_driver")
            else { return };
        let (driver, node) = Driver::with_device(ALL, REGISTER_RAW_IOCTL);
        let (file, _) = driver.open(&node);
        let copy = file.duplicate();
        let calling = start(move || raw::ioctl_at(&copy, 1, &mut [0; 8]));
        let request = driver.expect(operation::IOCTL);
        let address = page.address();
        let copy = CopyIn { address, length: 64, reserved: 0 };
        let copy = message(operation::COPY_IN, 0, request.id(), &[&copy.to_bytes()]);
        driver.say(&copy).expect("copy");
        hold(&page);
        assert_eq!(driver.say(&copy), Err(Errno::EBUSY), "one at a time");
        assert_eq!(driver.answer(request.id(), 0, b""), Err(Errno::EBUSY));
        let other = file.start_read(1);
        let read = driver.expect(operation::READ);
        driver.answer(read.id(), 0, b"o").expect("answer");
        assert_eq!(other.wait().expect("read"), b"o");
        // The driver may give up on the client, too.
        drop(driver);
        page.release();
        assert_eq!(calling.wait(), Err(Errno::EPIPE));
    }
}
