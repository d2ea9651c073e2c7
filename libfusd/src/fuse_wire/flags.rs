//! The protocol's flag sets, as far as a device has a use for them.

use bitflags::bitflags;
use fuse_abi::linux as abi;

bitflags! {
    /// Features offered by the kernel and asked for in the answer to INIT.
    ///
    /// One 64-bit set, as in the kernel: the upper half travels as `flags2`, and only together
    /// with [`InitFlags::INIT_EXT`] (`fs/fuse/inode.c`, `process_init_reply`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct InitFlags: u64 {
        /// Truncation arrives as `O_TRUNC` in the open, not as a SETATTR of its own.
        const ATOMIC_O_TRUNC = abi::FUSE_ATOMIC_O_TRUNC as u64;
        /// Writes larger than one page. Kernels since 4.20 do them without being asked.
        const BIG_WRITES = abi::FUSE_BIG_WRITES as u64;
        /// ioctl on directories works. Only ever told by the kernel: it does not look for it in
        /// the answer, and a device is no directory.
        const HAS_IOCTL_DIR = abi::FUSE_HAS_IOCTL_DIR as u64;
        /// The parts of one large direct call are sent at once and answered in any order.
        const ASYNC_DIO = abi::FUSE_ASYNC_DIO as u64;
        /// Lookups in one directory run in parallel.
        const PARALLEL_DIROPS = abi::FUSE_PARALLEL_DIROPS as u64;
        /// `max_pages` of the answer counts; without it a request carries 32 pages at most.
        const MAX_PAGES = abi::FUSE_MAX_PAGES as u64;
        /// There is an upper half of these flags.
        const INIT_EXT = abi::FUSE_INIT_EXT as u64;
        /// A file opened with [`OpenFlags::DIRECT_IO`] may still be mapped shared. Called
        /// `FUSE_DIRECT_IO_RELAX` in the first kernels that had it.
        const DIRECT_IO_ALLOW_MMAP = abi::FUSE_DIRECT_IO_ALLOW_MMAP;
        const _ = !0;
    }

    /// How the kernel is to treat one open file: the flags of the answer to OPEN.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct OpenFlags: u32 {
        /// Every read and write reaches the driver; nothing comes from the page cache.
        const DIRECT_IO = abi::FOPEN_DIRECT_IO;
        /// The page cache of earlier opens stays.
        const KEEP_CACHE = abi::FOPEN_KEEP_CACHE;
        /// lseek and pread fail with ESPIPE.
        const NONSEEKABLE = abi::FOPEN_NONSEEKABLE;
        /// No file position at all, and so no lock on it: a blocked read keeps no write waiting.
        const STREAM = abi::FOPEN_STREAM;
        /// close sends no FLUSH. Since 7.34; earlier kernels ignore it.
        const NOFLUSH = abi::FOPEN_NOFLUSH;
        /// Direct writes to one file run in parallel, see
        /// [`Negotiated::parallel_direct_writes`](super::Negotiated).
        const PARALLEL_DIRECT_WRITES = abi::FOPEN_PARALLEL_DIRECT_WRITES;
    }

    /// What the kernel says of an ioctl, and ([`IoctlFlags::RETRY`] alone) what its answer says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct IoctlFlags: u32 {
        /// The caller is a 32-bit program on a 64-bit kernel.
        const COMPAT = abi::FUSE_IOCTL_COMPAT;
        /// The driver may ask for any of the caller's memory ([`IoctlFlags::RETRY`]). CUSE only;
        /// over FUSE the kernel goes by the size in the command's number.
        const UNRESTRICTED = abi::FUSE_IOCTL_UNRESTRICTED;
        /// In an answer: send the ioctl again with these areas copied in and out.
        const RETRY = abi::FUSE_IOCTL_RETRY;
        /// The caller's pointers and longs have 32 bits.
        const BITS_32 = abi::FUSE_IOCTL_32BIT;
        /// The file is a directory.
        const DIR = abi::FUSE_IOCTL_DIR;
        /// The caller uses the x32 ABI.
        const COMPAT_X32 = abi::FUSE_IOCTL_COMPAT_X32;
        const _ = !0;
    }
}
