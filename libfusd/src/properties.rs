//! What a device says of itself once, when it is registered.

bitflags::bitflags! {
    /// The operations a device implements. Calls of the others never reach it: the client gets
    /// what the kernel itself answers for a device without them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Operations: u32 {
        /// read(2) and its relatives; without it `EINVAL`.
        const READ = 1 << 0;
        /// write(2) and its relatives; without it `EINVAL`.
        const WRITE = 1 << 1;
        /// ioctl(2); without it `ENOTTY`.
        const IOCTL = 1 << 2;
        /// poll(2), select(2), epoll(7); without it the file is always ready.
        const POLL = 1 << 3;
        /// Told at each close(2) of a descriptor; without it close succeeds. Not among the
        /// operations that a device has by default, for it makes every close wait its turn behind
        /// the file's other calls.
        const FLUSH = 1 << 4;
        /// fsync(2) and fdatasync(2); without it `EINVAL`.
        const SYNC = 1 << 5;
        /// ioctls of any number, also those that do not encode what their argument is, and memory
        /// that the argument points to: see [`Device::ioctl_argument`] and
        /// [`IoctlRequest::again_with`]. Not among the operations that a device has by default:
        /// on CUSE each ioctl with data then takes the kernel one round more. Means nothing
        /// without [`Operations::IOCTL`]. Over FUSE there are only encoded numbers.
        ///
        /// [`Device::ioctl_argument`]: crate::Device::ioctl_argument
        /// [`IoctlRequest::again_with`]: crate::IoctlRequest::again_with
        const ANY_IOCTL = 1 << 6;
    }
}

/// Whether an open file has a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Position {
    /// Every read and write has an offset: lseek(2), pread(2) and pwrite(2) work. Not through CUSE,
    /// whose kernel side tells no offsets: there, each read and write begins where the file's last
    /// one ended, and lseek succeeds without effect.
    #[default]
    Seekable,
    /// A stream, like a pipe or a terminal: lseek, pread and pwrite fail with `ESPIPE`, offsets
    /// are 0, and threads that share one descriptor do not wait for each other.
    Stream,
}

/// What a device is, fixed for as long as it is registered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Properties {
    /// The operations it implements. By default all but [`Operations::FLUSH`] and
    /// [`Operations::ANY_IOCTL`], as every handler has a default that answers what the kernel
    /// would.
    pub operations: Operations,
    /// Whether its files have a position; they do by default.
    pub position: Position,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            operations: Operations::all() - Operations::FLUSH - Operations::ANY_IOCTL,
            position: Position::Seekable,
        }
    }
}

impl Properties {
    /// A device whose files are streams.
    pub fn stream() -> Self {
        Self {
            position: Position::Stream,
            ..Self::default()
        }
    }

    /// The same, with exactly these operations.
    #[must_use]
    pub fn operations(mut self, operations: Operations) -> Self {
        self.operations = operations;
        self
    }
}
