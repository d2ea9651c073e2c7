//! What happens at the limits.

use std::time::{Duration, Instant};

use crate::helper::{pipe, reader, shell, text, writer};
use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use nix::errno::Errno;
use nix::sys::signal::Signal;

pub(crate) fn full_pipes(case: &Case) {
    for (policy, second, left) in [
        ("eagain", Err(Errno::EAGAIN), "aaaa"),
        ("drop-new", Ok(4), "aaaa"),
        ("drop-old", Ok(4), "bbbb"),
    ] {
        let options = ["--records", "write", "--size", "6", "--full", policy];
        let driver = pipe(case, options).start();
        let writer = writer(&driver);
        assert_eq!(writer.write(b"aaaa"), Ok(4));
        assert_eq!(writer.write(b"bbbb"), second, "{policy}");
        assert_eq!(writer.write(b"ccccccc"), Err(Errno::EMSGSIZE));
        assert_eq!(text(&reader(&driver)), left, "{policy}");
    }
    let driver = pipe(case, ["--records", "write", "--size", "6"]).start();
    let (reader, writer) = (reader(&driver), writer(&driver));
    assert_eq!(writer.write(b"aaaa"), Ok(4));
    let second = writer.start_write(b"bbbb");
    assert_eq!(text(&reader), "aaaa");
    assert_eq!(second.wait(), Ok(4));
    assert_eq!(text(&reader), "bbbb");
}

pub(crate) fn lines_stay_whole(case: &Case) {
    let driver = pipe(case, ["--records", "line", "--size", "1000"]).start();
    let reader = reader(&driver);
    // It has the node open itself, or the first writer may be the last.
    let script = "exec 9>\"$0\"; for w in a b c d; do
        (for i in $(seq 50); do printf '%s' $w; printf '%s\\n' $w$w; done >\"$0\") &
    done; wait";
    let writing = {
        let mut command = case.command("bash");
        command.args(["-c", script]).arg(driver.node());
        fusd_tests::wait::start(move || command.status())
    };
    let mut all = String::new();
    loop {
        let piece = text(&reader);
        if piece.is_empty() {
            break;
        }
        assert!(piece.ends_with('\n'), "{piece:?}");
        all.push_str(&piece);
    }
    assert!(writing.wait().expect("bash").success());
    let mut lines: Vec<_> = all.lines().collect();
    lines.sort_unstable();
    let expected = ["aaa", "bbb", "ccc", "ddd"].map(|line| [line; 50]).concat();
    assert_eq!(lines, expected);
}

pub(crate) fn writers_are_named(case: &Case) {
    let options = ["--records", "line", "--prefix", "pid,uid,program,time"];
    let driver = pipe(case, options).start();
    let printed = shell(case, &driver, "echo hello >\"$0\"; echo $$; cat \"$0\"");
    let (pid, line) = printed.split_once('\n').expect("two lines");
    let uid = nix::unistd::getuid();
    let rest = line.strip_prefix(&format!("{pid} {uid} bash 2"));
    let rest = rest.unwrap_or_else(|| panic!("{line:?} of {pid}"));
    assert!(rest.ends_with("Z: hello\n"), "{line:?}");
}

pub(crate) fn nobody_reads(case: &Case) {
    let driver = pipe(case, ["--no-reader", "epipe"]).start();
    let writer = writer(&driver);
    assert_eq!(writer.write(b"x"), Err(Errno::EPIPE));
    let file = reader(&driver);
    assert_eq!(writer.write(b"x"), Ok(1));
    drop(file);
    wait_until("the reader has gone", || {
        writer.write(b"x") == Err(Errno::EPIPE)
    });
    let driver = {
        driver.stop();
        pipe(case, ["--no-reader", "epipe", "--size", "4"]).start()
    };
    let (file, writer) = (reader(&driver), self::writer(&driver));
    assert_eq!(writer.write(b"abcd"), Ok(4));
    let blocked = writer.start_write(b"e");
    drop(file);
    assert_eq!(blocked.wait(), Err(Errno::EPIPE), "who waits is told");
}

pub(crate) fn silence_ends_the_file(case: &Case) {
    let driver = pipe(case, ["--eof", "idle=0.2"]).start();
    let (reader, writer) = (reader(&driver), writer(&driver));
    let begin = Instant::now();
    writer.write(b"abc").expect("write");
    assert_eq!(text(&reader), "abc");
    assert_eq!(text(&reader), "", "the end of the file");
    assert!(begin.elapsed() >= Duration::from_millis(200));
    writer.write(b"def").expect("write");
    assert_eq!(text(&reader), "def");
    driver.stop();
    let driver = pipe(case, ["--eof", "never"]).start();
    let file = self::reader(&driver);
    drop(self::writer(&driver));
    let read = file.start_read(9);
    self::writer(&driver).write(b"abc").expect("write");
    assert_eq!(read.wait().expect("read"), b"abc");
}

pub(crate) fn the_rate_is_a_limit(case: &Case) {
    let driver = pipe(case, ["--rate", "10000"]).start();
    let (reader, writer) = (reader(&driver), writer(&driver));
    writer.write(&[7; 4000]).expect("write");
    let begin = Instant::now();
    let mut total = 0;
    while total < 4000 {
        total += reader.start_read(4000).wait().expect("read").len();
    }
    // A tenth of a second's worth may come at once.
    assert!(
        begin.elapsed() >= Duration::from_millis(290),
        "{:?}",
        begin.elapsed()
    );
}

pub(crate) fn numbers_on_request(case: &Case) {
    let driver = pipe(case, ["--stats", "--records", "line"]).start();
    let (reader, writer) = (reader(&driver), writer(&driver));
    writer.write(b"one\ntwo\nthr").expect("write");
    assert_eq!(reader.read(4).expect("read"), b"one\n");
    let expected = "written 11 bytes (2 records), read 4 bytes (1 records), dropped 0 bytes, \
                    1 readers, 1 writers, 4 of 65536 bytes kept";
    driver.signal(Signal::SIGUSR1);
    driver.await_error(expected);
    assert_eq!(text(&reader), "two\n");
    drop(writer);
    assert_eq!(text(&reader), "thr");
    drop(reader);
    let mut driver = driver;
    driver.stop_by(Signal::SIGTERM);
    let last = driver.errors();
    let last = last.lines().last().expect("a line");
    assert!(
        last.contains("written 11 bytes (3 records), read 11 bytes (3 records)"),
        "{last}"
    );
}
