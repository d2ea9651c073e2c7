//! What all tests of the tool share.

use std::ffi::OsStr;
use std::process::Stdio;

use fusd_tests::client::{Handle, Outcome, open_with};
use fusd_tests::{Case, Driver, Launch};
use nix::fcntl::OFlag;

/// The tool with a node of the test's own for `url`, and these arguments.
pub(crate) fn http<I: IntoIterator<Item: AsRef<OsStr>>>(
    case: &Case,
    url: &str,
    arguments: I,
) -> Launch {
    let node = case.node("node");
    Launch::new(case, case.program("fusd-http"), &node)
        .args(["--backend", case.backend().name(), url])
        .arg(&node)
        .args(arguments)
        // A proxy of whoever runs the tests has nothing to do here.
        .env("NO_PROXY", "*")
}

/// The node, opened for reading.
pub(crate) fn try_open(driver: &Driver) -> Outcome<Handle> {
    open_with(driver.node(), OFlag::O_RDONLY)
}

/// The node, open for reading.
#[track_caller]
pub(crate) fn reader(driver: &Driver) -> Handle {
    try_open(driver).expect("open for reading")
}

/// All that the node says to one who opens it now.
#[track_caller]
pub(crate) fn content(driver: &Driver) -> Vec<u8> {
    let file = reader(driver);
    let read = fusd_tests::wait::start(move || file.read_all(65536));
    read.wait().expect("read to the end")
}

/// Bytes of which no two blocks are alike.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    pattern_at(0, length)
}

/// The same, from some byte on.
pub(crate) fn pattern_at(offset: usize, length: usize) -> Vec<u8> {
    let first = u32::try_from(offset / 4).expect("a short pattern");
    let words = (first..).flat_map(|word| word.wrapping_mul(2_654_435_761).to_be_bytes());
    words.skip(offset % 4).take(length).collect()
}

/// Runs a shell command in the test's directory with the node as `$0`; gives what it printed.
///
/// # Panics
/// It fails, or does not end in time.
#[track_caller]
pub(crate) fn shell(case: &Case, node: &OsStr, script: &str) -> Vec<u8> {
    let child = case
        .command("bash")
        .args(["-c", script])
        .arg(node)
        .current_dir(case.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash can be started");
    let ended = fusd_tests::wait::start(move || child.wait_with_output());
    let output = ended.wait().expect("bash can be waited for");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{script}: {}\n{errors}",
        output.status
    );
    output.stdout
}

/// Makes a CA, and of it a certificate for 127.0.0.1 and one for a client.
const CERTIFICATES: &str = r#"
set -e
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2>/dev/null; }
new -x509 -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
for name in server client; do
    new -subj /CN=$name -keyout $name.key -out $name.csr
    printf 'basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1' >$name.ext
    openssl x509 -req -days 2 -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
        -extfile $name.ext -out $name.pem 2>/dev/null
done
cat client.pem client.key >both.pem
"#;

/// Makes those in the test's directory; gives where there is a file of that name.
#[track_caller]
pub(crate) fn certificates(case: &Case) -> impl Fn(&str) -> String + use<> {
    shell(case, "".as_ref(), CERTIFICATES);
    let directory = case.directory().to_owned();
    move |name| directory.join(name).display().to_string()
}
