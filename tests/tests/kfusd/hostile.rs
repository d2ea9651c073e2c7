//! Drivers that say what they must not: every such message is refused and changes nothing.

use fusd::wire::{self, REPLY_EVENTS, Reply, operation};
use fusd_tests::client::Handle;
use nix::errno::Errno;

use crate::driver::{ALL, Driver, Message, answer, message};
use crate::module::tests;
use crate::raw::{self, HalfMapped};

/// A driver with a read of `length` bytes under way.
fn with_read(
    length: usize,
) -> (
    Driver,
    Handle,
    Message,
    fusd_tests::wait::Started<Result<Vec<u8>, Errno>>,
) {
    let (driver, node) = Driver::with_device(ALL, 0);
    let (file, _) = driver.open(&node);
    let reading = file.start_read(length);
    let request = driver.expect(operation::READ);
    (driver, file, request, reading)
}

tests! {
    fn answers_to_what_is_not_asked_are_refused() {
        let (driver, _file, request, reading) = with_read(4);
        for id in [0, request.id() - 1, request.id() + 1, u64::MAX, u64::MAX - 1, 1 << 63] {
            assert_eq!(driver.answer(id, 0, b"x"), Err(Errno::ENOENT), "{id}");
        }
        let other = Driver::connect();
        assert_eq!(other.answer(request.id(), 0, b"x"), Err(Errno::ENOENT), "another driver");
        driver.answer(request.id(), 0, b"good").expect("answer");
        assert_eq!(driver.answer(request.id(), 0, b"evil"), Err(Errno::ENOENT), "a second answer");
        assert_eq!(reading.wait().expect("read"), b"good");
    }

    fn values_out_of_range_are_refused() {
        let (driver, file, request, reading) = with_read(4);
        let id = request.id();
        assert_eq!(driver.answer(id, 0, b"fives"), Err(Errno::EINVAL), "more than asked");
        assert_eq!(driver.answer(id, 1, b"x"), Err(Errno::EINVAL), "a read has no value");
        assert_eq!(driver.say(&answer(id, 512, 0, b"")), Err(Errno::EINVAL), "ERESTARTSYS");
        assert_eq!(driver.say(&answer(id, 4096, 0, b"")), Err(Errno::EINVAL));
        assert_eq!(driver.say(&answer(id, 5, 0, b"x")), Err(Errno::EINVAL), "an error and data");
        assert_eq!(driver.say(&answer(id, 5, 1, b"")), Err(Errno::EINVAL), "an error and a value");
        let reply = Reply { error: u32::MAX, events: 0, value: 0 };
        let negative = message(operation::REPLY, 0, id, &[&reply.to_bytes()]);
        assert_eq!(driver.say(&negative), Err(Errno::EINVAL));
        let reply = Reply { error: 0, events: 0x20, value: 0 };
        let nval = message(operation::REPLY, REPLY_EVENTS, id, &[&reply.to_bytes()]);
        assert_eq!(driver.say(&nval), Err(Errno::EINVAL), "POLLNVAL is the kernel's");
        driver.answer(id, 0, b"good").expect("nothing has changed");
        assert_eq!(reading.wait().expect("read"), b"good");

        let writing = file.start_write(b"four");
        let id = driver.expect(operation::WRITE).id();
        assert_eq!(driver.answer(id, 5, b""), Err(Errno::EINVAL), "more than written");
        assert_eq!(driver.answer(id, u64::MAX, b""), Err(Errno::EINVAL));
        assert_eq!(driver.answer(id, 4, b"x"), Err(Errno::EINVAL), "data");
        driver.answer(id, 4, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(4));

        let copy = file.duplicate();
        let calling = fusd_tests::wait::start(move || copy.ioctl(1, &mut []));
        let id = driver.expect(operation::IOCTL).id();
        assert_eq!(driver.answer(id, 1 << 31, b""), Err(Errno::EINVAL), "a negative result");
        assert_eq!(driver.answer(id, u64::MAX, b""), Err(Errno::EINVAL));
        driver.answer(id, i32::MAX as u64, b"").expect("answer");
        assert_eq!(calling.wait(), Ok(i32::MAX));
    }

    fn an_answer_whose_memory_ends_is_refused_and_can_be_given_again() {
        let (driver, _file, request, reading) = with_read(5000);
        let whole = answer(request.id(), 0, 0, &[b'd'; 5000]);
        let mut half = HalfMapped::new();
        for there in [1, 15, 16, 31, 32, 33, 63, 64, 65, 100, 4000] {
            half.fill(&whole[..there]);
            let result = half.write(driver.control(), there, whole.len());
            assert_eq!(result, Err(Errno::EFAULT), "{there} bytes of it");
        }
        driver.say(&whole).expect("answer");
        assert_eq!(reading.wait().expect("read"), vec![b'd'; 5000]);
    }

    fn a_read_whose_memory_ends_loses_nothing() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let data = vec![b'w'; 3000];
        let writing = file.start_write(&data);
        let half = HalfMapped::new();
        driver.control().poll(nix::poll::PollFlags::POLLIN, fusd_tests::wait::deadline()).expect("poll");
        for there in [0, 1, 63, 64, 79, 80, 81, 2000, 3079] {
            let result = half.read(driver.control(), there, 4000);
            assert_eq!(result, Err(Errno::EFAULT), "{there} bytes of room");
        }
        let request = driver.expect(operation::WRITE);
        assert_eq!(request.written(), data);
        driver.answer(request.id(), 3000, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(3000));
        driver.expect_nothing();
    }

    fn a_client_whose_memory_ends_gets_the_part_or_efault() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let copy = file.duplicate();
        let calling = fusd_tests::wait::start(move || {
            let half = HalfMapped::new();
            (half.read(&copy, 100, 200), half.tail(100))
        });
        let request = driver.expect(operation::READ);
        driver.answer(request.id(), 0, &[b'c'; 200]).expect("answer");
        let (result, tail) = calling.wait();
        assert_eq!((result, tail), (Ok(100), vec![b'c'; 100]));
        let copy = file.duplicate();
        let calling = fusd_tests::wait::start(move || HalfMapped::new().read(&copy, 0, 200));
        let request = driver.expect(operation::READ);
        driver.answer(request.id(), 0, &[b'c'; 200]).expect("answer");
        assert_eq!(calling.wait(), Err(Errno::EFAULT));
        let copy = file.duplicate();
        let calling = fusd_tests::wait::start(move || HalfMapped::new().write(&copy, 100, 200));
        let request = driver.expect(operation::WRITE);
        assert_eq!(request.written().len(), 100, "what is there");
        driver.answer(request.id(), 100, b"").expect("answer");
        assert_eq!(calling.wait(), Ok(100));
        let nothing = HalfMapped::new();
        assert_eq!(nothing.write(&file, 0, 200), Err(Errno::EFAULT));
        driver.expect_nothing();
    }

    fn a_bad_exchange_is_refused() {
        let (driver, _file, request, reading) = with_read(4);
        let mut buffer = [0; 4096];
        let good = answer(request.id(), 0, 0, b"good");
        let mut exchange = wire::Exchange {
            command: 1,
            buffer: 1,
            command_length: 36,
            buffer_length: 4096,
            reserved: 0,
        };
        assert_eq!(raw::exchange_raw(&driver, &mut exchange), Err(Errno::EFAULT));
        exchange.reserved = 1;
        assert_eq!(raw::exchange_raw(&driver, &mut exchange), Err(Errno::EINVAL));
        exchange.reserved = 0;
        exchange.command_length = u32::MAX;
        assert!(raw::exchange_raw(&driver, &mut exchange).is_err());
        driver.control().set_nonblocking(true).expect("fcntl");
        assert_eq!(raw::exchange(&driver, &good[..30], &mut buffer), Err(Errno::EINVAL));
        assert_eq!(raw::exchange(&driver, &good, &mut buffer), Err(Errno::EAGAIN), "taken");
        assert_eq!(reading.wait().expect("read"), b"good");
    }
}
