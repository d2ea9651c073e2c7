//! Everything at once, on loopback: no call is left waiting, no byte lost or doubled, no file kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use fusd::loopback::Client;
use fusd::{
    Attempt, Device, DeviceBuilder, Errno, OpenFile, OpenRequest, PollEvents, Properties,
    ReadRequest, WaitQueue, WriteRequest,
};

const SPACE: usize = 32;
const WRITERS: u64 = 3;
const READERS: u64 = 3;
/// How long the clients go on.
const TIME: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(300);

/// What a device has seen.
#[derive(Default)]
struct Counts {
    opened: AtomicU64,
    released: AtomicU64,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Counts {
    /// Runs a handler as one of those that run at a time.
    fn handler(&self, run: impl FnOnce()) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        run();
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A pipe, some of whose handlers take their time.
struct Pipe {
    bytes: WaitQueue<VecDeque<u8>>,
    counts: Arc<Counts>,
}

impl Device for Pipe {
    type File = AtomicU64;

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<AtomicU64>) {
        self.counts.handler(|| {
            self.counts.opened.fetch_add(1, Ordering::SeqCst);
            request.accept_with(AtomicU64::new(1), |file| {
                self.bytes.watch(file, |bytes| {
                    let mut events = PollEvents::empty();
                    events.set(PollEvents::READ, !bytes.is_empty());
                    events.set(PollEvents::WRITE, bytes.len() < SPACE);
                    events
                });
            });
        });
    }

    fn release(&self, file: &OpenFile<AtomicU64>) {
        self.bytes.unwatch(file);
        self.counts.released.fetch_add(1, Ordering::SeqCst);
    }

    fn read(&self, file: &OpenFile<AtomicU64>, request: ReadRequest) {
        self.counts.handler(|| {
            if file.fetch_add(1, Ordering::SeqCst).is_multiple_of(500) {
                thread::sleep(Duration::from_millis(10));
            }
            self.bytes.serve(request, |bytes, request: ReadRequest| {
                if bytes.is_empty() {
                    return Attempt::Wait(request);
                }
                let count = request.len().min(bytes.len());
                let taken: Vec<u8> = bytes.range(..count).copied().collect();
                if request.reply(&taken).is_delivered() {
                    bytes.drain(..count);
                }
                Attempt::Served
            });
        });
    }

    fn write(&self, _: &OpenFile<AtomicU64>, request: WriteRequest) {
        self.counts.handler(|| {
            self.bytes.serve(request, |bytes, request: WriteRequest| {
                let count = request.data().len().min(SPACE - bytes.len());
                if count == 0 {
                    return Attempt::Wait(request);
                }
                let taken = request.data()[..count].to_vec();
                if request.accept_part(count).is_delivered() {
                    bytes.extend(taken);
                }
                Attempt::Served
            });
        });
    }
}

/// What a client has read or written: how many bytes, and their sum.
type Account = (u64, u64);

/// Numbers that look like chance (xorshift), the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// `O_NONBLOCK`, or not.
    fn flags(&mut self) -> i32 {
        libc::O_RDWR
            | if self.roll(2) == 0 {
                libc::O_NONBLOCK
            } else {
                0
            }
    }
}

