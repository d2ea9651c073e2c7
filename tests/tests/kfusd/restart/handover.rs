//! The driver lives, and another one takes its place: the first finishes what it has, and only then
//! does the second begin.

use super::*;

use fusd_tests::wait::{Started, start, wait_until};
use nix::poll::PollFlags;

use crate::ioctls::{copied, copy_in, start_raw};
use crate::module::tests;
use crate::signals;

/// A second driver for `name`, whose first one lives.
#[track_caller]
fn replacing(name: &str) -> Driver {
    let control = raw::adopt(&Driver::connect(), name.as_bytes(), wire::ADOPT_REPLACE);
    Driver::successor(control.expect("adopt"))
}

tests! {
    fn the_first_finishes_and_the_second_begins() {
        let (first, name) = kept(0, LONG);
        let (file, number) = first.open(&node(&name));
        let reading = file.start_read(5);
        let read = first.expect(operation::READ);
        let second = replacing(&name);
        first.expect(operation::SUCCESSOR);
        first.expect_nothing();
        second.expect_nothing();
        let writing = file.start_write(b"for the second");
        wait_until("it waits", || crate::status::line(&node(&name)).waiting == 2);
        first.expect_nothing();
        second.expect_nothing();
        // The first still has its say.
        set_cookie(&first, number, 5).expect("cookie");
        first.notify(number, PollFlags::POLLIN).expect("notify");
        assert_eq!(second.answer(read.id(), 0, b"x"), Err(Errno::ENOENT), "not its own");
        first.answer(read.id(), 0, b"first").expect("answer");
        assert_eq!(reading.wait().as_deref(), Ok(&b"first"[..]));
        second.expect_nothing();
        drop(first);
        let charge = Charge::from_bytes(&second.expect(operation::CHARGE).body);
        assert_eq!((charge.devices, charge.files), (1, 1));
        assert_eq!(files(&second)[0].cookie, 5);
        assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::POLLIN);
        let write = second.expect(operation::WRITE);
        assert!(!is_again(&write));
        assert_eq!(write.written(), b"for the second");
        second.answer(write.id(), 14, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(14));
        drop(file);
        second.expect(operation::RELEASE);
        second.unregister(1).expect("unregister");
    }

    fn what_was_not_begun_is_given_back() {
        // Not even a device whose calls fail otherwise loses one.
        let (first, name) = kept(0, LONG);
        let (file, _) = first.open(&node(&name));
        let data = vec![b'd'; 300];
        let writing = file.start_write(&data);
        let write = first.expect(operation::WRITE);
        let second = replacing(&name);
        first.expect(operation::SUCCESSOR);
        assert_eq!(say(&second, operation::BACK, write.id()), Err(Errno::ENOENT));
        say(&first, operation::BACK, write.id()).expect("back");
        assert_eq!(say(&first, operation::BACK, write.id()), Err(Errno::ENOENT));
        assert_eq!(first.answer(write.id(), 1, b""), Err(Errno::ENOENT));
        first.expect_nothing();
        drop(first);
        second.expect(operation::CHARGE);
        let again = second.expect(operation::WRITE);
        assert!(!is_again(&again));
        assert_eq!((again.id(), again.written()), (write.id(), &data[..]));
        // Without a successor, it comes back to who gave it.
        say(&second, operation::BACK, write.id()).expect("back");
        let again = second.expect(operation::WRITE);
        assert_eq!(again.written(), data);
        second.answer(again.id(), 300, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(300));
        second.unregister(1).expect("unregister");
    }

    fn signals_and_copies_reach_who_has_the_request() {
        let (first, name) = kept(wire::REGISTER_RAW_IOCTL, LONG);
        let node = node(&name);
        let (file, _) = first.open(&node);
        let calling = start_raw(&file, 0x5401, b"memory");
        let ioctl = first.expect(operation::IOCTL);
        let client = signals::opened(&first, &node, &["read", "1"]);
        let read = first.expect(operation::READ);
        let second = replacing(&name);
        first.expect(operation::SUCCESSOR);
        let copy = copy_in(ioctl.id(), ioctl.ioctl().argument, 6);
        assert_eq!(second.say(&copy), Err(Errno::ENOENT));
        first.say(&copy).expect("copy");
        assert_eq!(copied(&first, ioctl.id()), (0, b"memory".to_vec()));
        client.kill();
        let interrupt = first.expect(operation::INTERRUPT);
        assert_eq!(interrupt.id(), read.id());
        second.expect_nothing();
        first.answer(ioctl.id(), 0, b"").expect("answer");
        calling.wait().0.expect("ioctl");
        drop(first);
        second.expect(operation::CHARGE);
        // Of the file that the killed client had.
        second.expect(operation::RELEASE);
        second.unregister(1).expect("unregister");
    }

    fn who_takes_too_long_loses_what_it_has() {
        for flags in [0, REGISTER_AGAIN] {
            let (first, name) = kept(flags, 50);
            let (file, number) = first.open(&node(&name));
            let reading = file.start_read(5);
            let read = first.expect(operation::READ);
            let second = replacing(&name);
            second.expect(operation::CHARGE);
            if flags == 0 {
                assert_eq!(reading.wait(), Err(Errno::EPIPE));
            } else {
                let again = second.expect(operation::READ);
                assert!(is_again(&again));
                assert_eq!(first.answer(read.id(), 0, b"late"), Err(Errno::ENOENT));
                second.answer(again.id(), 0, b"right").expect("answer");
                assert_eq!(reading.wait().as_deref(), Ok(&b"right"[..]));
            }
            // It has no say any more.
            assert_eq!(first.notify(number, PollFlags::POLLIN), Err(Errno::ESTALE));
            assert_eq!(set_cookie(&first, number, 1), Err(Errno::ESTALE));
            assert_eq!(first.unregister(1), Err(Errno::ESTALE));
            assert_eq!(say(&first, operation::RESUME, 0), Err(Errno::ESTALE));
            assert_eq!(register(&first, &crate::driver::name(), 2, 0, 1), Err(Errno::ESTALE));
            assert_eq!(first.read().map(drop), Err(Errno::ESTALE));
            drop(first);
            let reading = file.start_read(5);
            let read = second.expect(operation::READ);
            second.answer(read.id(), 0, b"go on").expect("answer");
            assert_eq!(reading.wait().as_deref(), Ok(&b"go on"[..]));
            second.unregister(1).expect("unregister");
        }
    }

    fn a_successor_may_end_before_it_has_begun() {
        let (first, name) = kept(0, LONG);
        let (file, _) = first.open(&node(&name));
        let reading = file.start_read(1);
        let read = first.expect(operation::READ);
        let second = replacing(&name);
        let third = replacing(&name);
        first.expect(operation::SUCCESSOR);
        second.expect(operation::SUCCESSOR);
        drop(second);
        third.expect_nothing();
        drop(third);
        first.answer(read.id(), 0, b"1").expect("answer");
        reading.wait().expect("read");
        // The next one waits for the first likewise.
        let last = adopted(&Driver::connect(), &name);
        last.expect_nothing();
        drop(first);
        last.expect(operation::CHARGE);
        let reading = file.start_read(1);
        let read = last.expect(operation::READ);
        last.answer(read.id(), 0, b"2").expect("answer");
        assert_eq!(reading.wait().as_deref(), Ok(&b"2"[..]));
        last.unregister(1).expect("unregister");
    }

    fn readers_of_either_side_are_woken_for_their_own() {
        // With threads that wait in their reads, on both sides.
        let (mut first, name) = kept(REGISTER_AGAIN, LONG);
        for _ in 0..30 {
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    let driver = first.duplicate();
                    start(move || driver.read().expect("a message").header.operation)
                })
                .collect();
            let second = replacing(&name);
            let charged = {
                let second = second.duplicate();
                start(move || second.read().expect("a message").header.operation)
            };
            for _ in 0..2 {
                say(&first, operation::NUDGE, 0).expect("nudge");
            }
            let mut told: Vec<_> = waiting.into_iter().map(Started::wait).collect();
            told.sort_unstable();
            assert_eq!(told, [operation::NUDGED, operation::NUDGED, operation::SUCCESSOR]);
            assert!(charged.blocks());
            drop(first);
            assert_eq!(charged.wait(), operation::CHARGE);
            first = second;
        }
        first.unregister(1).expect("unregister");
    }
}
