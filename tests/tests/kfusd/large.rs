//! Large data, which moves between the client's memory and the driver's without any in between: it
//! arrives whole from and at any place, and once a call has ended, nobody touches its memory.

use fusd::wire::{REGISTER_STREAM, operation};
use fusd_tests::pattern;
use fusd_tests::wait::start;
use nix::errno::Errno;

use crate::driver::{ALL, Driver};
use crate::module::tests;
use crate::raw::HalfMapped;

/// From here on data counts as large (kfusd/client.rs).
const LARGE: usize = 16 << 10;

/// Lengths about the limits of pages, and of what is large.
const LENGTHS: [usize; 6] = [
    LARGE - 1,
    LARGE,
    LARGE + 1,
    65536,
    (1 << 20) - 4095,
    1 << 20,
];

/// Where memory begins, in bytes from a page's beginning.
const STARTS: [usize; 4] = [0, 1, 17, 4095];

/// Bytes of a page.
const PAGE: usize = 4096;

/// What is in memory that no byte of a pattern was put to.
const UNTOUCHED: u8 = 0xee;

/// `length` bytes that begin so far behind the beginning of a page, in memory that is larger.
struct Placed {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Placed {
    fn new(start: usize, length: usize) -> Self {
        let memory = vec![UNTOUCHED; start + length + 2 * PAGE];
        let first = memory.as_ptr().addr().next_multiple_of(PAGE) - memory.as_ptr().addr();
        Self {
            memory,
            start: first + start,
            length,
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.length]
    }

    /// Whether nothing but these bytes was written to.
    fn is_untouched_around(&self) -> bool {
        let before = &self.memory[..self.start];
        let behind = &self.memory[self.start + self.length..];
        before.iter().chain(behind).all(|byte| *byte == UNTOUCHED)
    }
}

tests! {
    fn writes_arrive_whole_from_any_place() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        let (file, _) = driver.open(&node);
        for (round, length) in LENGTHS.into_iter().enumerate() {
            for at in STARTS {
                let mut memory = Placed::new(at, length);
                memory.bytes().copy_from_slice(&pattern::bytes(round as u64, length));
                let copy = file.duplicate();
                let writing = start(move || copy.write(memory.bytes()));
                let request = driver.expect(operation::WRITE);
                assert_eq!(request.written().len(), length);
                pattern::check(round as u64, request.written());
                driver.answer(request.id(), length as u64, b"").expect("answer");
                assert_eq!(writing.wait(), Ok(length));
            }
        }
    }

