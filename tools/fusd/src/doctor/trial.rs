//! A device for a moment: made on one backend, read once, and taken away.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fusd::{BackendKind, Device, DeviceBuilder, OpenFile, OpenRequest, ReadRequest};
use nix::unistd::geteuid;

const GREETING: &[u8] = b"Hello, doctor!\n";

/// How long a read may take: it takes less than a thousandth of that on any machine that works.
const PATIENCE: Duration = Duration::from_secs(20);

struct Greeter;

impl Device for Greeter {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _file: &OpenFile<()>, request: ReadRequest) {
        request.reply_from(GREETING);
    }
}

/// Makes a device on a backend and reads it; where it was.
///
/// # Errors
/// Why that cannot be done, in one line.
pub(super) fn make(kind: BackendKind) -> Result<PathBuf, String> {
    let path = place(kind);
    let session = DeviceBuilder::new("")
        .path(&path)
        .mode(0o600)
        .backend(kind)
        .register(Greeter)
        .map_err(|error| error.to_string())?;
    let serving = session.spawn().map_err(|error| error.to_string())?;
    let read = read(path.clone());
    let stopped = serving.stop().map_err(|error| error.to_string());
    read.and(stopped).map(|()| path)
}

/// Where a device may be that nobody else can want there.
fn place(kind: BackendKind) -> PathBuf {
    let directory = match kind {
        BackendKind::Fuse => env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            // Root need not go where everybody may.
            .or_else(|| geteuid().is_root().then(|| PathBuf::from("/run")))
            .filter(|runtime| fs::metadata(runtime).is_ok_and(|found| found.is_dir()))
            .unwrap_or_else(env::temp_dir),
        _ => PathBuf::from("/dev"),
    };
    directory.join(format!("fusd-doctor-{}", std::process::id()))
}

/// Reads the device on a thread of its own, so that nothing is waited for without end.
fn read(path: PathBuf) -> Result<(), String> {
    let shown = path.display().to_string();
    let (sender, result) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut text));
        // Nobody waits for it any more where it came too late.
        let _ = sender.send(read.map(|_| text));
    });
    match result.recv_timeout(PATIENCE) {
        Ok(Ok(text)) if text == GREETING => Ok(()),
        Ok(Ok(_)) => Err(format!(
            "the device {shown} was made, but says something else than its driver"
        )),
        Ok(Err(error)) => {
            let errno = fusd::Errno::from(error);
            Err(format!(
                "the device {shown} was made, but cannot be read: {errno}"
            ))
        }
        Err(_) => Err(format!(
            "the device {shown} was made, but a read of it does not return"
        )),
    }
}
