//! The file itself: how large it gets, where it is, and what happens where it cannot be written.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn the_file_does_not_grow_beyond_a_multiple_of_what_is_kept() {
    for (mode, full) in [(Mode::Fifo, Full::Block), (Mode::Ring, Full::DropOld)] {
        for sync in [SyncPolicy::Never, SyncPolicy::Always] {
            let (directory, path) = place();
            let settings = settings(mode, Records::Write, full, 3000);
            let mut bench = Bench::synced(&path, &settings, sync);
            bench.pipe.enter(1, false, true, bench.now);
            bench.pipe.enter(11, true, false, bench.now);
            let mut replaced = false;
            let mut before = 0;
            for round in 0..2500 {
                let record = vec![b'x'; 900 + round % 100];
                assert!(bench.write(1, &record, b"", true));
                if round % 2 == 1 {
                    bench.read(11, 9999).1.note();
                }
                let len = fs::metadata(&path).unwrap().len();
                replaced |= len < before;
                before = len;
                assert!(len < 1_100_000, "{mode:?} {round}: {len}");
            }
            assert!(replaced);
            drop(bench);
            let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
            assert_eq!(names.len(), 1, "nothing is left beside it");
        }
    }
}

#[test]
fn a_disk_that_fails_is_told_of_by_the_write_and_leaves_nothing_half_done() {
    let (directory, path) = place();
    let settings = settings(Mode::Fifo, Records::Write, Full::Block, 300_000);
    let mut bench = Bench::open(&path, &settings);
    bench.pipe.enter(1, false, true, bench.now);
    bench.pipe.enter(11, true, false, bench.now);
    // Where the shorter file would be written, there is somebody else's.
    let beside = directory.path().join("journal.new");
    fs::write(&beside, b"mine").unwrap();
    let record = [7; 10_000];
    let refusal = loop {
        let Writing::Taken(taken) = bench.pipe.writing(1, &record, b"") else {
            panic!("readers keep it empty");
        };
        match bench.pipe.record(1, &taken) {
            Ok(()) => bench.pipe.keep(&taken, bench.now),
            Err(errno) => {
                bench.pipe.undo(1, taken);
                break errno;
            }
        }
        assert!(fs::metadata(&path).unwrap().len() < 1_100_000);
        if bench.pipe.readable(11) > 20_000 {
            bench.read(11, 10_000).1.note();
        }
    };
    assert_eq!(refusal, Errno::EEXIST);
    assert_eq!(
        killed(&path, &settings).concat().len(),
        bench.pipe.readable(11)
    );
    assert_eq!(fs::read(&beside).unwrap(), b"mine");
    fs::remove_file(&beside).unwrap();
    assert!(bench.write(1, b"on", b"", true));
    assert!(
        fs::metadata(&path).unwrap().len() < 200_000,
        "it is shorter"
    );
    let kept = killed(&path, &settings).concat();
    assert_eq!(kept.len(), bench.pipe.readable(11));
    assert!(kept.ends_with(b"on"));
}

#[test]
fn the_file_is_where_the_path_leads_and_stays_whose_it_was() {
    let (directory, path) = place();
    let settings = settings(Mode::Fifo, Records::Write, Full::Block, 99);
    drop(Bench::open(&path, &settings));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = directory.path().join("link");
    symlink("journal", &link).unwrap();
    let mut bench = Bench::open(&link, &settings);
    bench.pipe.enter(1, false, true, bench.now);
    bench.write(1, b"one", b"", true);
    let again = Journal::open(&path, SyncPolicy::Never, &settings).unwrap_err();
    assert!(again.to_string().contains("in use"), "{again}");
    drop(bench);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(mode(&path), 0o640);
    assert_eq!(Bench::open(&path, &settings).content(), [b"one"]);
}

#[test]
fn what_a_killed_tool_has_left_of_a_replacement_goes() {
    let (_directory, path) = place();
    let settings = settings(Mode::Fifo, Records::Write, Full::Block, 99);
    let mut bench = Bench::open(&path, &settings);
    bench.pipe.enter(1, false, true, bench.now);
    bench.write(1, b"one", b"", true);
    drop(bench);
    let whole = fs::read(&path).unwrap();
    let beside = path.with_extension("new");
    for len in [0, 1, 16, 64, whole.len() - 1] {
        fs::write(&beside, &whole[..len]).unwrap();
        drop(Bench::open(&path, &settings));
        assert!(!beside.exists());
    }
    assert_eq!(Bench::open(&path, &settings).content(), [b"one"]);
}
