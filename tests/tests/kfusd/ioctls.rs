//! ioctl: arguments by the encoded size, raw numbers, and copies of the caller's memory.

use fusd::IoctlCommand;
use fusd::wire::{Copied, CopyIn, CopyOut, Ioctl, REGISTER_RAW_IOCTL, operation};
use fusd_tests::client::{Handle, Outcome};
use fusd_tests::sys;
use fusd_tests::wait::{Started, start};
use nix::errno::Errno;

use crate::driver::{ALL, Driver, message};
use crate::module::tests;
use crate::raw::{HalfMapped, ioctl_at};

/// An ioctl on a thread of its own: its result, and the argument afterwards.
fn start_ioctl(file: &Handle, number: u32, argument: &[u8]) -> Started<(Outcome<i32>, Vec<u8>)> {
    let file = file.duplicate();
    let mut argument = argument.to_vec();
    start(move || {
        let result = file.ioctl(number, &mut argument);
        (result, argument)
    })
}

/// The same, as a raw ioctl with the argument's address.
pub(crate) fn start_raw(
    file: &Handle,
    number: u32,
    argument: &[u8],
) -> Started<(Outcome<i32>, Vec<u8>)> {
    let file = file.duplicate();
    let mut argument = argument.to_vec();
    start(move || {
        let result = ioctl_at(&file, number, &mut argument);
        (result, argument)
    })
}

pub(crate) fn copy_in(id: u64, address: u64, length: u32) -> Vec<u8> {
    let copy = CopyIn {
        address,
        length,
        reserved: 0,
    };
    message(operation::COPY_IN, 0, id, &[&copy.to_bytes()])
}

pub(crate) fn copy_out(id: u64, address: u64, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short");
    let copy = CopyOut {
        address,
        length,
        reserved: 0,
    };
    message(operation::COPY_OUT, 0, id, &[&copy.to_bytes(), data])
}

/// Waits for the end of a copy: its errno, and what was copied in.
#[track_caller]
pub(crate) fn copied(driver: &Driver, id: u64) -> (u32, Vec<u8>) {
    let message = driver.expect(operation::COPIED);
    assert_eq!(message.id(), id);
    (
        Copied::from_bytes(&message.body).error,
        message.body[Copied::SIZE..].to_vec(),
    )
}

