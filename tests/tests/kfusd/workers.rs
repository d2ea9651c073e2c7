//! Many calls at once, many threads of one driver, and the one-call fast path.

use std::collections::BTreeSet;
use std::sync::Arc;

use fusd::wire::{IMPLEMENTS_READ, IMPLEMENTS_WRITE, REGISTER_STREAM, operation};
use fusd_tests::wait::{Started, start};
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::driver::{Driver, Message, answer};
use crate::module::tests;
use crate::raw;

/// Serves by the fast path until there is nothing to serve any more: answers each read with the
/// read's own number.
fn serve(driver: &Driver) -> usize {
    let mut buffer = vec![0; 8192];
    let mut command = Vec::new();
    let mut served = 0;
    loop {
        let length = match raw::exchange(driver, &command, &mut buffer) {
            Ok(length) => length,
            Err(Errno::EINTR) => continue,
            Err(errno) => panic!("exchange: {errno}"),
        };
        let message = Message::parse(&buffer[..length]);
        command = match message.header.operation {
            operation::OPEN => answer(message.id(), 0, 0, b""),
            operation::READ => answer(message.id(), 0, 0, &message.id().to_ne_bytes()),
            operation::WRITE if message.written() == b"stop" => {
                driver.answer(message.id(), 4, b"").expect("answer");
                return served;
            }
            operation::WRITE => answer(message.id(), 0, message.written().len() as u64, b""),
            _ => Vec::new(),
        };
        served += 1;
    }
}

tests! {
    fn the_fast_path_serves() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ | IMPLEMENTS_WRITE, REGISTER_STREAM);
        let serving = start(move || serve(&driver));
        let file = fusd_tests::client::open(&node).expect("open");
        let mut last = 0;
        for _ in 0..1000 {
            let bytes = file.read(8).expect("read");
            let number = u64::from_ne_bytes(bytes.try_into().expect("8 bytes"));
            assert!(number > last, "each is asked once");
            last = number;
        }
        assert_eq!(file.write(b"stop"), Ok(4));
        assert_eq!(serving.wait(), 1001);
    }

    fn every_request_is_given_to_one_worker() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ | IMPLEMENTS_WRITE, REGISTER_STREAM);
        let driver = Arc::new(driver);
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let driver = Arc::clone(&driver);
                start(move || serve(&driver))
            })
            .collect();
        let clients: Vec<_> = (0..6)
            .map(|_| {
                let node = node.clone();
                start(move || {
                    let file = fusd_tests::client::open(&node).expect("open");
                    (0..200)
                        .map(|_| {
                            let bytes = file.read(8).expect("read");
                            u64::from_ne_bytes(bytes.try_into().expect("8 bytes"))
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut numbers = BTreeSet::new();
        for client in clients {
            for number in client.wait() {
                assert!(numbers.insert(number), "{number} went to two clients");
            }
        }
        assert_eq!(numbers.len(), 1200);
        let file = fusd_tests::client::open(&node).expect("open");
        for _ in 0..4 {
            assert_eq!(file.write(b"stop"), Ok(4));
        }
        let served: usize = workers.into_iter().map(Started::wait).sum();
        // Reads, opens, and the releases of the six.
        assert!((1207..=1213).contains(&served), "{served}");
    }

    fn calls_on_one_file_arrive_in_their_order() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_WRITE, REGISTER_STREAM);
        let (file, _) = driver.open_with(&node, OFlag::O_WRONLY);
        let mut writes = Vec::new();
        for number in 0..50_u32 {
            writes.push(file.start_write(&number.to_ne_bytes()));
            // The next one starts once this one is queued: only then is there an order.
            fusd_tests::wait::wait_until("the write is queued", || {
                driver.queued() == writes.len()
            });
        }
        for number in 0..50_u32 {
            let request = driver.expect(operation::WRITE);
            assert_eq!(request.written(), number.to_ne_bytes());
            driver.answer(request.id(), 4, b"").expect("answer");
        }
        for write in writes {
            assert_eq!(write.wait(), Ok(4));
        }
    }

    fn answers_come_in_any_order() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, REGISTER_STREAM);
        let (file, _) = driver.open_with(&node, OFlag::O_RDONLY);
        let reads: Vec<_> = (0..20).map(|_| file.start_read(8)).collect();
        let mut requests: Vec<_> = (0..20).map(|_| driver.expect(operation::READ)).collect();
        requests.reverse();
        for request in &requests {
            driver.answer(request.id(), 0, &request.id().to_ne_bytes()).expect("answer");
        }
        let numbers: BTreeSet<_> = reads.into_iter().map(|read| read.wait().expect("read")).collect();
        assert_eq!(numbers.len(), 20);
    }

    fn requests_beyond_the_limit_wait_for_room() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, REGISTER_STREAM);
        let (file, _) = driver.open_with(&node, OFlag::O_RDONLY);
        // A file may have 256 requests under way by default: the 300 here are served in the end.
        let reads: Vec<_> = (0..300).map(|_| file.start_read(1)).collect();
        fusd_tests::wait::wait_until("the limit is reached", || {
            crate::status::line(&node).waiting == 256
        });
        for _ in 0..300 {
            let request = driver.expect(operation::READ);
            driver.answer(request.id(), 0, b"r").expect("answer");
        }
        for read in reads {
            assert_eq!(read.wait().expect("read"), b"r");
        }
    }
}
