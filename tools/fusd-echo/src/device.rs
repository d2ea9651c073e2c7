//! The device: what a client's open, read, write and close of the text do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fusd::request::{FlushRequest, OpenRequest, ReadRequest, SyncRequest, WriteRequest};
use fusd::{Delivery, Device, Errno, OpenFile, Operations, Properties};

use crate::args::OnWrite;
use crate::content::Content;
use crate::draft::Draft;
use crate::exec;
use crate::source;

/// How a text is said, and what may be done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The text repeats without end; it has no size then.
    pub repeat: bool,
    /// A read ends with the first newline it comes to.
    pub lines: bool,
    /// What a write does.
    pub on_write: OnWrite,
    /// Bytes that a text may have after a write, and that a command may say.
    pub max_size: usize,
}

impl Settings {
    /// Whether clients can be served without this program: reads give the text as it is, and it lasts.
    /// To which each write adds, it would be copied for each reader that opens it in between.
    fn publishes(&self) -> bool {
        !self.repeat && !self.lines && self.on_write != OnWrite::Append
    }
}

/// A device that says a text. Clones are the same device.
#[derive(Clone, Debug)]
pub struct Echo(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    /// The version that the next open gets.
    current: Mutex<Content>,
    /// The command that makes the text of each open, if one does.
    command: Option<OsString>,
    node: OnceLock<PathBuf>,
    /// Held while a file is read again, so that the last reload is the one that counts.
    reloading: Mutex<()>,
}

/// The text as one open file has it.
#[derive(Debug)]
pub struct OpenText {
    version: Content,
    draft: Mutex<Draft>,
}

impl Echo {
    /// A device that says `text`.
    pub fn new(text: impl Into<Vec<u8>>, settings: Settings) -> Self {
        Self::of_content(Content::new(text.into()), settings)
    }

    /// A device that says, to each who opens it, what `command` then says to /bin/sh -c.
    pub fn of_command(command: impl Into<OsString>, settings: Settings) -> Self {
        Self::build(Content::new(Vec::new()), Some(command.into()), settings)
    }

    pub(crate) fn of_content(content: Content, settings: Settings) -> Self {
        Self::build(content, None, settings)
    }

    fn build(content: Content, command: Option<OsString>, settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            current: Mutex::new(content),
            command,
            node: OnceLock::new(),
            reloading: Mutex::new(()),
        }))
    }

    /// Tells where the node is: a command finds it in `$FUSD_PATH`.
    pub(crate) fn set_node(&self, path: &Path) {
        let _first_counts = self.0.node.set(path.to_owned());
    }

    /// Says what the file at `path` has now. Where it cannot be read, the text stays as it is.
    pub(crate) fn reload(&self, path: &Path) {
        let _order = lock(&self.0.reloading);
        match source::file(path, self.0.settings.max_size) {
            Ok(loaded) => {
                *self.current() = loaded.content;
                tracing::info!(file = %path.display(), "reloaded");
            }
            Err(error) => tracing::warn!(%error, "not reloaded: the old text stays"),
        }
    }

    fn current(&self) -> MutexGuard<'_, Content> {
        lock(&self.0.current)
    }

    /// Lets the client in, with `version` as the text of its file.
    fn accept(&self, request: OpenRequest<OpenText>, version: Content) {
        let flags = request.flags();
        if let Content::Published(text) = &version {
            request.publish(text);
        }
        let draft = Draft::new(flags.writable() && flags.truncate());
        request.accept(OpenText {
            version,
            draft: Mutex::new(draft),
        });
    }

    /// Adds a write to the current version; nobody sees it before the writer knows of it.
    fn append(&self, request: WriteRequest) {
        let mut current = self.current();
        match current.append(request.data(), self.0.settings.max_size) {
            Ok(before) => {
                if request.accept() == Delivery::Unwanted {
                    current.shorten(before);
                }
            }
            Err(errno) => {
                request.fail(errno);
            }
        }
    }

    /// Adds a write to what this open file has written so far.
    fn draft(&self, file: &OpenText, request: WriteRequest) {
        let mut draft = lock(&file.draft);
        let limit = self.0.settings.max_size;
        match draft.write(request.offset(), request.data(), limit) {
            Ok(written) => match request.accept_part(written.count) {
                Delivery::Delivered => draft.keep(written),
                Delivery::Unwanted => draft.undo(written),
            },
            Err(errno) => {
                request.fail(errno);
            }
        }
    }

    fn commit(&self, text: Option<Arc<Vec<u8>>>) {
        if let Some(text) = text {
            *self.current() = Content::Bytes(text);
        }
    }
}

