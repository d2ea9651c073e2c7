//! A file that gets a copy of all that is written to the pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;

/// The file, until it cannot be written any more.
#[derive(Debug)]
pub(crate) struct Tee {
    path: PathBuf,
    file: Option<File>,
}

impl Tee {
    /// Opens the file at `path`, at its end; makes it if there is none.
    ///
    /// # Errors
    /// It cannot be opened, or is no regular file: writers would wait for whatever is behind it.
    pub(crate) fn open(path: &Path) -> Result<Self, ToolError> {
        let failed = |error: io::Error| {
            Error::system(ErrorKind::Runtime, Errno::from(&error), "open the file").on(path)
        };
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(ToolError::usage(format!(
                "{} is no regular file; give --tee one, or read the node for anything else",
                path.display()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
        })
    }

    /// Adds to the file. Where that fails, says so, and tries no more.
    pub(crate) fn write(&mut self, parts: [&[u8]; 2]) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = write_all(file, parts) {
            let (file, error) = (self.path.display(), Errno::from(&error));
            tracing::error!(%file, %error, "the copy ends here");
            self.file = None;
        }
    }
}

fn write_all(file: &mut File, [first, second]: [&[u8]; 2]) -> io::Result<()> {
    let written = file.write_vectored(&[IoSlice::new(first), IoSlice::new(second)])?;
    file.write_all(first.get(written..).unwrap_or_default())?;
    let second_written = written.saturating_sub(first.len());
    file.write_all(&second[second_written..])
}
