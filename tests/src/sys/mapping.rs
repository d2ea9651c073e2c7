//! Mapped memory, a driver's or a client's.

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

/// Bytes of a page.
pub fn page() -> usize {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page).expect("a page size")
}

/// A file of memory of so many pages, which can be sealed.
pub fn memfd(pages: usize) -> OwnedFd {
    let file = memfd_create(c"fusd-test", MFdFlags::MFD_ALLOW_SEALING).expect("memfd_create");
    let length = i64::try_from(pages * page()).expect("a short file");
    ftruncate(&file, length).expect("ftruncate");
    file
}

/// How memory is mapped.
#[derive(Clone, Copy)]
pub struct How {
    /// `PROT_` bits.
    pub protection: i32,
    /// `MAP_` bits.
    pub flags: i32,
}

impl How {
    /// Shared, to be read and written.
    pub const SHARED: Self = Self {
        protection: libc::PROT_READ | libc::PROT_WRITE,
        flags: libc::MAP_SHARED,
    };
    /// Shared, to be read.
    pub const READ_ONLY: Self = Self {
        protection: libc::PROT_READ,
        flags: libc::MAP_SHARED,
    };
    /// A copy, to be read and written.
    pub const PRIVATE: Self = Self {
        protection: libc::PROT_READ | libc::PROT_WRITE,
        flags: libc::MAP_PRIVATE,
    };
}

/// A mapping, unmapped when this is dropped.
pub struct Mapping {
    start: *mut u8,
    length: usize,
}

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `pages` pages of `file`, from page `first` on.
    pub fn new(file: &impl AsFd, first: usize, pages: usize, how: How) -> Result<Self, Errno> {
        Self::map(file.as_fd().as_raw_fd(), first, pages, how)
    }

    /// Memory of no file.
    pub fn anonymous(pages: usize, how: How) -> Self {
        let flags = how.flags | libc::MAP_ANONYMOUS;
        Self::map(-1, 0, pages, How { flags, ..how }).expect("mmap")
    }

    fn map(file: i32, first: usize, pages: usize, how: How) -> Result<Self, Errno> {
        let length = pages * page();
        let offset = i64::try_from(first * page()).map_err(|_| Errno::EOVERFLOW)?;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                how.protection,
                how.flags,
                file,
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Self {
            start: start.cast(),
            length,
        })
    }

    /// Where it begins.
    pub fn address(&self) -> u64 {
        self.start.expose_provenance() as u64
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.length as u64
    }

    fn place(&self, at: usize, length: usize) -> *mut u8 {
        assert!(at + length <= self.length);
        self.start.wrapping_add(at)
    }

    /// `length` bytes at `at`; `EFAULT` where touching them is a signal.
    pub fn read(&self, at: usize, length: usize) -> Result<Vec<u8>, Errno> {
        let (mut out, input) = std::io::pipe().expect("pipe");
        assert!(length <= page(), "a pipe has room for it");
        let place = self.place(at, length);
        // SAFETY: the kernel reads what is within the mapping, or finds that it is not there.
        let count = unsafe { libc::write(input.as_raw_fd(), place.cast(), length) };
        Errno::result(count)?;
        drop(input);
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).expect("read");
        Ok(bytes)
    }

    /// Puts `bytes` at `at`; `EFAULT` where touching them is a signal.
    pub fn write(&self, at: usize, bytes: &[u8]) -> Result<(), Errno> {
        let (out, mut input) = std::io::pipe().expect("pipe");
        input.write_all(bytes).expect("a pipe has room for it");
        let place = self.place(at, bytes.len());
        // SAFETY: the kernel writes to what is within the mapping, or finds that it must not. No
        // reference to any of it exists.
        let count = unsafe { libc::read(out.as_raw_fd(), place.cast(), bytes.len()) };
        Errno::result(count).map(drop)
    }

    /// mprotect(2).
    pub fn protect(&self, protection: i32) -> Result<(), Errno> {
        // SAFETY: no reference to what is in the mapping exists.
        let result = unsafe { libc::mprotect(self.start.cast(), self.length, protection) };
        Errno::result(result).map(drop)
    }

    /// mremap(2) to more pages.
    pub fn grow(&mut self, pages: usize) -> Result<(), Errno> {
        let length = pages * page();
        let flags = libc::MREMAP_MAYMOVE;
        // SAFETY: the mapping is this value's, and no reference to what is in it exists.
        let start = unsafe { libc::mremap(self.start.cast(), self.length, length, flags) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        (self.start, self.length) = (start.cast(), length);
        Ok(())
    }

    /// remap_file_pages(2): has the first page of the mapping be page `first` of the file.
    pub fn turn(&self, first: usize) -> Result<(), Errno> {
        // SAFETY: the page is this value's, and no reference to what is in it exists.
        let result =
            unsafe { libc::syscall(libc::SYS_remap_file_pages, self.start, page(), 0, first, 0) };
        Errno::result(result).map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and no reference to what is in it exists.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// System V's shared memory of one page, as [`Mapping`].
pub fn system_v() -> Mapping {
    // SAFETY: makes an object that is removed as soon as it is mapped.
    let start = unsafe {
        let id = libc::shmget(libc::IPC_PRIVATE, page(), 0o600);
        let start = libc::shmat(id, ptr::null(), 0);
        libc::shmctl(id, libc::IPC_RMID, ptr::null_mut());
        start
    };
    assert_ne!(start, libc::MAP_FAILED, "shmat: {}", Errno::last());
    Mapping {
        start: start.cast(),
        length: page(),
    }
}