    fn reads_arrive_whole_at_any_place_and_nowhere_else() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        let (file, _) = driver.open(&node);
        for length in LENGTHS {
            for at in STARTS {
                // All, a part, a few, nothing.
                for given in [length, length / 2 + 1, 5, 0] {
                    let copy = file.duplicate();
                    let reading = start(move || {
                        let mut memory = Placed::new(at, length);
                        let count = nix::unistd::read(&copy, memory.bytes());
                        (count, memory)
                    });
                    let request = driver.expect(operation::READ);
                    let data = pattern::bytes(given as u64, given);
                    driver.answer(request.id(), 0, &data).expect("answer");
                    let (count, mut memory) = reading.wait();
                    assert_eq!(count, Ok(given));
                    assert!(memory.is_untouched_around(), "{length} bytes at {at}");
                    let (there, rest) = memory.bytes().split_at(given);
                    pattern::check(given as u64, there);
                    assert!(rest.iter().all(|byte| *byte == UNTOUCHED), "behind {given} bytes");
                }
            }
        }
    }

    fn an_answer_that_does_not_come_whole_can_be_given_again() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        let (file, _) = driver.open(&node);
        let reading = file.start_read(65536);
        let request = driver.expect(operation::READ);
        assert_eq!(driver.answer(request.id(), 0, &[1; 65537]), Err(Errno::EINVAL), "too much");
        // The driver's own memory ends before its answer does.
        let mut whole = crate::driver::answer(request.id(), 0, 0, &[2; 65536]);
        whole.truncate(64);
        let mut begin = HalfMapped::new();
        begin.fill(&whole);
        let written = begin.write(driver.control(), whole.len(), 32 + 65536);
        assert_eq!(written, Err(Errno::EFAULT));
        let data = pattern::bytes(3, 65536);
        driver.answer(request.id(), 0, &data).expect("answer");
        assert_eq!(reading.wait(), Ok(data));
    }

    fn memory_that_ends_early_is_used_as_far_as_it_goes() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        let (file, _) = driver.open(&node);
        let mut half = HalfMapped::new();
        half.fill(&pattern::bytes(0, 1000));
        let copy = file.duplicate();
        let both = start(move || {
            let written = half.write(&copy, 1000, 65536);
            let read = half.read(&copy, 1000, 65536);
            (written, read, half.tail(1000))
        });
        let request = driver.expect(operation::WRITE);
        pattern::check(0, request.written());
        assert_eq!(request.written().len(), 1000);
        driver.answer(request.id(), 1000, b"").expect("answer");
        let request = driver.expect(operation::READ);
        // Asked for is what there is room for: nothing can be lost.
        assert_eq!(request.transfer().size, 1000);
        driver.answer(request.id(), 0, &pattern::bytes(7, 1000)).expect("answer");
        let (written, read, tail) = both.wait();
        assert_eq!((written, read), (Ok(1000), Ok(1000)));
        pattern::check(7, &tail);
    }

    fn parts_of_memory_arrive_in_their_order() {
        let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
        let (file, _) = driver.open(&node);
        let copy = file.duplicate();
        let both = start(move || {
            let all = pattern::bytes(0, 50_000);
            let written = copy.write_parts(&[&all[..3], &all[3..40_000], &all[40_000..]]);
            let (mut first, mut second) = (vec![0; 20_000], vec![0; 30_000]);
            let read = copy.read_parts(&mut [&mut first, &mut second]);
            (written, read, [first, second].concat())
        });
        let request = driver.expect(operation::WRITE);
        pattern::check(0, request.written());
        driver.answer(request.id(), 50_000, b"").expect("answer");
        let request = driver.expect(operation::READ);
        let size = request.transfer().size as usize;
        driver.answer(request.id(), 0, &pattern::bytes(9, size)).expect("answer");
        let (written, read, all) = both.wait();
        assert_eq!((written, read), (Ok(50_000), Ok(size)));
        pattern::check(9, &all[..size]);
    }

    fn memory_of_a_call_that_has_ended_is_let_alone() {
        // The device goes while its driver's answer is on its way, at any moment of that.
        let (mut early, mut late) = (0, 0);
        for round in 0..150_u32 {
            let (driver, node) = Driver::with_device(ALL, REGISTER_STREAM);
            let (file, _) = driver.open(&node);
            let reading = start(move || {
                let mut memory = vec![0; 1 << 20];
                let count = nix::unistd::read(&file, &mut memory);
                // The client goes on, and uses the memory for something else.
                if count.is_err() {
                    memory.fill(UNTOUCHED);
                }
                (count, memory, file)
            });
            let request = driver.expect(operation::READ);
            let copy = driver.duplicate();
            let answering = start(move || copy.answer(request.id(), 0, &vec![0xdd; 1 << 20]));
            for _ in 0..round % 50 * 20 {
                std::hint::spin_loop();
            }
            driver.unregister(1).expect("unregister");
            let answered = answering.wait();
            let (count, memory, file) = reading.wait();
            match answered {
                Ok(()) => {
                    early += 1;
                    assert_eq!(count, Ok(1 << 20));
                    assert!(memory.iter().all(|byte| *byte == 0xdd));
                }
                Err(errno) => {
                    late += 1;
                    assert_eq!(errno, Errno::ENOENT);
                    assert_eq!(count, Err(Errno::EPIPE));
                    assert!(memory.iter().all(|byte| *byte == UNTOUCHED));
                }
            }
            drop(file);
        }
        println!("{early} answers came before the end, {late} after it");
    }
}
