//! A device that says hello: the smallest driver there is.

use fusd::{Device, DeviceBuilder, OpenFile, OpenRequest, ReadRequest};

struct Hello;

impl Device for Hello {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _file: &OpenFile<()>, request: ReadRequest) {
        request.reply_from(b"Hello, world!\n");
    }
}

fn main() -> fusd::Result<()> {
    let session = DeviceBuilder::new("hello").register(Hello)?;
    println!("{} is ready", session.path().display());
    session.run()
}
