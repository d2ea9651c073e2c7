//! Pages that the server compresses.

use std::io::Write;

use fusd_tests::Case;
use nix::errno::Errno;

use crate::helper::{content, http, pattern, reader, shell, try_open};
use crate::server::Server;

/// The page as each encoding has it.
struct Encoded {
    gzip: Vec<u8>,
    br: Vec<u8>,
    zstd: Vec<u8>,
}

impl Encoded {
    fn new(case: &Case, page: &[u8]) -> Self {
        case.file("page", page);
        let mut br = brotli::CompressorWriter::new(Vec::new(), 4096, 2, 20);
        br.write_all(page).expect("memory");
        // Two frames: a reader does not take the end of the first for that of the page.
        let (one, two) = page.split_at(page.len() / 2);
        let frame = |part| zstd::encode_all(part, 1).expect("memory");
        Self {
            gzip: shell(case, "".as_ref(), "gzip -c page"),
            br: br.into_inner(),
            zstd: [frame(one), frame(two)].concat(),
        }
    }

    fn of(&self, name: &str) -> &[u8] {
        match name {
            "gzip" => &self.gzip,
            "br" => &self.br,
            "zstd" => &self.zstd,
            other => panic!("{other} is no encoding"),
        }
    }
}

const ALL: [&str; 3] = ["gzip", "br", "zstd"];

pub(crate) fn compressed_pages_are_decoded(case: &Case) {
    let page = pattern(300_000);
    let encoded = Encoded::new(case, &page);
    let both = encoded.gzip.clone();
    let server = Server::start(move |asked, line| {
        let accepted = asked.header("accept-encoding").unwrap_or_default();
        let mut words = asked.path.split('/').skip(1);
        let (how, name) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let header = format!("Content-Encoding: {name}\r\n");
        match how {
            "asked" if !accepted.contains(name) => line.answer("406 No", "", ""),
            "cut" => line.answer("200 OK", &header, &encoded.of(name)[..10_000]),
            "odd" => line.answer("200 OK", &header, &both),
            _ => line.answer("200 OK", &header, encoded.of(name)),
        }
    });
    for name in ALL {
        let url = server.url(&format!("/unasked/{name}"));
        let driver = http(case, &url, [""; 0]).start();
        assert!(content(&driver) == page, "{name}");
        driver.stop();
        let url = server.url(&format!("/asked/{name}"));
        let driver = http(case, &url, ["--compressed"]).start();
        assert!(content(&driver) == page, "{name}, asked for");
        driver.stop();
        let driver = http(case, &server.url(&format!("/cut/{name}")), [""; 0]).start();
        let read = reader(&driver).read_all(65536);
        assert_eq!(read, Err(Errno::EIO), "{name}, cut");
        driver.stop();
    }
    let driver = http(case, &server.url("/odd/odd"), ["--retries", "0"]).start();
    assert_eq!(try_open(&driver).map(drop), Err(Errno::EIO));
    driver.stop();
}
