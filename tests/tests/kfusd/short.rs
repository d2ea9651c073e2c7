//! Short data, and one call after the other on a file: what the module keeps in place and uses again
//! must show nothing of the call before.

use fusd::wire::{Exchange, operation};
use fusd_tests::pattern;
use nix::errno::Errno;

use crate::driver::{ALL, Driver, answer};
use crate::module::tests;
use crate::raw;

/// What the argument of an exchange says once the call is over, and what that returned.
fn exchange(
    driver: &Driver,
    command: &[u8],
    buffer: &mut [u8],
) -> (Result<usize, Errno>, Exchange) {
    let mut exchange = Exchange {
        command: command.as_ptr().expose_provenance() as u64,
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        command_length: u32::try_from(command.len()).expect("a short message"),
        buffer_length: u32::try_from(buffer.len()).expect("a short buffer"),
        reserved: 0,
    };
    let result = raw::exchange_raw(driver, &mut exchange);
    (result, exchange)
}

tests! {
    fn data_of_every_short_length_are_whole() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        // Short and long in turns: what was short before is long next on the same file.
        for length in (1..80).chain((1..80).rev()).flat_map(|length| [length, 80 - length]) {
            let data = pattern::bytes(length as u64, length);
            let writing = file.start_write(&data);
            let request = driver.expect(operation::WRITE);
            assert_eq!(request.written(), data);
            driver.answer(request.id(), length as u64, b"").expect("answer");
            assert_eq!(writing.wait(), Ok(length));

            let reading = file.start_read(length);
            let request = driver.expect(operation::READ);
            driver.answer(request.id(), 0, &data).expect("answer");
            assert_eq!(reading.wait().expect("read"), data);
        }
    }

    fn an_answer_may_be_shorter_than_its_room_and_never_longer() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        for room in [1, 29, 30, 31, 32, 33, 34, 64, 5000] {
            for length in [0, 1, 28, 29, 30, 31, 32, 33].into_iter().filter(|length| *length <= room) {
                let data = pattern::bytes(7, length);
                let reading = file.start_read(room);
                let request = driver.expect(operation::READ);
                let more = pattern::bytes(9, room + 1);
                assert_eq!(driver.answer(request.id(), 0, &more), Err(Errno::EINVAL));
                driver.answer(request.id(), 0, &data).expect("answer");
                assert_eq!(driver.answer(request.id(), 0, &data), Err(Errno::ENOENT), "twice");
                assert_eq!(reading.wait().expect("read"), data);
            }
        }
    }

    fn a_call_after_a_failed_one_begins_anew() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        for length in [3, 300] {
            for errno in [Errno::EAGAIN, Errno::EINTR, Errno::EIO] {
                let reading = file.start_read(length);
                let request = driver.expect(operation::READ);
                driver.refuse(request.id(), errno).expect("answer");
                assert_eq!(reading.wait(), Err(errno));

                let reading = file.start_read(length);
                let request = driver.expect(operation::READ);
                driver.answer(request.id(), 0, b"abc").expect("answer");
                assert_eq!(reading.wait().expect("read"), b"abc");
            }
        }
    }

    fn calls_at_once_on_one_file_do_not_meet() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        for _ in 0..20 {
            let calls: Vec<_> = (0_u64..4)
                .map(|number| {
                    let copy = file.duplicate();
                    let offset = number * 100;
                    (offset, fusd_tests::wait::start(move || copy.read_at(offset, 20)))
                })
                .collect();
            let requests: Vec<_> = calls.iter().map(|_| driver.expect(operation::READ)).collect();
            for request in requests.iter().rev() {
                let data = pattern::bytes(request.transfer().offset, 20);
                driver.answer(request.id(), 0, &data).expect("answer");
            }
            for (offset, call) in calls {
                assert_eq!(call.wait().expect("pread"), pattern::bytes(offset, 20));
            }
        }
    }

    fn an_exchange_that_fails_says_whether_its_message_was_taken() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        driver.control().set_nonblocking(true).expect("fcntl");
        let mut buffer = [0; 4096];
        let reading = file.start_read(4);
        fusd_tests::wait::wait_until("the read arrives", || {
            driver.control().ready(nix::poll::PollFlags::POLLIN) == nix::poll::PollFlags::POLLIN
        });
        let request = driver.expect(operation::READ);
        let message = answer(request.id(), 0, 0, b"once");
        let (result, left) = exchange(&driver, &message, &mut buffer);
        assert_eq!((result, left.command_length), (Err(Errno::EAGAIN), 0));
        assert_eq!(reading.wait().expect("read"), b"once");
        // The same again is refused, and says so.
        let (result, left) = exchange(&driver, &message, &mut buffer);
        assert_eq!(result, Err(Errno::ENOENT));
        assert_eq!(left.command_length as usize, message.len());
    }
}
