//! A device that gives what standard input says: to whoever reads first, and without being woken by it.

use std::io;

use fusd::{Device, DeviceBuilder, OpenRequest, Properties, Ring};

struct Input(Ring);

impl Device for Input {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        match request.attach_reads(&self.0) {
            Ok(()) => request.accept(()),
            Err(error) => request.fail(error.errno()),
        };
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ring = Ring::new(64 << 10)?;
    let session = DeviceBuilder::new("input").register(Input(ring.clone()))?;
    println!("{} is ready", session.path().display());
    let serving = session.spawn()?;
    io::copy(&mut io::stdin(), &mut &ring)?;
    ring.finish();
    Ok(serving.join()?)
}
