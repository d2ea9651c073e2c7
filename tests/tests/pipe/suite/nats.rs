//! One pipe on several machines: nodes of their own tools, joined by a real server.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use fusd_tests::client::Handle;
use fusd_tests::wait::{Started, start, wait_until};
use fusd_tests::{Case, Driver, Launch};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;

use crate::helper::{pipe_at, reader, text, writer};
use crate::relay::Relay;
use crate::server::Server;

/// A node that the server joins with others of the same subject.
fn node(case: &Case, server: &Server<'_>, name: &str, options: &[&str]) -> Driver {
    joined(case, &server.url(), name, options).start()
}

fn joined(case: &Case, url: &str, name: &str, options: &[&str]) -> Launch {
    let common = ["--records", "line", "--nats", url, "--subject", "test.pipe"];
    pipe_at(case, name, common).args(options)
}

/// Reads lines, of which there are numbers in them, until there are `count` of them.
fn start_reading(file: Handle, count: usize) -> Started<Vec<u32>> {
    start(move || {
        let mut text = Vec::new();
        let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
        while lines(&text) < count {
            text.extend(file.read(65536).expect("read"));
        }
        let text = String::from_utf8(text).expect("text");
        text.lines().map(|line| line.parse().expect(line)).collect()
    })
}

/// Writes numbers as lines, each in a write of its own; counts those that were taken.
fn start_writing(
    file: Handle,
    numbers: impl Iterator<Item = u32> + Send + 'static,
    taken: &Arc<AtomicUsize>,
) -> Started<()> {
    let taken = Arc::clone(taken);
    start(move || {
        for number in numbers {
            let line = format!("{number}\n");
            assert_eq!(file.write(line.as_bytes()), Ok(line.len()));
            taken.fetch_add(1, Ordering::Relaxed);
        }
    })
}

pub(crate) fn a_broadcast_reaches_readers_of_all_nodes(case: &Case) {
    let Some(server) = Server::start(case) else {
        return;
    };
    let options = ["--kind", "broadcast"];
    let nodes = ["a", "b"].map(|name| node(case, &server, name, &options));
    let readers = nodes.each_ref().map(reader);
    let writers = nodes.each_ref().map(writer);
    writers[0].write(b"one\ntw").expect("write");
    writers[0].write(b"o\n").expect("write");
    for reader in readers {
        let mut all = String::new();
        while all.len() < 8 {
            all += &text(&reader);
        }
        assert_eq!(all, "one\ntwo\n", "the order of one writer");
    }
    let late = nodes.each_ref().map(reader);
    writers[1].write(b"three\n").expect("write");
    for reader in late {
        assert_eq!(text(&reader), "three\n");
    }
}

pub(crate) fn a_record_goes_to_one_reader_of_all_nodes(case: &Case) {
    const RECORDS: u32 = 200;
    let Some(server) = Server::start(case) else {
        return;
    };
    // The size makes that neither takes all before the other can: one of them would.
    let queues: [&[&str]; 2] = [&["--size", "8r", "--stream", "JOBS"], &["--size", "4M"]];
    for options in queues {
        let nodes = ["a", "b"].map(|name| node(case, &server, name, options));
        let got: Arc<AtomicUsize> = Arc::default();
        let readers = nodes.each_ref().map(|node| {
            let (file, got) = (reader(node), Arc::clone(&got));
            start(move || {
                let mut mine = Vec::new();
                // The end of the node ends it.
                while let Ok(bytes) = file.read(65536) {
                    let text = String::from_utf8(bytes).expect("text");
                    let numbers = text
                        .lines()
                        .map(|line| line.parse::<u32>().expect("number"));
                    mine.extend(numbers);
                    got.fetch_add(text.lines().count(), Ordering::Relaxed);
                }
                mine
            })
        });
        let taken = Arc::default();
        start_writing(writer(&nodes[0]), 0..RECORDS, &taken).wait();
        wait_until("all have come", || {
            got.load(Ordering::Relaxed) >= RECORDS as usize
        });
        nodes.into_iter().for_each(Driver::stop);
        let mut all: Vec<_> = readers.into_iter().flat_map(Started::wait).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..RECORDS), "{options:?}");
    }
}

