//! `--answer-file`: the content of a file, read into locked memory.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fusd::Errno;
use nix::fcntl::OFlag;

use crate::secret::Secret;
use crate::settings::LONGEST;

/// Bytes of one read.
const PART: usize = 4096;

/// All that the file has. It must not be one that keeps its readers waiting: a pipe without a writer
/// is empty.
///
/// # Errors
/// It cannot be read, or is too long (`EFBIG`).
pub(crate) fn read(path: &Path) -> Result<Secret, Errno> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let mut content = Secret::new();
    loop {
        match file.read(content.room(PART)) {
            Ok(0) => return Ok(content),
            Ok(count) => content.grown(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if content.len() > LONGEST {
            return Err(Errno::EFBIG);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_and_within_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("answer");
        let text = "0123456789".repeat(1000);
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read(&path).unwrap().text(), text);
        assert_eq!(read(Path::new("/dev/zero")).map(drop), Err(Errno::EFBIG));
        assert_eq!(read(Path::new("/no/such")).map(drop), Err(Errno::ENOENT));
    }
}
