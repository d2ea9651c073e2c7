//! The device as its clients see it, on loopback.

use std::time::{Duration, Instant};
use std::{fs, io, thread};

use fusd::loopback::Client;
use fusd::{DeviceBuilder, Errno, Serving};
use fusd_echo::{Echo, OnWrite, Settings};
use libc::{O_APPEND, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};

const SETTINGS: Settings = Settings {
    repeat: false,
    lines: false,
    on_write: OnWrite::Deny,
    max_size: 16,
};

fn serve(echo: Echo) -> (Client, Serving) {
    DeviceBuilder::new("echo").loopback(echo).unwrap()
}

fn writable(on_write: OnWrite) -> (Client, Serving) {
    serve(Echo::new(
        "old",
        Settings {
            on_write,
            ..SETTINGS
        },
    ))
}

fn read(client: &Client) -> String {
    let file = client.open(O_RDONLY).unwrap();
    let mut text = Vec::new();
    loop {
        let part = file.read(3).unwrap();
        if part.is_empty() {
            return String::from_utf8(text).unwrap();
        }
        text.extend(part);
    }
}

fn errno<T>(result: io::Result<T>) -> Errno {
    Errno::from(result.err().expect("it succeeds"))
}

/// For what happens after a close has returned: release is not waited for.
fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !test() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::yield_now();
    }
}

#[test]
fn the_text_is_read_in_pieces_of_any_size() {
    let (client, _serving) = serve(Echo::new("Hello, world!\n", SETTINGS));
    for length in [1, 5, 13, 14, 15, 1 << 20] {
        let file = client.open(O_RDONLY).unwrap();
        let mut text = Vec::new();
        loop {
            let part = file.read(length).unwrap();
            assert!(part.len() <= length);
            if part.is_empty() {
                break;
            }
            text.extend(part);
        }
        assert_eq!(text, b"Hello, world!\n", "{length}");
    }
    let file = client.open(O_RDONLY).unwrap();
    assert_eq!(file.read_at(3, 7).unwrap(), b"wor");
    assert_eq!(file.read_at(3, 1 << 40).unwrap(), b"");
    assert_eq!(file.size().unwrap(), 14);
}

#[test]
fn writers_are_refused_at_open_unless_there_is_a_policy() {
    let (client, _serving) = writable(OnWrite::Deny);
    for flags in [O_WRONLY, O_RDWR, O_WRONLY | O_APPEND] {
        assert_eq!(errno(client.open(flags)), Errno::EACCES);
    }
    assert_eq!(read(&client), "old");
}

#[test]
fn discarded_writes_succeed_and_change_nothing() {
    let (client, _serving) = writable(OnWrite::Discard);
    let file = client.open(O_RDWR | O_TRUNC).unwrap();
    assert_eq!(file.write(&[b'x'; 1000]).unwrap(), 1000);
    drop(file);
    assert_eq!(read(&client), "old");
}

#[test]
fn what_was_written_is_the_text_from_close_on() {
    let (client, _serving) = writable(OnWrite::Replace);
    let reader = client.open(O_RDONLY).unwrap();
    let file = client.open(O_WRONLY | O_TRUNC).unwrap();
    file.write(b"new ").unwrap();
    assert_eq!(read(&client), "old", "half a text is seen");
    file.write(b"text").unwrap();
    assert_eq!(read(&client), "old", "half a text is seen");
    file.sync().unwrap();
    drop(file);
    assert_eq!(read(&client), "new text");
    assert_eq!(
        reader.read(9).unwrap(),
        b"old",
        "a reader loses its version"
    );
}

#[test]
fn an_open_without_a_write_changes_nothing_unless_it_truncates() {
    let (client, _serving) = writable(OnWrite::Replace);
    drop(client.open(O_RDWR).unwrap());
    drop(client.open(O_RDONLY | O_TRUNC).unwrap());
    assert_eq!(read(&client), "old");
    drop(client.open(O_WRONLY | O_TRUNC).unwrap());
    eventually("the text is empty", || read(&client).is_empty());
}

