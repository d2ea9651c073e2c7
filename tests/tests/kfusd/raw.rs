//! System calls that have no safe form elsewhere: the only unsafe code of this program.
#![allow(unsafe_code)]

mod arena;
#[cfg(target_arch = "x86_64")]
mod compat;
mod rings;
mod succession;
mod uevents;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Mutex;

use fusd::wire::{Exchange, IOCTL_EXCHANGE, IOCTL_STATUS, StatusQuery};
use nix::errno::Errno;

pub(crate) use arena::Arena;
#[cfg(target_arch = "x86_64")]
pub(crate) use compat::LowPage;
pub(crate) use rings::{feed, portion, ring, ring_raw, take};
pub(crate) use succession::{adopt, adopt_raw, as_user, list, list_raw, received};
pub(crate) use uevents::Uevents;

/// delete_module(2), without waiting and without force.
pub(crate) fn remove_module(name: &str) -> Result<(), Errno> {
    let name = std::ffi::CString::new(name).expect("no zero byte");
    // SAFETY: the string ends with a zero; the kernel copies it.
    let result = unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) };
    Errno::result(result).map(drop)
}

/// The ioctl that hands in `command` and waits for a message, into `buffer`. Returns its length.
pub(crate) fn exchange(
    control: &impl AsFd,
    command: &[u8],
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let mut exchange = Exchange {
        command: command.as_ptr().expose_provenance() as u64,
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        command_length: u32::try_from(command.len()).expect("a short message"),
        buffer_length: u32::try_from(buffer.len()).expect("a short buffer"),
        reserved: 0,
    };
    exchange_raw(control, &mut exchange)
}

/// The same with any addresses; they are for the kernel to check.
pub(crate) fn exchange_raw(control: &impl AsFd, exchange: &mut Exchange) -> Result<usize, Errno> {
    let fd = control.as_fd().as_raw_fd();
    // SAFETY: the kernel writes to `exchange`, and to the buffer it names, which the callers here
    // own for the call or which is not mapped at all.
    let result = unsafe {
        libc::ioctl(
            fd,
            libc::Ioctl::from(IOCTL_EXCHANGE),
            ptr::from_mut(exchange),
        )
    };
    Errno::result(result).map(|length| usize::try_from(length).expect("no negative length"))
}

/// The ioctl that asks the status node for records, into `buffer`, which becomes the query's. How
/// many were written.
pub(crate) fn status(
    file: &impl AsFd,
    query: &mut StatusQuery,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    query.buffer = buffer.as_mut_ptr().expose_provenance() as u64;
    query.buffer_length = u32::try_from(buffer.len()).expect("a short buffer");
    status_at(file, query)
}

/// The same with any address; it is for the kernel to check.
pub(crate) fn status_at(file: &impl AsFd, query: &mut StatusQuery) -> Result<usize, Errno> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the kernel writes to `query`, and to the buffer it names, which the callers here own
    // for the call or which is not mapped at all.
    let result = unsafe { libc::ioctl(fd, libc::Ioctl::from(IOCTL_STATUS), ptr::from_mut(query)) };
    Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
}

/// ioctl(2) with an argument that the driver, and through it the kernel, takes for an address.
pub(crate) fn ioctl_at(file: &impl AsFd, number: u32, argument: &mut [u8]) -> Result<i32, Errno> {
    // SAFETY: the drivers of these tests write within `argument`.
    let result = unsafe {
        libc::ioctl(
            file.as_fd().as_raw_fd(),
            libc::Ioctl::from(number),
            argument.as_mut_ptr(),
        )
    };
    Errno::result(result)
}

/// splice(2) of up to `length` bytes from the position of `file` into a pipe.
pub(crate) fn splice(file: &impl AsFd, pipe: &impl AsFd, length: usize) -> Result<usize, Errno> {
    let [file, pipe] = [file.as_fd().as_raw_fd(), pipe.as_fd().as_raw_fd()];
    // SAFETY: no memory of this process is passed.
    let result = unsafe { libc::splice(file, ptr::null_mut(), pipe, ptr::null_mut(), length, 0) };
    Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
}

/// Two pages of which the second may not be touched.
pub(crate) struct HalfMapped {
    start: *mut u8,
    page: usize,
}

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for HalfMapped {}