/// Reads or writes, interrupts itself, changes its mind about waiting, and opens its file anew,
/// until `over` says so.
fn carry_on(
    client: &Client,
    seed: u64,
    write: bool,
    over: impl Fn(&fusd::loopback::File) -> bool,
) -> Account {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
    let mut account = (0, 0);
    let mut file = client.open(libc::O_RDWR).unwrap();
    while !over(&file) {
        match dice.roll(20) {
            0 => file = client.open(dice.flags()).unwrap(),
            1 => file.set_flags(dice.flags()),
            2 => drop(file.poll().unwrap()),
            _ => {}
        }
        let length = usize::try_from(dice.roll(48)).unwrap();
        let interrupt = dice.roll(3) == 0;
        let result = if write {
            let data = vec![u8::try_from(seed).unwrap(); length + 1];
            let call = file.start_write(&data);
            if interrupt {
                call.interrupt();
            }
            call.wait().map(|count| data[..count].to_vec())
        } else {
            let call = file.start_read(length + 1);
            if interrupt {
                call.interrupt();
            }
            call.wait()
        };
        match result.map_err(Errno::from) {
            Ok(bytes) => {
                account.0 += bytes.len() as u64;
                account.1 += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    }
    account
}

fn add(sum: Account, one: Account) -> Account {
    (sum.0 + one.0, sum.1 + one.1)
}

/// One session under all of it, with `workers` handlers at a time.
fn stress(workers: usize) {
    let counts = Arc::new(Counts::default());
    let bytes = WaitQueue::new(VecDeque::new());
    let device = Pipe {
        bytes: bytes.clone(),
        counts: Arc::clone(&counts),
    };
    let (client, serving) = DeviceBuilder::new("x")
        .workers(workers)
        .loopback(device)
        .unwrap();
    let end = Instant::now() + TIME;
    let time_is_up = move |_: &fusd::loopback::File| Instant::now() > end;
    let begin = |seed: u64, write: bool| {
        let client = client.clone();
        thread::spawn(move || carry_on(&client, seed, write, time_is_up))
    };
    let writers: Vec<_> = (1..=WRITERS).map(|seed| begin(seed, true)).collect();
    let readers: Vec<_> = (1..=READERS).map(|seed| begin(100 + seed, false)).collect();
    // Nobody is left waiting for those who have gone: there is always data, and always space.
    let helper = client.open(libc::O_RDWR | libc::O_NONBLOCK).unwrap();
    let mut extra = ((0, 0), (0, 0));
    while !writers
        .iter()
        .chain(&readers)
        .all(thread::JoinHandle::is_finished)
    {
        if Instant::now() > end {
            match helper.write(&[50]) {
                Ok(count) => extra.0 = add(extra.0, (count as u64, 50)),
                Err(error) => assert_eq!(Errno::from(error), Errno::EAGAIN),
            }
            if let Ok(data) = helper.read(SPACE) {
                let sum = data.iter().map(|byte| u64::from(*byte)).sum();
                extra.1 = add(extra.1, (data.len() as u64, sum));
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    let written = writers.into_iter().map(|it| it.join().unwrap());
    let written = written.fold(extra.0, add);
    let read = readers.into_iter().map(|it| it.join().unwrap());
    let read = read.fold(extra.1, add);
    let left = bytes.look(|bytes| {
        let sum = bytes.iter().map(|byte| u64::from(*byte)).sum();
        (bytes.len() as u64, sum)
    });
    assert_eq!(written, add(read, left), "what goes in comes out");
    assert_eq!(bytes.waiting(), 0);

    // Files that are open, and calls that wait, at the end.
    bytes.update(VecDeque::clear);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let file = client.open(libc::O_RDONLY).unwrap();
            let call = file.start_read(1);
            (file, call)
        })
        .collect();
    while bytes.waiting() != waiting.len() {
        thread::yield_now();
    }
    serving.stop().unwrap();
    for (_file, call) in waiting {
        assert_eq!(Errno::from(call.wait().unwrap_err()), Errno::EPIPE);
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    assert_eq!(count(&counts.opened), count(&counts.released));
    assert!(counts.most.load(Ordering::SeqCst) <= workers);
    assert_eq!(Arc::strong_count(&counts), 1, "nothing holds the device");
}

#[test]
fn everything_at_once_adds_up() {
    let (done, ended) = channel();
    thread::spawn(move || {
        thread::scope(|scope| {
            for workers in [1, 2, 16] {
                scope.spawn(move || stress(workers));
            }
        });
        done.send(()).unwrap();
    });
    ended
        .recv_timeout(DEADLINE)
        .expect("something waits for ever, or does not add up");
}