pub(crate) fn a_node_that_comes_later_has_what_the_stream_keeps(case: &Case) {
    let Some(server) = Server::start(case) else {
        return;
    };
    let ring = ["--kind", "ring", "--size", "4K", "--stream", "LOG"];
    let first = node(case, &server, "a", &ring);
    writer(&first).write(b"one\ntwo\n").expect("write");
    first.stop();
    let second = node(case, &server, "b", &ring);
    assert_eq!(text(&reader(&second)), "one\ntwo\n");
    second.stop();
    let mut refused = pipe_at(case, "c", ["--nats", &server.url(), "--subject", "x"])
        .args(["--stream", "LOG"])
        .spawn();
    assert_eq!(refused.wait().code(), Some(1));
    refused.await_error("it keeps test.pipe, not x");
}

/// A size in bytes is a number of messages there, which a server does not get wrong.
pub(crate) fn a_full_stream_drops_what_it_is_told_to(case: &Case) {
    let Some(server) = Server::start(case) else {
        return;
    };
    let kept = "0\n1\n2\n3\n";
    for full in ["drop-new", "eagain"] {
        let common = ["--records", "line", "--nats", &server.url()];
        let options = [
            "--subject",
            full,
            "--stream",
            full,
            "--size",
            "4K",
            "--full",
            full,
        ];
        let node = pipe_at(case, "node", common).args(options).start();
        let writer = writer(&node);
        for number in 0..10 {
            let line = format!("{number}\n");
            let refused = full == "eagain" && number >= 4;
            let expected = if refused { Err(Errno::EAGAIN) } else { Ok(2) };
            assert_eq!(writer.write(line.as_bytes()), expected, "{full} {number}");
        }
        let reader = reader(&node);
        let mut all = String::new();
        while all.len() < kept.len() {
            all += &text(&reader);
        }
        assert_eq!(all, kept, "{full}");
        let dropped = if full == "eagain" { 0 } else { 6 };
        node.signal(Signal::SIGUSR1);
        node.await_error(&format!("dropped {} bytes", 2 * dropped));
    }
}

/// The server is killed in the middle and comes back with its files.
pub(crate) fn a_stream_outlives_its_server(case: &Case) {
    outlives(case, "broadcast", "NEWS");
}

/// Likewise.
pub(crate) fn a_queue_outlives_its_server(case: &Case) {
    outlives(case, "fifo", "JOBS");
}

/// Records that a queue of these tests has room for.
const LIMIT: u32 = 64;

/// Makes the stream JOBS, for `LIMIT` records, and its consumer as the tool would; what that gave out
/// and nobody has acknowledged, it gives out again after `seconds`.
fn make_queue(server: &Server<'_>, seconds: u32) {
    let stream = format!(
        r#"{{"name":"JOBS","subjects":["test.pipe"],"retention":"workqueue",
        "discard":"new","max_msgs":{LIMIT},"storage":"file","num_replicas":1}}"#
    );
    server.ask("$JS.API.STREAM.CREATE.JOBS", &stream);
    let consumer = format!(
        r#"{{"stream_name":"JOBS","config":{{"durable_name":"fusd-pipe-test_pipe",
        "filter_subject":"test.pipe","deliver_policy":"all","ack_policy":"explicit",
        "ack_wait":{seconds}000000000}}}}"#
    );
    let subject = "$JS.API.CONSUMER.DURABLE.CREATE.JOBS.fusd-pipe-test_pipe";
    server.ask(subject, &consumer);
}

/// A record that was on the wire when that was cut comes before those that were written later.
pub(crate) fn a_queue_keeps_its_order_over_a_cut(case: &Case) {
    let Some(server) = Server::start(case) else {
        return;
    };
    make_queue(&server, 2);
    let relay = Relay::start(server.port());
    let options = ["--stream", "JOBS"];
    let (near, far) = (
        node(case, &server, "near", &options),
        joined(case, &relay.url(), "far", &options).start(),
    );
    let (reader, writer) = (reader(&far), writer(&near));
    writer.write(b"0\n").expect("write");
    assert_eq!(text(&reader), "0\n");
    relay.hold();
    writer.write(b"1\n").expect("write");
    wait_until("the record is on its way", || relay.has("1\n"));
    relay.cut();
    far.await_error("the NATS server is gone");
    let reading = start_reading(reader, 2);
    writer.write(b"2\n").expect("write");
    assert_eq!(reading.wait(), [1, 2]);
}