impl HalfMapped {
    /// Maps them.
    pub(crate) fn new() -> Self {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).expect("a page size");
        // SAFETY: a new mapping at a place of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                page * 2,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        // SAFETY: the second page of the mapping above, which nobody uses yet.
        let result = unsafe { libc::mprotect(start.byte_add(page), page, libc::PROT_NONE) };
        assert_eq!(result, 0);
        Self {
            start: start.cast(),
            page,
        }
    }

    /// The address of the last `mapped` bytes that are there.
    fn end(&self, mapped: usize) -> *mut u8 {
        assert!(mapped <= self.page);
        // SAFETY: within the first page.
        unsafe { self.start.add(self.page - mapped) }
    }

    /// The same as a number.
    pub(crate) fn address(&self, mapped: usize) -> u64 {
        self.end(mapped).expose_provenance() as u64
    }

    /// Puts `bytes` at the end of what is there.
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        // SAFETY: the end of the first page has room for them, and they are elsewhere.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.end(bytes.len()), bytes.len()) };
    }

    /// The last `mapped` bytes that are there.
    pub(crate) fn tail(&self, mapped: usize) -> Vec<u8> {
        // SAFETY: they are within the first page, and were zeroed by the kernel.
        unsafe { std::slice::from_raw_parts(self.end(mapped), mapped) }.to_vec()
    }

    /// read(2) into the last `mapped` bytes and on, `length` in all.
    pub(crate) fn read(
        &self,
        file: &impl AsFd,
        mapped: usize,
        length: usize,
    ) -> Result<usize, Errno> {
        // SAFETY: the kernel stops with EFAULT at the second page, which belongs to this value too.
        let result =
            unsafe { libc::read(file.as_fd().as_raw_fd(), self.end(mapped).cast(), length) };
        Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
    }

    /// write(2) from the last `mapped` bytes and on, `length` in all.
    pub(crate) fn write(
        &self,
        file: &impl AsFd,
        mapped: usize,
        length: usize,
    ) -> Result<usize, Errno> {
        // SAFETY: the kernel only reads, and stops at the second page.
        let result =
            unsafe { libc::write(file.as_fd().as_raw_fd(), self.end(mapped).cast(), length) };
        Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
    }
}

impl Drop for HalfMapped {
    fn drop(&mut self) {
        // SAFETY: the two pages of `new`, which nobody uses any more.
        unsafe { libc::munmap(self.start.cast(), self.page * 2) };
    }
}

/// Has the `SIGIO` of `file` sent to the calling thread (fcntl(2), `F_SETOWN_EX`).
pub(crate) fn own_by_thread(file: &impl AsFd) -> Result<(), Errno> {
    const F_SETOWN_EX: i32 = 15;
    // struct f_owner_ex: F_OWNER_TID is 0.
    let owner = [0, nix::unistd::gettid().as_raw()];
    // SAFETY: the kernel reads two integers there.
    let result = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), F_SETOWN_EX, owner.as_ptr()) };
    Errno::result(result).map(drop)
}

/// A page that nobody can touch until [`Stall::release`]: whoever tries sleeps (userfaultfd(2)).
pub(crate) struct Stall {
    page: *mut libc::c_void,
    length: usize,
    faults: Mutex<Option<OwnedFd>>,
}

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for Stall {}
// SAFETY: what is in the page is never looked at from here.
unsafe impl Sync for Stall {}

impl Stall {
    /// Maps it. `None` where the kernel has no userfaultfd.
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: asks for a descriptor.
        let fd =
            unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK) };
        let fd = i32::try_from(Errno::result(fd).ok()?).expect("a descriptor");
        // SAFETY: it was made for us by the call above.
        let faults = unsafe { OwnedFd::from_raw_fd(fd) };
        let length = 4096;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        // UFFDIO_API with struct uffdio_api, UFFDIO_REGISTER with struct uffdio_register and the
        // mode for missing pages (include/uapi/linux/userfaultfd.h).
        let mut api = [0xaa_u64, 0, 0];
        let mut register = [page.expose_provenance() as u64, length as u64, 1, 0];
        // SAFETY: the kernel reads and writes the structures, which are as large as the numbers
        // say.
        let results = unsafe {
            [
                libc::ioctl(fd, 0xc018_aa3f, api.as_mut_ptr()),
                libc::ioctl(fd, 0xc020_aa00, register.as_mut_ptr()),
            ]
        };
        assert_eq!(results, [0, 0]);
        Some(Self {
            page,
            length,
            faults: Mutex::new(Some(faults)),
        })
    }

    /// Its address.
    pub(crate) fn address(&self) -> u64 {
        self.page.expose_provenance() as u64
    }

    /// Somebody sleeps there.
    pub(crate) fn holds_somebody(&self) -> bool {
        let faults = self.faults.lock().expect("no panic");
        let Some(faults) = &*faults else { return false };
        let mut fds = [nix::poll::PollFd::new(
            faults.as_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        nix::poll::poll(&mut fds, nix::poll::PollTimeout::ZERO) == Ok(1)
    }

    /// Lets everybody go on, with a page of zeros.
    pub(crate) fn release(&self) {
        // The kernel wakes them as the last descriptor is closed.
        drop(self.faults.lock().expect("no panic").take());
    }

    /// writev(2) of `first` and then the page's first `length` bytes.
    pub(crate) fn write_behind(
        &self,
        file: &impl AsFd,
        first: &[u8],
        length: usize,
    ) -> Result<usize, Errno> {
        assert!(length <= self.length);
        let parts = [
            libc::iovec {
                iov_base: first.as_ptr().cast_mut().cast(),
                iov_len: first.len(),
            },
            libc::iovec {
                iov_base: self.page,
                iov_len: length,
            },
        ];
        // SAFETY: the kernel reads memory that is ours, and mapped or to be mapped.
        let result = unsafe { libc::writev(file.as_fd().as_raw_fd(), parts.as_ptr(), 2) };
        Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
    }

    /// read(2) of `length` bytes into the page.
    pub(crate) fn read(&self, file: &impl AsFd, length: usize) -> Result<usize, Errno> {
        assert!(length <= self.length);
        // SAFETY: the page is ours, and nothing refers to it.
        let result = unsafe { libc::read(file.as_fd().as_raw_fd(), self.page, length) };
        Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.release();
        // SAFETY: the page of `new`; threads that read into it hold this value.
        unsafe { libc::munmap(self.page, self.length) };
    }
}
