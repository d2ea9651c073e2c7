//! A ring: reads and writes need not come here.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use fusd::{Device, Errno, OpenRequest, Operations, Properties, Ring};
use fusd_tests::record;

use crate::Control;
use crate::options::parse;

/// `SIZE,out`: what the driver feeds is read. `SIZE,in`: it takes what is written. `SIZE,pipe`: what is
/// written is read.
///
/// Told: `push TEXT`, `pull N`, `finish`, `resume`, `shut`, `reopen`, `filled`; `emit TAG COUNT` has a thread
/// feed so many records and then finish; `collect` has one take all that is written, `collected`
/// tells how many bytes that has, and `numbers TAG` how many records of a writer, from the first on,
/// are in order.
pub(crate) struct RingDevice {
    ring: Ring,
    reads: bool,
    writes: bool,
}

impl RingDevice {
    pub(crate) fn new(argument: &str) -> Result<(Self, Control), String> {
        let (size, way) = argument.split_once(',').ok_or("no way is given")?;
        let ring = Ring::new(parse(size)?).map_err(|error| error.to_string())?;
        let (reads, writes) = match way {
            "out" => (true, false),
            "in" => (false, true),
            "pipe" => (true, true),
            _ => return Err(format!("{way:?} is no way")),
        };
        let told = Told {
            ring: ring.clone(),
            collected: Arc::default(),
        };
        let device = Self {
            ring,
            reads,
            writes,
        };
        Ok((device, Box::new(move |words| told.obey(words))))
    }

    fn attach(&self, request: &OpenRequest<()>) -> fusd::Result<()> {
        let flags = request.flags();
        if self.reads && flags.readable() {
            request.attach_reads(&self.ring)?;
        }
        if self.writes && flags.writable() {
            request.attach_writes(&self.ring)?;
        }
        Ok(())
    }
}

impl Device for RingDevice {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream().operations(Operations::READ | Operations::WRITE | Operations::POLL)
    }

    fn open(&self, request: OpenRequest<()>) {
        match self.attach(&request) {
            Ok(()) => request.accept(()),
            // The client may have gone.
            Err(error) => request.fail(error.errno()),
        };
    }
}

/// What is done to the ring from outside.
struct Told {
    ring: Ring,
    collected: Arc<Mutex<Vec<u8>>>,
}

impl Told {
    fn obey(&self, words: &[&str]) -> Option<String> {
        let ring = &self.ring;
        match words {
            ["push", text] => Some(outcome(ring.feed(text.as_bytes()))),
            ["pull", count] => {
                let mut bytes = vec![0; count.parse().ok()?];
                Some(match ring.take(&mut bytes) {
                    Ok(count) => String::from_utf8_lossy(&bytes[..count]).into_owned(),
                    error => outcome(error),
                })
            }
            ["finish"] => Some(done(|| ring.finish())),
            ["resume"] => Some(done(|| ring.resume())),
            ["shut"] => Some(done(|| ring.shut())),
            ["reopen"] => Some(done(|| ring.reopen())),
            ["filled"] => Some(ring.filled().to_string()),
            ["emit", tag, count] => {
                let (ring, tag) = (ring.clone(), (*tag).to_owned());
                let count: u32 = count.parse().ok()?;
                thread::spawn(move || {
                    let all: Vec<u8> = (0..count).flat_map(|n| record::bytes(&tag, n)).collect();
                    // It fails when the session ends.
                    if (&ring).write_all(&all).is_ok() {
                        ring.finish();
                    }
                });
                Some("emitting".into())
            }
            ["collect"] => {
                let (ring, collected) = (ring.clone(), Arc::clone(&self.collected));
                thread::spawn(move || collect(&ring, &collected));
                Some("collecting".into())
            }
            ["collected"] => Some(self.collected().len().to_string()),
            ["numbers", tag] => {
                let sorted = record::sort(&self.collected());
                let numbers = sorted.get(*tag).map_or(&[][..], Vec::as_slice);
                let in_order = numbers
                    .iter()
                    .zip(0..)
                    .take_while(|(number, at)| *number == at);
                Some(in_order.count().to_string())
            }
            _ => None,
        }
    }

    fn collected(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        let collected = self.collected.lock();
        collected.unwrap_or_else(PoisonError::into_inner)
    }
}

fn collect(mut ring: &Ring, collected: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 5000];
    while let Ok(count @ 1..) = ring.read(&mut buffer) {
        let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
        collected.extend_from_slice(&buffer[..count]);
    }
}

fn outcome(result: io::Result<usize>) -> String {
    match result {
        Ok(count) => count.to_string(),
        Err(error) => format!("{:?}", Errno::from(&error)),
    }
}

fn done(act: impl FnOnce()) -> String {
    act();
    "done".into()
}