/// What a reader leaves behind is for the next one, here or elsewhere, in its order.
pub(crate) fn readers_that_come_and_go_keep_the_order(case: &Case) {
    const RECORDS: u32 = 60;
    let Some(server) = Server::start(case) else {
        return;
    };
    make_queue(&server, 30);
    let options = ["--stream", "JOBS", "--one", "-vv"];
    let nodes = ["a", "b"].map(|name| node(case, &server, name, &options));
    let writer = writer(&nodes[0]);
    for number in 0..RECORDS {
        let line = format!("{number}\n");
        assert_eq!(writer.write(line.as_bytes()), Ok(line.len()));
    }
    let read = |node: &Driver, numbers: Range<u32>| {
        for number in numbers {
            assert_eq!(text(&reader(node)), format!("{number}\n"));
        }
    };
    read(&nodes[0], 0..RECORDS / 2);
    // What it has, it gives back when its last question is over, and the server may be late to say that.
    wait_until("the node has given back all that was not read", || {
        let said = nodes[0].errors();
        let last = said.lines().rfind(|line| line.contains(" records are "));
        last.is_some_and(|line| line.contains("given back"))
    });
    read(&nodes[1], RECORDS / 2..RECORDS);
}

/// A server that was killed may give a number to a new record that an old one had, and then never gives
/// the new one out, as nats-server 2.9 does where it is killed at the end of an acknowledgement.
pub(crate) fn a_server_that_has_lost_count_loses_no_record(case: &Case) {
    let Some(mut server) = Server::start(case) else {
        return;
    };
    make_queue(&server, 2);
    let node = node(case, &server, "node", &["--stream", "JOBS"]);
    let (reader, writer) = (reader(&node), writer(&node));
    for record in ["0\n", "1\n"] {
        writer.write(record.as_bytes()).expect("write");
        assert_eq!(text(&reader), record);
    }
    wait_until("the server has noted it", || noted(&server, 2));
    server.kill();
    node.await_error("the NATS server is gone");
    // Its consumer remembers the two, its stream does not.
    server.lose("JOBS/msgs");
    server.begin();
    for record in ["2\n", "3\n"] {
        writer.write(record.as_bytes()).expect("write");
        assert_eq!(text(&reader), record);
    }
}

/// Whether the server's file says that the records up to this one, at most 127, are acknowledged: there
/// are two bytes that say what the file is, then numbers, of which the second is this one.
fn noted(server: &Server<'_>, last: u8) -> bool {
    let file = server.file("JOBS/obs/fusd-pipe-test_pipe/o.dat");
    file.get(3) == Some(&last)
}

