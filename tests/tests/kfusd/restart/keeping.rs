//! The driver has gone, and its device waits.

use super::*;

use fusd::wire::{Adopt, DeviceRecord, IOCTL_DEVICES, List, REGISTER_RAW_IOCTL, STATUS_NAME};
use fusd_tests::client;
use fusd_tests::wait::{start, wait_until};
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::driver::open;
use crate::ioctls::{copied, copy_in, copy_out, start_raw};
use crate::loading::remove;
use crate::module::{self, tests};

tests! {
    fn what_the_driver_had_is_given_again() {
        let (driver, name) = kept(REGISTER_AGAIN, LONG);
        let (file, number) = driver.open(&node(&name));
        driver.notify(number, PollFlags::POLLIN).expect("notify");
        let reading = file.start_read(5);
        let first = driver.expect(operation::READ);
        let data = vec![b'w'; 5000];
        let writing = file.start_write(&data);
        let second = driver.expect(operation::WRITE);
        assert!(!is_again(&first) && !is_again(&second));
        let untouched = file.start_read(6);
        driver.control().poll(PollFlags::POLLIN, deadline()).expect("poll");
        drop(driver);
        let (next, charge) = successor(&name);
        assert_eq!((charge.files, charge.devices), (1, 1));
        assert_eq!(charge.features, wire::FEATURES);
        // Polls go on with what was said last.
        assert_eq!(file.ready(PollFlags::POLLIN), PollFlags::POLLIN);
        let read = next.expect(operation::READ);
        assert!(is_again(&read) && read.header.file == number);
        assert_eq!(read.id(), first.id());
        let write = next.expect(operation::WRITE);
        assert!(is_again(&write));
        assert_eq!(write.written(), data);
        let fresh = next.expect(operation::READ);
        assert!(!is_again(&fresh));
        next.answer(fresh.id(), 0, b"third").expect("answer");
        next.answer(write.id(), 5000, b"").expect("answer");
        next.answer(read.id(), 0, b"first").expect("answer");
        assert_eq!(reading.wait().as_deref(), Ok(&b"first"[..]));
        assert_eq!(writing.wait(), Ok(5000));
        assert_eq!(untouched.wait().as_deref(), Ok(&b"third"[..]));
        // And so on, with another one.
        let reading = file.start_read(1);
        next.expect(operation::READ);
        drop(next);
        let (last, _) = successor(&name);
        let read = last.expect(operation::READ);
        assert!(is_again(&read));
        last.answer(read.id(), 0, b"x").expect("answer");
        assert_eq!(reading.wait().as_deref(), Ok(&b"x"[..]));
        drop(file);
        assert_eq!(last.expect(operation::RELEASE).header.file, number);
        last.expect_nothing();
        last.unregister(1).expect("unregister");
        assert!(!node(&name).exists());
    }

    fn what_the_driver_had_fails_where_the_device_says_so() {
        let (driver, name) = kept(0, LONG);
        let (file, _) = driver.open(&node(&name));
        let reading = file.start_read(5);
        driver.expect(operation::READ);
        let opening = open(&node(&name), OFlag::O_RDONLY);
        driver.expect(operation::OPEN);
        let writing = file.start_write(b"untouched");
        driver.control().poll(PollFlags::POLLIN, deadline()).expect("poll");
        drop(driver);
        assert_eq!(reading.wait(), Err(Errno::EPIPE));
        assert_eq!(opening.wait().map(drop), Err(Errno::EPIPE));
        assert!(writing.blocks());
        let (next, charge) = successor(&name);
        assert_eq!(charge.files, 1, "the second was never open");
        let write = next.expect(operation::WRITE);
        assert!(!is_again(&write));
        next.answer(write.id(), 9, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(9));
        next.expect_nothing();
        next.unregister(1).expect("unregister");
    }

    fn calls_wait_for_a_driver() {
        let (driver, name) = kept(0, LONG);
        let (file, _) = driver.open(&node(&name));
        drop(driver);
        let node = node(&name);
        assert!(node.exists());
        wait_until("there is no driver", || crate::status::line(&node).driver == 0);
        let reading = file.start_read(1);
        let opening = open(&node, OFlag::O_RDONLY);
        // A client that is killed, or has a signal, does not wait.
        for signal in [nix::sys::signal::Signal::SIGKILL, nix::sys::signal::Signal::SIGINT] {
            let mut cat = std::process::Command::new("cat").arg(&node).spawn().expect("cat");
            let pid = nix::unistd::Pid::from_raw(i32::try_from(cat.id()).expect("a pid"));
            wait_until("it waits", || crate::status::line(&node).waiting == 3);
            nix::sys::signal::kill(pid, signal).expect("kill");
            wait_until("it is gone", || cat.try_wait().expect("wait").is_some());
            wait_until("so is its call", || crate::status::line(&node).waiting == 2);
        }
        assert!(reading.blocks() && opening.blocks());
        let (next, _) = successor(&name);
        for _ in 0..2 {
            let request = next.next();
            next.answer(request.id(), 0, b"").expect("answer");
        }
        reading.wait().expect("read");
        drop(opening.wait().expect("open"));
        next.expect(operation::RELEASE);
        next.unregister(1).expect("unregister");
    }

    fn after_the_limit_all_ends() {
        let (driver, name) = kept(REGISTER_AGAIN, 50);
        let other = name.replace('-', "_");
        register(&driver, &other, 2, 0, LONG).expect("register");
        driver.register(&crate::driver::name(), 3, ALL, 0).expect("register");
        let (file, _) = driver.open(&node(&name));
        let (kept, _) = driver.open(&node(&other));
        let reading = file.start_read(1);
        driver.expect(operation::READ);
        drop(driver);
        assert_eq!(reading.wait(), Err(Errno::EPIPE));
        wait_until("the node is gone", || !node(&name).exists());
        let all = PollFlags::POLLIN | PollFlags::POLLERR | PollFlags::POLLHUP;
        assert_eq!(file.ready(all), PollFlags::POLLERR | PollFlags::POLLHUP);
        assert_eq!(file.write(b"x"), Err(Errno::EPIPE));
        assert_eq!(client::open(&node(&name)).map(drop), Err(Errno::ENOENT));
        let adopting = raw::adopt(&Driver::connect(), name.as_bytes(), 0);
        assert_eq!(adopting.map(drop), Err(Errno::ENOENT));
        // The other one waits on: each by its own limit.
        assert!(node(&other).exists());
        let (next, charge) = successor(&other);
        assert_eq!((charge.devices, charge.files), (1, 1));
        drop((file, kept));
        assert_eq!(next.expect(operation::RELEASE).header.device, 2);
        next.unregister(2).expect("unregister");
    }

    fn an_open_that_was_under_way_comes_again() {
        let (driver, name) = kept(REGISTER_AGAIN, LONG);
        let opening = open(&node(&name), OFlag::O_RDWR);
        let first = driver.expect(operation::OPEN);
        drop(driver);
        let (next, charge) = successor(&name);
        assert_eq!(charge.files, 0);
        let again = next.expect(operation::OPEN);
        assert!(is_again(&again) && again.header.file == first.header.file);
        next.answer(again.id(), 77, b"").expect("answer");
        let file = opening.wait().expect("open");
        assert_eq!(files(&next)[0].cookie, 77);
        drop(file);
        assert_eq!(next.expect(operation::RELEASE).header.cookie, 77);
        next.unregister(1).expect("unregister");
    }

    fn the_successor_learns_of_every_open_file() {
        let (driver, name) = kept(0, LONG);
        let node = node(&name);
        let flags = [OFlag::O_RDWR, OFlag::O_RDONLY, OFlag::O_WRONLY | OFlag::O_APPEND];
        let open: Vec<_> = (0..7).map(|it| driver.open_with(&node, flags[it % 3])).collect();
        for (at, (_, number)) in open.iter().enumerate() {
            set_cookie(&driver, *number, 1 << 63 | at as u64).expect("cookie");
        }
        driver.notify(open[1].1, PollFlags::POLLIN).expect("notify");
        assert_eq!(set_cookie(&driver, 1 << 40, 0), Err(Errno::ENOENT));
        drop(driver);
        // One is closed while there is nobody to be told.
        let mut open = open;
        let closed = open.remove(3);
        drop(closed.0);
        let (next, charge) = successor(&name);
        let found = files(&next);
        assert_eq!(charge.files, 7);
        assert_eq!(found.len(), 7);
        for (at, record) in found.iter().enumerate() {
            assert_eq!((record.device, record.cookie), (1, 1 << 63 | at as u64));
            let flags = OFlag::from_bits_truncate(record.open_flags as i32);
            assert_eq!(flags & (OFlag::O_ACCMODE | OFlag::O_APPEND), [
                OFlag::O_RDWR, OFlag::O_RDONLY, OFlag::O_WRONLY | OFlag::O_APPEND,
            ][at % 3]);
            assert_eq!(record.events, if at == 1 { 1 } else { 0 });
        }
        let release = next.expect(operation::RELEASE);
        assert_eq!(release.header.file, found[3].file);
        assert_eq!(files(&next).len(), 6);
        let mut buffer = vec![0; 2 * (DeviceRecord::SIZE + STATUS_NAME)];
        assert_eq!(raw::list(&next, IOCTL_DEVICES, 0, &mut buffer), Ok(1));
        let device = DeviceRecord::from_bytes(&buffer);
        assert_eq!((device.device, device.operations), (1, ALL));
        assert_eq!((device.flags, device.keep), (REGISTER_KEEP, LONG));
        let text = &buffer[DeviceRecord::SIZE..][..device.name_length as usize];
        assert_eq!(text, name.as_bytes());
        assert_eq!(raw::list(&next, IOCTL_DEVICES, 2, &mut buffer), Ok(0));
        next.unregister(1).expect("unregister");
    }

    fn wrong_questions_are_refused() {
        let (driver, _) = kept(0, LONG);
        for number in [IOCTL_FILES, IOCTL_DEVICES] {
            let mut small = [0; FileRecord::SIZE - 1];
            assert_eq!(raw::list(&driver, number, 0, &mut small), Err(Errno::EINVAL));
            let mut reserved = List { buffer_length: 4096, reserved: 1, ..List::default() };
            assert_eq!(raw::list_raw(&driver, number, &mut reserved), Err(Errno::EINVAL));
        }
        let mut nowhere = List { buffer: 1, buffer_length: 4096, ..List::default() };
        let result = raw::list_raw(&driver, IOCTL_DEVICES, &mut nowhere);
        assert_eq!(result, Err(Errno::EFAULT));
        let right = Adopt { name: 1, name_length: 3, flags: 0, reserved: 0 };
        let wrong = [
            (Adopt { name_length: 0, ..right }, Errno::EINVAL),
            (Adopt { name_length: 256, ..right }, Errno::EINVAL),
            (Adopt { name_length: u32::MAX, ..right }, Errno::EINVAL),
            (Adopt { flags: 2, ..right }, Errno::EINVAL),
            (Adopt { reserved: 1, ..right }, Errno::EINVAL),
            (right, Errno::EFAULT),
        ];
        for (mut adopt, errno) in wrong {
            let result = raw::adopt_raw(&driver, &mut adopt);
            assert_eq!(result.map(drop), Err(errno), "{adopt:?}");
        }
        driver.unregister(1).expect("unregister");
    }

    fn only_what_is_kept_can_be_taken_over_and_once() {
        let driver = Driver::connect();
        let own = name();
        driver.register(&own, 1, ALL, 0).expect("register");
        let taker = Driver::connect();
        let adopt = |name: &str, flags| raw::adopt(&taker, name.as_bytes(), flags).map(drop);
        assert_eq!(adopt(&own, 0), Err(Errno::EINVAL));
        assert_eq!(adopt(&own, wire::ADOPT_REPLACE), Err(Errno::EINVAL));
        assert_eq!(adopt("fusd-test/none", 0), Err(Errno::ENOENT));
        let kept = name();
        register(&driver, &kept, 2, 0, LONG).expect("register");
        assert_eq!(adopt(&kept, 0), Err(Errno::EBUSY), "its driver lives");
        // What is not kept goes with the driver.
        drop(driver);
        wait_until("the node is gone", || !node(&own).exists());
        wait_until("there is no driver", || crate::status::line(&node(&kept)).driver == 0);
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let kept = kept.clone();
                start(move || raw::adopt(&Driver::connect(), kept.as_bytes(), 0))
            })
            .collect();
        let (mut taken, late): (Vec<_>, Vec<_>) =
            takers.into_iter().map(fusd_tests::wait::Started::wait).partition(Result::is_ok);
        assert_eq!(taken.len(), 1, "{late:?}");
        assert!(late.iter().all(|it| matches!(it, Err(Errno::EBUSY))), "{late:?}");
        let taken = taken.pop().expect("one").expect("adopted");
        Driver::successor(taken).unregister(2).expect("unregister");
    }

    fn other_users_take_nothing_over() {
        let (driver, name) = kept(0, LONG);
        drop(driver);
        let taker = Driver::connect();
        let theirs = (taker.duplicate(), name.clone());
        let result = raw::as_user(fusd_tests::user::UID, move || {
            raw::adopt(&theirs.0, theirs.1.as_bytes(), wire::ADOPT_REPLACE).map(drop)
        });
        assert_eq!(result, Err(Errno::EPERM));
        adopted(&taker, &name).unregister(1).expect("unregister");
    }

    fn it_takes_the_feature() {
        let plain = Driver::silent();
        plain.next();
        let hello = |features| wire::Hello { version: 1, reserved: 0, features };
        let hello = |features| message(operation::HELLO, 0, 0, &[&hello(features).to_bytes()]);
        plain.say(&hello(wire::FEATURE_COPY)).expect("hello");
        let refused = Err(Errno::EOPNOTSUPP);
        assert_eq!(register(&plain, &name(), 1, 0, LONG), refused);
        assert_eq!(set_cookie(&plain, 1, 0), refused);
        assert_eq!(say(&plain, operation::RESUME, 0), refused);
        assert_eq!(say(&plain, operation::BACK, 1), refused);
        let (driver, name) = kept(0, LONG);
        drop(driver);
        assert_eq!(raw::adopt(&plain, name.as_bytes(), 0).map(drop), refused);
        // A successor must know all that the one before it knew.
        let less = Driver::silent();
        less.next();
        less.say(&hello(wire::FEATURE_KEEP)).expect("hello");
        let mut last = Ok(());
        holds_within(deadline(), || {
            last = raw::adopt(&less, name.as_bytes(), 0).map(drop);
            last != Err(Errno::EBUSY)
        });
        assert_eq!(last, refused);
        successor(&name).0.unregister(1).expect("unregister");
    }

    fn a_copy_that_was_under_way_is_made_for_the_successor() {
        let (driver, name) = kept(REGISTER_AGAIN | REGISTER_RAW_IOCTL, LONG);
        let (file, _) = driver.open(&node(&name));
        let calling = start_raw(&file, 0x5401, b"the caller's memory");
        let first = driver.expect(operation::IOCTL);
        let (id, at) = (first.id(), first.ioctl().argument);
        driver.say(&copy_in(id, at, 10)).expect("copy");
        // What it asked for is there, and it ends without a look at it.
        driver.control().poll(PollFlags::POLLIN, deadline()).expect("poll");
        drop(driver);
        let (next, _) = successor(&name);
        let again = next.expect(operation::IOCTL);
        assert!(is_again(&again) && again.id() == id);
        next.expect_nothing();
        next.say(&copy_in(id, at + 4, 6)).expect("copy");
        assert_eq!(copied(&next, id), (0, b"caller".to_vec()));
        next.say(&copy_in(id, at, 3)).expect("copy");
        // Likewise, with the news read.
        assert_eq!(copied(&next, id), (0, b"the".to_vec()));
        drop(next);
        let (last, _) = successor(&name);
        let again = last.expect(operation::IOCTL);
        assert_eq!(again.body.len(), wire::Ioctl::SIZE, "and nothing behind");
        last.say(&copy_out(id, at, b"THE")).expect("copy");
        assert_eq!(copied(&last, id), (0, vec![]));
        last.answer(id, 3, b"").expect("answer");
        assert_eq!(calling.wait(), (Ok(3), b"THE caller's memory".to_vec()));
        last.unregister(1).expect("unregister");
    }
}

#[test]
fn a_module_that_goes_takes_what_is_kept_along() {
    let Some(_alone) = module::alone("a_module_that_goes_takes_what_is_kept_along") else {
        return;
    };
    let (driver, name) = kept(0, LONG);
    let (file, _) = driver.open(&node(&name));
    drop(driver);
    let busy = raw::remove_module("kfusd");
    assert_eq!(busy, Err(Errno::EWOULDBLOCK), "a client has it open");
    drop(file);
    assert!(node(&name).exists());
    remove();
    assert!(!node(&name).exists());
    module::insert("").expect("insert");
}
