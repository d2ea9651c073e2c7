//! Reading with any buffer, at any place, with the usual programs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::helper::{echo, run, shell};
use fusd_tests::client::open_with;
use fusd_tests::wait::start;
use fusd_tests::{Ability, Case, Driver};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;

const TEXT: &str = "Hello, world!\n";

fn hello(case: &Case) -> Driver {
    echo(case, ["Hello, world!"]).start()
}

pub(crate) fn any_buffer_size(case: &Case) {
    let driver = hello(case);
    for size in [1, 2, 5, 13, 14, 15, 4096, 1 << 20] {
        let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
        assert_eq!(
            file.read_all(size).expect("read"),
            TEXT.as_bytes(),
            "{size}"
        );
        assert_eq!(file.read(1), Ok(vec![]), "the end stays the end");
    }
}

pub(crate) fn sixty_four_readers(case: &Case) {
    let driver = hello(case);
    let readers: Vec<_> = (0..64usize)
        .map(|n| {
            let node = driver.node().to_owned();
            start(move || {
                for _ in 0..10 {
                    let file = open_with(&node, OFlag::O_RDONLY).expect("open");
                    assert_eq!(file.read_all(1 + n % 15).expect("read"), TEXT.as_bytes());
                }
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.wait());
}

/// Runs shell commands with the node as `$0`, and compares what they print.
fn print(driver: &Driver, case: &Case, scripts: &[(&str, &str)]) {
    for (script, expected) in scripts {
        let (code, out, errors) = shell(case, driver.node(), script);
        assert_eq!(
            (code, out.as_str()),
            (Some(0), *expected),
            "{script}: {errors}"
        );
        assert_eq!(errors, "", "{script}");
    }
}

pub(crate) fn usual_programs(case: &Case) {
    let driver = hello(case);
    let scripts = [
        ("cat \"$0\"", TEXT),
        ("cat < \"$0\"", TEXT),
        ("cat \"$0\" \"$0\"", "Hello, world!\nHello, world!\n"),
        ("dd if=\"$0\" bs=1 status=none", TEXT),
        ("dd if=\"$0\" bs=1M status=none", TEXT),
        ("tail -n 1 \"$0\"", TEXT),
        ("head -c 5 \"$0\"", "Hello"),
        ("head -n 1 \"$0\"", TEXT),
        ("wc -c < \"$0\"", "14\n"),
        ("wc -l < \"$0\"", "1\n"),
        ("read -r line < \"$0\"; echo \"$line\"", TEXT),
        ("grep -o 'w.*d' \"$0\"", "world\n"),
        ("cmp \"$0\" \"$0\" && echo same", "same\n"),
        (
            "cp \"$0\" \"$TMPDIR/copy\" && cat \"$TMPDIR/copy\" && rm \"$TMPDIR/copy\"",
            TEXT,
        ),
    ];
    print(&driver, case, &scripts);
}

pub(crate) fn usual_programs_that_seek(case: &Case) {
    if case.lacks(Ability::Offsets) {
        return;
    }
    let driver = hello(case);
    let scripts = [
        ("dd if=\"$0\" bs=1 skip=7 status=none", "world!\n"),
        ("dd if=\"$0\" bs=5 skip=1 count=1 status=none", ", wor"),
        ("tail -c 7 \"$0\"", "world!\n"),
        ("tail -c +8 \"$0\"", "world!\n"),
        ("od -An -c -j 7 -N 5 \"$0\"", "   w   o   r   l   d\n"),
    ];
    print(&driver, case, &scripts);
    if case.backend().shows_size() {
        let scripts = [
            ("stat -c %s \"$0\"", "14\n"),
            ("tar -cf - -C / \"${0#/}\" 2>/dev/null | tar -xOf -", TEXT),
        ];
        print(&driver, case, &scripts);
    }
}

pub(crate) fn python_reads_and_maps_to_text(case: &Case) {
    let python = "/usr/bin/python3";
    if !std::path::Path::new(python).exists() {
        return case.skip(&format!("{python} is not there"));
    }
    let driver = hello(case);
    let script = "import sys\n\
        with open(sys.argv[1]) as f: assert f.read() == 'Hello, world!\\n'\n\
        with open(sys.argv[1], 'rb', buffering=0) as f:\n\
        \x20   assert f.read(3) == b'Hel'\n\
        \x20   if sys.argv[2] == 'true': assert f.seek(-3, 2) == 11 and f.read() == b'd!\\n'\n\
        print('fine')";
    let seeks = case.backend().has(Ability::Offsets).to_string();
    let output = run(case
        .command(python)
        .args(["-c", script])
        .arg(driver.node())
        .arg(seeks));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.stdout, b"fine\n");
}

pub(crate) fn mode_owner_and_group(case: &Case) {
    let options = [
        "--mode", "0640", "--owner", "nobody", "--group", "1234", "x",
    ];
    let driver = echo(case, options).start();
    let status = fs::metadata(driver.node()).expect("stat");
    assert_eq!(status.permissions().mode() & 0o7777, 0o640);
    assert_eq!((status.uid(), status.gid()), (65534, 1234));
    driver.stop();
}

pub(crate) fn max_open(case: &Case) {
    let driver = echo(case, ["--max-open", "2", "x"]).start();
    let open = || open_with(driver.node(), OFlag::O_RDONLY);
    let files = [open().expect("one"), open().expect("two")];
    assert_eq!(open().unwrap_err(), Errno::EBUSY);
    drop(files);
    fusd_tests::wait::wait_until("there is room again", || open().is_ok());
}

pub(crate) fn repeat_never_ends(case: &Case) {
    let driver = echo(case, ["--repeat", "y"]).start();
    let (code, out, errors) = shell(case, driver.node(), "head -c 100000 \"$0\"");
    assert_eq!(code, Some(0), "{errors}");
    assert!(out == "y\n".repeat(50_000));
    let (_, out, _) = shell(case, driver.node(), "head -n 3 \"$0\" | tail -n 1");
    assert_eq!(out, "y\n");
    let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    assert_eq!(file.read(3).expect("read"), b"y\ny");
    assert_eq!(
        file.read(3).expect("read"),
        b"\ny\n",
        "goes on where it was"
    );
}

pub(crate) fn lines_come_one_by_one(case: &Case) {
    let driver = echo(case, ["--lines", "-e", "first\\nsecond\\n\\nlast"]).start();
    let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    for line in ["first\n", "second\n", "\n", "last\n", ""] {
        assert_eq!(file.read(4096).expect("read"), line.as_bytes());
    }
    let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    assert_eq!(file.read(3).expect("read"), b"fir");
    assert_eq!(
        file.read(99).expect("read"),
        b"st\n",
        "the rest of the line"
    );
    assert_eq!(file.read(99).expect("read"), b"second\n");
    let (_, out, _) = shell(case, driver.node(), "cat \"$0\"");
    assert_eq!(out, "first\nsecond\n\nlast\n");
}

pub(crate) fn readers_do_not_wake_it(case: &Case) {
    let file = case.file("content", b"from a file\n");
    let file = file.to_str().expect("UTF-8");
    for (arguments, text) in [
        (&["Hello, world!"][..], TEXT),
        (&["--on-write", "replace", "Hello, world!"], TEXT),
        (
            &["--exec", "echo $FUSD_COMM >/dev/null; echo told"],
            "told\n",
        ),
        (&["--watch", "--file", file], "from a file\n"),
    ] {
        let driver = echo(case, arguments).start();
        let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
        driver.suspend();
        let found = file.read_all(3);
        driver.signal(Signal::SIGCONT);
        assert_eq!(found.expect("read"), text.as_bytes(), "{arguments:?}");
        driver.stop();
    }
}
