//! Row 13: many files and many calls at once.

use fusd_tests::client::{open, open_with};
use fusd_tests::wait::start;
use fusd_tests::{Case, pattern};
use nix::fcntl::OFlag;

pub(crate) fn row13_readers_by_the_dozen(case: &Case) {
    let size = 1 << 20;
    let mut driver = case.device(&format!("pattern:{size}")).start();
    let readers: Vec<_> = (0..64usize)
        .map(|n| {
            let node = driver.node().to_owned();
            start(move || {
                let file = open_with(&node, OFlag::O_RDONLY).expect("open");
                let all = file.read_all(3000 + 1000 * n).expect("read");
                assert_eq!(all.len(), size);
                pattern::check(0, &all);
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.wait());
    assert_eq!(driver.number("counts opens"), 64);
    driver.await_number("counts releases", 64);
    assert!(
        driver.number("threads") <= 16 + 8,
        "workers are not collected"
    );
}

pub(crate) fn row13_calls_on_one_file_take_turns(case: &Case) {
    let mut driver = case.device("blocking").start();
    let file = open(driver.node()).expect("open");
    // pread: the kernel itself would have reads of one position take turns.
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let file = file.duplicate();
            start(move || {
                (0..200)
                    .map(|_| file.read_at(0, 64).expect("pread"))
                    .map(|text| String::from_utf8(text).expect("text"))
                    .map(|text| text.parse().expect("a number"))
                    .collect::<Vec<u32>>()
            })
        })
        .collect();
    driver.await_number("inside", 1);
    driver.ask("let");
    let mut all = Vec::new();
    for reader in readers {
        let seen = reader.wait();
        assert!(seen.is_sorted(), "the calls of one thread keep their order");
        all.extend(seen);
    }
    all.sort_unstable();
    assert_eq!(
        all,
        (0..800).collect::<Vec<_>>(),
        "each call is handled once"
    );
    assert_eq!(driver.number("most"), 1, "one at a time");
}

pub(crate) fn row13_files_are_served_in_parallel(case: &Case) {
    let mut driver = case.device("blocking").args(["--workers", "8"]).start();
    let readers: Vec<_> = (0..8)
        .map(|_| open(driver.node()).expect("open").start_read(9))
        .collect();
    // All of them are inside their handlers at the same time.
    driver.await_number("inside", 8);
    driver.ask("let");
    for reader in readers {
        assert_eq!(reader.wait().expect("read"), b"0");
    }
}

pub(crate) fn row13_workers_are_a_limit(case: &Case) {
    let mut driver = case.device("blocking").args(["--workers", "2"]).start();
    let files: Vec<_> = (0..6).map(|_| open(driver.node()).expect("open")).collect();
    let readers: Vec<_> = files.iter().map(|file| file.start_read(9)).collect();
    driver.await_number("inside", 2);
    let limit = driver.number("counts reads");
    assert_eq!(limit, 2, "the others wait for a worker");
    driver.ask("let");
    for reader in readers {
        assert_eq!(reader.wait().expect("read"), b"0");
    }
    assert_eq!(driver.number("counts reads"), 6);
}

pub(crate) fn row13_writers_beside_readers(case: &Case) {
    let mut driver = case.device("stream:100").start();
    let total = 40_000;
    let writers: Vec<_> = [b'a', b'b']
        .into_iter()
        .map(|letter| {
            let file = open_with(driver.node(), OFlag::O_WRONLY).expect("open");
            start(move || {
                let mut left = total;
                while left > 0 {
                    left -= file.write(&vec![letter; left.min(77)]).expect("write");
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
            start(move || file.read_all(50).expect("read"))
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.wait());
    driver.ask("end");
    let mut all: Vec<u8> = readers
        .into_iter()
        .flat_map(|reader| reader.wait())
        .collect();
    all.sort_unstable();
    let expected = [vec![b'a'; total], vec![b'b'; total]].concat();
    assert!(all == expected, "{} bytes of {}", all.len(), expected.len());
}