#[test]
fn appended_writes_add_to_the_version_of_now() {
    for (policy, flags) in [
        (OnWrite::Append, O_WRONLY),
        (OnWrite::Append, O_WRONLY | O_TRUNC),
        (OnWrite::Replace, O_WRONLY | O_APPEND),
    ] {
        let (client, _serving) = writable(policy);
        let reader = client.open(O_RDONLY).unwrap();
        let (one, two) = (client.open(flags).unwrap(), client.open(flags).unwrap());
        one.write(b" 1").unwrap();
        two.write(b" 2").unwrap();
        one.write(b" 3").unwrap();
        assert_eq!(read(&client), "old 1 2 3");
        assert_eq!(reader.read(99).unwrap(), b"old");
        assert_eq!(errno(one.write(b"45678901")), Errno::EFBIG);
    }
}

#[test]
fn what_is_too_long_is_refused_and_never_lost_in_silence() {
    let (client, _serving) = writable(OnWrite::Replace);
    let file = client.open(O_WRONLY).unwrap();
    assert_eq!(file.write(b"0123456789").unwrap(), 10);
    assert_eq!(file.write(b"0123456789").unwrap(), 6);
    assert_eq!(errno(file.write(b"6789")), Errno::EFBIG);
    drop(file);
    assert_eq!(read(&client), "0123456789012345");
}

#[test]
fn a_repeated_text_fills_every_read() {
    let settings = Settings {
        repeat: true,
        ..SETTINGS
    };
    let (client, _serving) = serve(Echo::new("abc", settings));
    let file = client.open(O_RDONLY).unwrap();
    assert_eq!(file.read(7).unwrap(), b"abcabca");
    assert_eq!(file.read(4).unwrap(), b"bcab");
    assert_eq!(file.read(1 << 20).unwrap().len(), 1 << 20);
    assert_eq!(file.size().unwrap(), 0);
}

#[test]
fn a_read_gives_one_line() {
    let settings = Settings {
        lines: true,
        ..SETTINGS
    };
    let (client, _serving) = serve(Echo::new("one\n\ntwo\nend", settings));
    let file = client.open(O_RDONLY).unwrap();
    for part in ["one\n", "\n", "two\n", "end", ""] {
        assert_eq!(file.read(100).unwrap(), part.as_bytes());
    }
    assert_eq!(file.read_at(2, 0).unwrap(), b"on");
    let settings = Settings {
        repeat: true,
        ..settings
    };
    let (client, _serving) = serve(Echo::new("a\nb", settings));
    let file = client.open(O_RDONLY).unwrap();
    for part in ["a\n", "ba\n", "ba\n"] {
        assert_eq!(file.read(100).unwrap(), part.as_bytes());
    }
}

#[test]
fn a_command_makes_the_text_of_each_open() {
    let command = "printf %s-%s $FUSD_PID \"$FUSD_COMM\" | cut -c1-16";
    let settings = Settings {
        max_size: 100,
        ..SETTINGS
    };
    let (client, _serving) = serve(Echo::of_command(command, settings));
    let file = client.open(O_RDONLY).unwrap();
    let text = String::from_utf8(file.read(100).unwrap()).unwrap();
    let pid = std::process::id().to_string();
    assert!(text.starts_with(&format!("{pid}-")), "{text}");
    assert_eq!(file.size().unwrap(), text.len() as u64);
}

#[test]
fn a_command_that_fails_or_says_too_much_fails_the_open() {
    for (command, expected) in [
        ("echo text; exit 3", Errno::EIO),
        ("kill -9 $$", Errno::EIO),
        ("no-such-command 2>/dev/null", Errno::EIO),
        ("echo 0123456789012345", Errno::EFBIG),
        ("cat /dev/zero", Errno::EFBIG),
    ] {
        let (client, _serving) = serve(Echo::of_command(command, SETTINGS));
        assert_eq!(errno(client.open(O_RDONLY)), expected, "{command}");
    }
    let (client, _serving) = serve(Echo::of_command("exit 0", SETTINGS));
    assert_eq!(client.open(O_RDONLY).unwrap().read(9).unwrap(), b"");
}

#[test]
fn a_command_dies_with_the_session_and_leaves_nothing_in_its_group() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let command = format!(
        "sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let (client, serving) = serve(Echo::of_command(command, SETTINGS));
    let opening = thread::spawn(move || errno(client.open(O_RDONLY)));
    eventually("the command runs", || file.exists());
    serving.stop().unwrap();
    opening.join().unwrap();
    for pid in fs::read_to_string(file).unwrap().split_whitespace() {
        eventually("the process is gone", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status"));
            status.map_or(true, |status| status.contains("State:\tZ"))
        });
    }
}