tests! {
    fn the_encoded_size_moves_the_argument() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        for size in [1, 4, 8, 4096, 16383] {
            let given: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let both = IoctlCommand::read_write(b'k', 3, size);
            let calling = start_ioctl(&file, both.raw(), &given);
            let request = driver.expect(operation::IOCTL);
            let ioctl = request.ioctl();
            assert_eq!(ioctl.command, both.raw());
            assert_eq!((ioctl.in_size, ioctl.out_size), (size.into(), size.into()));
            assert_eq!(request.body[Ioctl::SIZE..], given);
            let answer = vec![0xaa; size.into()];
            driver.answer(request.id(), 5, &answer).expect("answer");
            assert_eq!(calling.wait(), (Ok(5), answer));
        }
        // One way only, and an answer that is short.
        let read = IoctlCommand::read(b'k', 4, 8);
        let calling = start_ioctl(&file, read.raw(), &[9; 8]);
        let request = driver.expect(operation::IOCTL);
        assert_eq!((request.ioctl().in_size, request.body.len()), (0, Ioctl::SIZE));
        driver.answer(request.id(), 0, &[1, 2, 3]).expect("answer");
        assert_eq!(calling.wait(), (Ok(0), vec![1, 2, 3, 9, 9, 9, 9, 9]));
        let write = IoctlCommand::write(b'k', 5, 4);
        let calling = start_ioctl(&file, write.raw(), &[7; 4]);
        let request = driver.expect(operation::IOCTL);
        assert_eq!(request.ioctl().out_size, 0);
        assert_eq!(driver.answer(request.id(), 0, &[1]), Err(Errno::EINVAL), "nobody asked");
        driver.answer(request.id(), 0, b"").expect("answer");
        assert_eq!(calling.wait(), (Ok(0), vec![7; 4]));
    }

    fn plain_values_and_errors() {
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let copy = file.duplicate();
        let none = IoctlCommand::none(b'k', 9);
        let calling = start(move || sys::ioctl_value(&copy, none.raw(), 0x1234_5678_9abc));
        let request = driver.expect(operation::IOCTL);
        assert_eq!(request.ioctl().argument, 0x1234_5678_9abc);
        driver.refuse(request.id(), Errno::ENOTTY).expect("answer");
        assert_eq!(calling.wait(), Err(Errno::ENOTTY));
        // A bad address never gets to the driver.
        let write = IoctlCommand::write(b'k', 5, 4);
        assert_eq!(sys::ioctl_nowhere(&file, write.raw()), Err(Errno::EFAULT));
        driver.expect_nothing();
    }

    fn raw_numbers_and_copies() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_RAW_IOCTL);
        let (file, _) = driver.open(&node);
        // TCGETS encodes nothing; _IOW('k', 5, 4) does, and is bare here all the same.
        for number in [0x5401, IoctlCommand::write(b'k', 5, 4).raw()] {
            let calling = start_raw(&file, number, b"the caller's memory");
            let request = driver.expect(operation::IOCTL);
            let (id, ioctl) = (request.id(), request.ioctl());
            assert_eq!((ioctl.command, ioctl.in_size, ioctl.out_size), (number, 0, 0));
            driver.say(&copy_in(id, ioctl.argument, 10)).expect("copy");
            assert_eq!(copied(&driver, id), (0, b"the caller".to_vec()));
            driver.say(&copy_in(id, ioctl.argument + 4, 6)).expect("copy");
            assert_eq!(copied(&driver, id), (0, b"caller".to_vec()));
            driver.say(&copy_out(id, ioctl.argument, b"THE")).expect("copy");
            assert_eq!(copied(&driver, id), (0, vec![]));
            // What is not there is an error for the driver, and the caller goes on.
            for address in [0, 1, u64::MAX, 1 << 63, 0xffff_8000_0000_0000] {
                driver.say(&copy_in(id, address, 4)).expect("copy");
                assert_eq!(copied(&driver, id), (14, vec![]), "{address:#x}");
                driver.say(&copy_out(id, address, b"abcd")).expect("copy");
                assert_eq!(copied(&driver, id), (14, vec![]), "{address:#x}");
            }
            driver.answer(id, 3, b"").expect("answer");
            assert_eq!(calling.wait(), (Ok(3), b"THE caller's memory".to_vec()));
        }
    }

    fn a_copy_across_the_end_of_memory_fails_whole() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_RAW_IOCTL);
        let (file, _) = driver.open(&node);
        let mut half = HalfMapped::new();
        half.fill(b"there");
        let calling = start_raw(&file, 1, b"x");
        let id = driver.expect(operation::IOCTL).id();
        driver.say(&copy_in(id, half.address(5), 5)).expect("copy");
        assert_eq!(copied(&driver, id), (0, b"there".to_vec()));
        driver.say(&copy_in(id, half.address(5), 6)).expect("copy");
        assert_eq!(copied(&driver, id), (14, vec![]), "no byte of it is told");
        driver.answer(id, 0, b"").expect("answer");
        assert_eq!(calling.wait().0, Ok(0));
    }

    fn copies_are_for_the_pending_request_alone() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_RAW_IOCTL);
        let (file, _) = driver.open(&node);
        let calling = start_raw(&file, 1, b"memory");
        let request = driver.expect(operation::IOCTL);
        let (id, at) = (request.id(), request.ioctl().argument);
        let other = Driver::connect();
        assert_eq!(other.say(&copy_in(id, at, 1)), Err(Errno::ENOENT), "not the other's");
        assert_eq!(driver.say(&copy_in(id + 1, at, 1)), Err(Errno::ENOENT));
        assert_eq!(driver.say(&copy_in(0, at, 1)), Err(Errno::ENOENT));
        assert_eq!(driver.say(&copy_in(id, at, 0)), Err(Errno::EINVAL));
        assert_eq!(driver.say(&copy_in(id, at, u32::MAX)), Err(Errno::EINVAL));
        driver.answer(id, 0, b"").expect("answer");
        assert_eq!(calling.wait().0, Ok(0));
        assert_eq!(driver.say(&copy_in(id, at, 1)), Err(Errno::ENOENT), "it is over");
        assert_eq!(driver.say(&copy_out(id, at, b"x")), Err(Errno::ENOENT), "it is over");
        // Not for other calls, and not on devices of encoded sizes.
        let reading = file.start_read(1);
        let request = driver.expect(operation::READ);
        assert_eq!(driver.say(&copy_in(request.id(), at, 1)), Err(Errno::EINVAL));
        driver.answer(request.id(), 0, b"r").expect("answer");
        reading.wait().expect("read");
        let (driver, node) = Driver::with_device(ALL, 0);
        let (file, _) = driver.open(&node);
        let calling = start_raw(&file, 1, b"memory");
        let request = driver.expect(operation::IOCTL);
        assert_eq!(driver.say(&copy_in(request.id(), at, 1)), Err(Errno::EINVAL));
        driver.answer(request.id(), 0, b"").expect("answer");
        calling.wait().0.expect("ioctl");
    }
}
