//! Published content, on loopback: where no kernel serves it, the session does.

use std::sync::atomic::{AtomicUsize, Ordering};

use fusd::loopback::Client;
use fusd::{
    Device, DeviceBuilder, Errno, OpenFile, OpenRequest, Operations, Properties, Published,
    ReadRequest, Serving, WriteRequest,
};

/// Publishes, from the second open on, and refuses what reaches it.
struct Pages {
    properties: Properties,
    pages: Vec<Published>,
    opened: AtomicUsize,
}

impl Device for Pages {
    type File = ();

    fn properties(&self) -> Properties {
        self.properties
    }

    fn open(&self, request: OpenRequest<()>) {
        let number = self.opened.fetch_add(1, Ordering::SeqCst);
        // What was published before is forgotten.
        for page in self.pages.iter().take(number) {
            request.publish(page);
        }
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        request.fail(Errno::ENODATA);
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        request.accept();
    }

    fn size(&self, _: Option<&OpenFile<()>>) -> u64 {
        4711
    }
}

fn serve(properties: Properties, pages: &[&[u8]]) -> (Client, Serving) {
    let pages = pages.iter().map(|page| Published::new(page).unwrap());
    let device = Pages {
        properties,
        pages: pages.collect(),
        opened: AtomicUsize::new(0),
    };
    DeviceBuilder::new("x").loopback(device).unwrap()
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from(&error)
}

#[test]
fn each_open_reads_what_was_published_for_it_last() {
    let (client, _serving) = serve(Properties::default(), &[b"first", b"", b"third"]);
    let files: Vec<_> = (0..4).map(|_| client.open(libc::O_RDWR).unwrap()).collect();
    assert_eq!(errno(files[0].read(9).unwrap_err()), Errno::ENODATA);
    assert_eq!(files[0].size().unwrap(), 4711);
    for (file, text) in files[1..].iter().zip(["first", "", "third"]) {
        assert_eq!(file.size().unwrap(), text.len() as u64);
        assert_eq!(file.read(9).unwrap(), text.as_bytes());
        assert_eq!(file.read(9).unwrap(), b"");
        assert_eq!(
            file.read_at(2, 1).unwrap(),
            text.get(1..3).unwrap_or("").as_bytes()
        );
        for beyond in [5, 6, u64::MAX] {
            assert_eq!(file.read_at(1, beyond).unwrap(), b"");
        }
        file.seek(0).unwrap();
        assert_eq!(file.read(0).unwrap(), b"");
        assert_eq!(file.write(b"to the device").unwrap(), 13);
    }
}

#[test]
fn readers_of_a_stream_have_a_place_each() {
    let (client, _serving) = serve(Properties::stream(), &[&b"0123456789"[..]; 2]);
    let open = || client.open(libc::O_RDONLY).unwrap();
    let (_first, one, two) = (open(), open(), open());
    assert_eq!(one.read(3).unwrap(), b"012");
    assert_eq!(two.read(5).unwrap(), b"01234");
    assert_eq!(one.read(9).unwrap(), b"3456789");
    assert_eq!(two.read(2).unwrap(), b"56");
    assert_eq!(one.read(9).unwrap(), b"");
    assert_eq!(errno(one.read_at(1, 0).unwrap_err()), Errno::ESPIPE);
}

#[test]
fn the_operation_read_is_not_needed() {
    let properties = Properties::default().operations(Operations::empty());
    let (client, _serving) = serve(properties, &[b"text"]);
    let [first, second] = [(); 2].map(|()| client.open(libc::O_RDONLY).unwrap());
    assert_eq!(errno(first.read(9).unwrap_err()), Errno::EINVAL);
    assert_eq!(second.read(9).unwrap(), b"text");
}