/// What was read and acknowledged takes no room in a stream, also where a server that is killed
/// forgets that, as nats-server 2.9 does for some seconds.
pub(crate) fn a_killed_server_does_not_fill_a_queue(case: &Case) {
    let Some(mut server) = Server::start(case) else {
        return;
    };
    make_queue(&server, 2);
    let options = ["--stream", "JOBS", "--full", "eagain", "--one"];
    let node = node(case, &server, "node", &options);
    let (reader, writer) = (reader(&node), writer(&node));
    let line = |number: u32| format!("{number}\n");
    let fill = |numbers: Range<u32>| {
        for number in numbers {
            let line = line(number);
            assert_eq!(writer.write(line.as_bytes()), Ok(line.len()), "{number}");
        }
    };
    let drain = |numbers: Range<u32>| {
        for number in numbers {
            assert_eq!(text(&reader), line(number));
        }
    };
    let kept = |server: &Server<'_>, count: u32| {
        wait_until("what was read is acknowledged", || {
            let state = server.ask("$JS.API.STREAM.INFO.JOBS", "");
            state.contains(&format!(r#""messages":{count},"#))
        });
    };
    fill(0..60);
    drain(0..59);
    kept(&server, 1);
    wait_until("the server has noted it", || noted(&server, 59));
    server.kill();
    node.await_error("the NATS server is gone");
    server.begin();
    node.await_error("the NATS server is back");
    drain(59..60);
    kept(&server, 0);
    fill(60..120);
    drain(60..120);
}

fn outlives(case: &Case, kind: &str, stream: &str) {
    const RECORDS: u32 = 300;
    let Some(mut server) = Server::start(case) else {
        return;
    };
    if kind == "fifo" {
        // So that a record that was on its way comes soon.
        make_queue(&server, 5);
    }
    let options = ["--kind", kind, "--stream", stream];
    let nodes = ["a", "b"].map(|name| node(case, &server, name, &options));
    // A fifo's record may come to one of two nodes twice, as the manual says; to one it does not.
    let count = if kind == "fifo" { 1 } else { 2 };
    let nodes_read = nodes.iter().rev().take(count);
    let readers: Vec<_> = nodes_read
        .map(|node| start_reading(reader(node), RECORDS as usize))
        .collect();
    let taken: Arc<AtomicUsize> = Arc::default();
    // However fast it is, there is something left to write without the server.
    let (killed, is_killed) = mpsc::channel();
    let numbers = (0..RECORDS).inspect(move |number| {
        if *number == RECORDS / 3 * 2 {
            is_killed.recv().expect("the server is killed");
        }
    });
    let writing = start_writing(writer(&nodes[0]), numbers, &taken);
    wait_until("some are written", || {
        taken.load(Ordering::Relaxed) >= RECORDS as usize / 3
    });
    server.kill();
    killed.send(()).expect("it writes");
    nodes[0].await_error("the NATS server is gone");
    assert!(writing.blocks(), "it waits for the server");
    server.begin();
    writing.wait();
    for reader in readers {
        let all = reader.wait();
        assert!(
            all.into_iter().eq(0..RECORDS),
            "{kind}: each once, in order"
        );
    }
    nodes[0].await_error("the NATS server is back");
    let errors = nodes[0].errors();
    assert_eq!(errors.matches("is gone").count(), 1, "{errors}");
    nodes.into_iter().for_each(Driver::stop);
}

/// Without a stream nothing is kept: what that comes to is said.
pub(crate) fn a_server_that_is_away_is_no_secret(case: &Case) {
    let Some(mut server) = Server::start(case) else {
        return;
    };
    let kinds = [
        ("drops", "drop-new"),
        ("fails", "eagain"),
        ("waits", "block"),
    ];
    let nodes = kinds.map(|(name, full)| {
        let options = ["--kind", "broadcast", "--full", full];
        node(case, &server, name, &options)
    });
    let [drops, fails, waits] = nodes.each_ref().map(writer);
    // Another node may be back later than this one, and miss what this one writes at once.
    let reader = reader(&nodes[2]);
    server.kill();
    for node in &nodes {
        node.await_error("the NATS server is gone");
    }
    assert_eq!(drops.write(b"lost\n"), Ok(5));
    assert_eq!(fails.write(b"refused\n"), Err(Errno::EAGAIN));
    wait_until("poll tells as well", || {
        fails.ready(PollFlags::POLLOUT).is_empty()
    });
    let waiting = waits.start_write(b"late\n");
    nodes[0].signal(Signal::SIGUSR1);
    nodes[0].await_error("dropped 5 bytes (1 records)");
    assert!(waiting.blocks(), "there is no server");
    server.begin();
    assert_eq!(waiting.wait(), Ok(5));
    assert_eq!(text(&reader), "late\n");
    wait_until("poll tells as well", || {
        !fails.ready(PollFlags::POLLOUT).is_empty()
    });
    fails.set_nonblocking(true).expect("fcntl");
    assert_eq!(fails.write(b"taken\n"), Ok(6));
    assert_eq!(text(&reader), "taken\n");
}

pub(crate) fn no_server_is_an_error_without_secrets(case: &Case) {
    let Some(mut server) = Server::start(case) else {
        return;
    };
    server.kill();
    let url = server.url().replace("://", "://me:s3cret@");
    let mut refused = joined(case, &url, "a", &["-vvv"]).spawn();
    assert_eq!(refused.wait().code(), Some(1));
    let errors = refused.errors();
    let shown = format!("cannot connect to the NATS server {}", server.url());
    for part in [&shown, "ECONNREFUSED", "start nats-server there"] {
        assert!(errors.contains(part), "{part:?} is not in:\n{errors}");
    }
    assert!(!errors.contains("s3cret"), "{errors}");
}