impl Device for Echo {
    type File = OpenText;

    fn properties(&self) -> Properties {
        let mut operations = Operations::READ | Operations::SYNC;
        if self.0.settings.on_write != OnWrite::Deny {
            operations |= Operations::WRITE;
        }
        if self.0.settings.on_write == OnWrite::Replace {
            operations |= Operations::FLUSH;
        }
        Properties::default().operations(operations)
    }

    fn open(&self, request: OpenRequest<OpenText>) {
        let flags = request.flags();
        let settings = &self.0.settings;
        if flags.writable() && settings.on_write == OnWrite::Deny {
            request.fail(Errno::EACCES);
            return;
        }
        match &self.0.command {
            Some(command) if flags.readable() => {
                let job = exec::Job {
                    command: command.clone(),
                    node: self.0.node.get().cloned(),
                    limit: settings.max_size,
                };
                let echo = self.clone();
                exec::open(job, request, move |request, mut version| {
                    if echo.0.settings.publishes() {
                        version.publish();
                    }
                    echo.accept(request, version);
                });
            }
            _ => {
                let mut current = self.current();
                if flags.readable() && settings.publishes() {
                    current.publish();
                }
                let version = current.clone();
                drop(current);
                self.accept(request, version);
            }
        }
    }

    fn read(&self, file: &OpenFile<OpenText>, request: ReadRequest) {
        let Settings { repeat, lines, .. } = self.0.settings;
        let (offset, length) = (request.offset(), request.len());
        let text = if repeat {
            file.version.read_endless(offset, length)
        } else {
            file.version.read(offset, length)
        };
        match text {
            Ok(text) => {
                let newline = text.iter().position(|byte| lines && *byte == b'\n');
                let text = newline.map_or(&text[..], |end| &text[..=end]);
                request.at_return().reply(text);
            }
            Err(error) => {
                let error = Errno::from(error);
                tracing::warn!(%error, offset, "the file cannot be read");
                request.fail(error);
            }
        }
    }

    fn write(&self, file: &OpenFile<OpenText>, request: WriteRequest) {
        match self.0.settings.on_write {
            // It was not opened for writing.
            OnWrite::Deny => {
                request.fail(Errno::EBADF);
            }
            OnWrite::Discard => {
                request.at_return().accept();
            }
            OnWrite::Append => self.append(request),
            OnWrite::Replace if request.flags().append() => self.append(request),
            OnWrite::Replace => self.draft(file, request),
        }
    }

    fn flush(&self, file: &OpenFile<OpenText>, request: FlushRequest) {
        // First the text, then the answer: whoever reads after close(2) has returned reads it.
        self.commit(lock(&file.draft).written());
        request.at_return().done();
    }

    fn release(&self, file: &OpenFile<OpenText>) {
        if self.0.settings.on_write == OnWrite::Replace {
            self.commit(lock(&file.draft).last());
        }
    }

    fn sync(&self, _file: &OpenFile<OpenText>, request: SyncRequest) {
        // Nothing is kept on a disk that it would have to reach.
        request.at_return().done();
    }

    fn size(&self, file: Option<&OpenFile<OpenText>>) -> u64 {
        if self.0.settings.repeat {
            return 0;
        }
        let length = match file {
            Some(file) => file.version.len(),
            None => self.current().len(),
        };
        length.unwrap_or(0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
