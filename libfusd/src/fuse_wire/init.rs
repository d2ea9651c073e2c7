//! The first exchange: which version and which features both sides use from there on.

use std::fmt;

use fuse_abi::linux as abi;

use super::InitFlags;

#[cfg(test)]
mod tests;

/// The oldest minor version served: 7.31, Linux 5.2. The structures used here have had their
/// size since then, INIT excepted.
const OLDEST_MINOR: u32 = 31;

/// Since 7.38 (Linux 6.2) there are parallel direct writes.
const PARALLEL_DIRECT_WRITES_MINOR: u32 = 38;

/// 7.39 (Linux 6.6 to 6.8) drops them where shared mappings of direct files were agreed on.
const MMAP_OR_PARALLEL_MINOR: u32 = 39;

/// What a request carries where `max_pages` cannot be agreed on (`FUSE_DEFAULT_MAX_PAGES_PER_REQ`).
pub(crate) const DEFAULT_MAX_PAGES: u32 = 32;

/// The smallest `max_write`: the kernel raises anything below.
const SMALLEST_MAX_WRITE: u32 = 4096;

/// What INIT says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The kernel's major version.
    pub major: u32,
    /// The kernel's minor version.
    pub minor: u32,
    /// The features it offers, both halves.
    pub flags: u64,
}

/// What this side wants at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most data in one request, in bytes.
    pub max_write: u32,
    /// The size of a page in bytes; `max_pages` counts in it.
    pub page_size: u32,
}

impl Default for Limits {
    /// 1 MiB, which is the kernel's limit of 256 pages where a page has 4 KiB.
    fn default() -> Self {
        Self {
            max_write: 1 << 20,
            page_size: 4096,
        }
    }
}

/// What both sides use from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    /// The lower of both minor versions.
    pub minor: u32,
    /// The features in use, each of them offered by the kernel.
    pub flags: InitFlags,
    /// The most data in one WRITE, in bytes.
    pub max_write: u32,
    /// The most pages of the caller that one request covers. A call whose buffer is not aligned to
    /// a page touches one page more than its size suggests, and one that does not fit is sent in
    /// parts, one after the other.
    pub max_pages: u16,
    /// Whether a file opened with `FOPEN_PARALLEL_DIRECT_WRITES` gets several writes at once.
    ///
    /// Otherwise the kernel holds the inode's lock during a write: further writers wait until the
    /// first has its answer, and no signal gets them out. That is so, in any case, for a file
    /// opened with `O_APPEND`, for a write that ends beyond the size that GETATTR told, and while
    /// the file is mapped (`fs/fuse/file.c`, `fuse_dio_wr_exclusive_lock`).
    pub parallel_direct_writes: bool,
    /// Whether a file opened with `FOPEN_DIRECT_IO` may be mapped shared.
    pub direct_io_mmap: bool,
}

/// The smallest buffer for reading requests, in bytes, where one carries `max_write` bytes. The
/// kernel refuses a smaller one with EINVAL (`fs/fuse/dev.c`, `fuse_dev_do_read`).
pub(crate) fn buffer_size(max_write: u32) -> usize {
    let fixed = size_of::<abi::fuse_in_header>() + size_of::<abi::fuse_write_in>();
    let smallest = usize::try_from(abi::FUSE_MIN_READ_BUFFER).unwrap_or(usize::MAX);
    let data = usize::try_from(max_write).unwrap_or(usize::MAX);
    fixed.saturating_add(data).max(smallest)
}

/// How an INIT is to be answered, if not by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With [`init_out`](super::encode::init_out); the connection is up then.
    Agreed(Negotiated),
    /// With [`init_other_major`](super::encode::init_other_major): the kernel's major version is
    /// later than ours, and another INIT is to come.
    OtherMajor,
}

/// Chooses what to use of that which the kernel offers.
///
/// Asked for: truncation with the open, large writes, and shared mappings of direct files where
/// they cost nothing. Not asked for, whatever is offered: `FUSE_ASYNC_DIO`, which would send the
/// parts of one large call at once and so mix up a stream; locks, which the kernel then does by
/// itself; everything about directories and the page cache.
///
/// # Errors
///
/// The kernel's version is too old. The INIT is to be answered with EPROTO; every client then
/// gets ECONNREFUSED.
pub(crate) fn negotiate(offer: Offer, limits: Limits) -> Result<Outcome, Unsupported> {
    let Offer {
        major,
        minor,
        flags,
    } = offer;
    if major > abi::FUSE_KERNEL_VERSION {
        return Ok(Outcome::OtherMajor);
    }
    if major < abi::FUSE_KERNEL_VERSION || minor < OLDEST_MINOR {
        return Err(Unsupported { major, minor });
    }

    let minor = minor.min(abi::FUSE_KERNEL_MINOR_VERSION);
    let flags = wanted(minor) & offered(flags);
    let (max_write, max_pages) = sizes(limits, flags);
    Ok(Outcome::Agreed(Negotiated {
        minor,
        flags,
        max_write,
        max_pages,
        parallel_direct_writes: minor >= PARALLEL_DIRECT_WRITES_MINOR,
        direct_io_mmap: flags.contains(InitFlags::DIRECT_IO_ALLOW_MMAP),
    }))
}

fn wanted(minor: u32) -> InitFlags {
    let mut flags = InitFlags::ATOMIC_O_TRUNC
        | InitFlags::BIG_WRITES
        | InitFlags::MAX_PAGES
        | InitFlags::INIT_EXT;
    // There it would be one or the other, and a device lives by its writes.
    if minor != MMAP_OR_PARALLEL_MINOR {
        flags |= InitFlags::DIRECT_IO_ALLOW_MMAP;
    }
    flags
}

/// The kernel's flags; the upper half means nothing without `INIT_EXT`.
fn offered(flags: u64) -> InitFlags {
    let flags = InitFlags::from_bits_retain(flags);
    let lower = InitFlags::from_bits_retain(u64::from(u32::MAX));
    if flags.contains(InitFlags::INIT_EXT) {
        flags
    } else {
        flags & lower
    }
}

/// `max_write` and `max_pages` of the answer.
fn sizes(limits: Limits, flags: InitFlags) -> (u32, u16) {
    let page_size = limits.page_size.max(1);
    let max_write = limits.max_write.max(SMALLEST_MAX_WRITE);
    let pages = max_write.div_ceil(page_size);
    if flags.contains(InitFlags::MAX_PAGES) {
        (max_write, u16::try_from(pages).unwrap_or(u16::MAX))
    } else {
        // The kernel does not look at the number then.
        (
            max_write.min(DEFAULT_MAX_PAGES.saturating_mul(page_size)),
            0,
        )
    }
}

/// The kernel's FUSE is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsupported {
    /// The kernel's major version.
    pub major: u32,
    /// The kernel's minor version.
    pub minor: u32,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this kernel speaks FUSE {}.{}, and {}.{OLDEST_MINOR} (Linux 5.2) or later is needed",
            self.major,
            self.minor,
            abi::FUSE_KERNEL_VERSION,
        )
    }
}

impl std::error::Error for Unsupported {}
