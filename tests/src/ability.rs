//! What the contract asks for and not every backend can do: each with the reason, in one place. The
//! README's table of what each backend keeps shows these reasons.

use crate::Backend;

/// Something a client can rely on where its backend can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// An ordinary user can make nodes.
    Users,
    /// The driver is told of each close(2) of a descriptor.
    Flush,
    /// Reads and writes are where the client says, and lseek(2) moves.
    Offsets,
    /// An open with `O_TRUNC` empties the device.
    Truncate,
    /// Every writer of one node gets to the driver while another waits there.
    ParallelWrites,
    /// poll(2) returns in time while the driver is stopped.
    PollBesideStopped,
    /// ioctls whose numbers encode no size reach the driver with their memory.
    AnyIoctl,
    /// A client can map memory of the driver's.
    Memory,
    /// A killed client goes while the driver is stopped.
    KillBesideStopped,
    /// A call that a signal has interrupted begins again, where the handler asks for that.
    Restart,
    /// Calls that a killed driver leaves fail as those do that a stopped one leaves.
    Epipe,
    /// poll(2) tells of the driver's end by `POLLHUP`, too.
    HangUp,
    /// A call by which a driver would wait for itself fails.
    Deadlock,
    /// The device can outlive its driver.
    Restarts,
}

impl Ability {
    /// Why `backend` does not have it, if so: a sentence for users.
    pub const fn missing(self, backend: Backend) -> Option<&'static str> {
        match backend {
            Backend::Fuse => self.missing_on_fuse(),
            Backend::Cuse => self.missing_on_cuse(),
            Backend::Kfusd => self.missing_on_kfusd(),
        }
    }

    const fn missing_on_fuse(self) -> Option<&'static str> {
        match self {
            Self::Users | Self::Flush | Self::Offsets | Self::Truncate => None,
            // fs/fuse/file.c, fuse_dio_wr_exclusive_lock; fs/open.c, do_truncate.
            Self::ParallelWrites => Some(
                "While a writer waits, others who append, truncate or write beyond the end wait \
                 behind it, `O_NONBLOCK` or not.",
            ),
            // fs/fuse/file.c, fuse_file_mmap.
            Self::Memory => Some(
                "mmap(2) shows what read(2) gives, kept by the kernel; no memory of the driver's.",
            ),
            // fs/fuse/ioctl.c, fuse_do_ioctl, without FUSE_IOCTL_UNRESTRICTED.
            Self::AnyIoctl => Some(
                "Only what an ioctl's number says of its argument reaches the driver: those of \
                 terminals fail with `ENOTTY`.",
            ),
            _ => self.missing_on_both(),
        }
    }

    const fn missing_on_cuse(self) -> Option<&'static str> {
        match self {
            Self::ParallelWrites | Self::AnyIoctl => None,
            Self::Users => Some("Only root makes nodes."),
            // fs/fuse/cuse.c, cuse_frontend_fops, has neither mmap nor flush.
            Self::Memory => Some("There is no mmap(2)."),
            Self::Flush => Some("The driver is told of the last close(2) of an open file only."),
            // fs/fuse/cuse.c, cuse_read_iter, cuse_write_iter and noop_llseek.
            Self::Offsets => Some(
                "Each open file has one position, which the library keeps: lseek(2) does nothing, \
                 and pread(2) and pwrite(2) are read(2) and write(2).",
            ),
            // fs/fuse/file.c, fuse_send_open, without atomic_o_trunc.
            Self::Truncate => Some("`O_TRUNC` does nothing."),
            _ => self.missing_on_both(),
        }
    }

    const fn missing_on_kfusd(self) -> Option<&'static str> {
        match self {
            Self::Users => Some("Only root makes nodes, and who may open `/dev/fusd/control`."),
            _ => None,
        }
    }

    const fn missing_on_both(self) -> Option<&'static str> {
        match self {
            // fs/fuse/file.c, fuse_file_poll.
            Self::PollBesideStopped => Some(
                "poll(2) asks the driver first: its timeout does not begin while the driver is \
                 stopped.",
            ),
            // fs/fuse/dev.c, request_wait_answer.
            Self::KillBesideStopped => Some(
                "While the whole driver is stopped (SIGSTOP), a client whose call it has cannot be \
                 killed.",
            ),
            // fs/fuse/dev.c, request_wait_answer, takes the driver's EINTR for the result.
            Self::Restart => Some("A call ends with `EINTR` though the handler has `SA_RESTART`."),
            // fs/fuse/dev.c, fuse_dev_release.
            Self::Epipe => Some(
                "After a driver was killed, calls fail with `ECONNABORTED` or `ENOTCONN`, or with \
                 `EIO` where their data were just being copied.",
            ),
            // fs/fuse/dev.c, fuse_dev_release; fs/fuse/cuse.c, cuse_channel_release.
            Self::Restarts => Some("Files end with their driver, whatever its policy."),
            // fs/fuse/file.c, fuse_file_poll.
            Self::HangUp => Some("poll(2) tells of the driver's end by `POLLERR` alone."),
            Self::Deadlock => {
                Some("A driver that waits for itself waits until somebody kills it or the caller.")
            }
            _ => None,
        }
    }
}
