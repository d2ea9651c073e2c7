//! System calls as a 32-bit program makes them, on a 64-bit kernel: by interrupt 0x80
//! (arch/x86/entry/syscall_32.c), with addresses below 4 GiB.

use std::arch::asm;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;

const READV: u32 = 145;
const WRITEV: u32 = 146;
const IOCTL: u32 = 54;

/// Makes a system call of a 32-bit program.
///
/// # Safety
/// As of the call: what its arguments point to is valid.
unsafe fn call(number: u32, arguments: [u32; 3]) -> Result<i32, Errno> {
    let [first, second, third] = arguments.map(u64::from);
    let mut result = u64::from(number);
    // SAFETY: the caller answers for the call. All registers that the kernel may change are named;
    // rbx, which the compiler keeps for itself, is put back.
    unsafe {
        asm!(
            "xchg {first}, rbx",
            "int 0x80",
            "xchg {first}, rbx",
            first = inout(reg) first => _,
            inlateout("rax") result,
            in("rcx") second,
            in("rdx") third,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
    }
    // The upper half is not part of a 32-bit result.
    let result = result as u32 as i32;
    if (-4095..0).contains(&result) {
        return Err(Errno::from_raw(-result));
    }
    Ok(result)
}

/// A page where a 32-bit program could have it.
pub(crate) struct LowPage(*mut u8);

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for LowPage {}

/// Bytes of a [`LowPage`].
const SIZE: usize = 4096;
/// Where in it a vector of two parts is kept.
const VECTOR: usize = SIZE - 16;

impl LowPage {
    /// Maps it, full of zeros.
    pub(crate) fn new() -> Self {
        // SAFETY: a new mapping at a place of the kernel's choice, in the lowest 2 GiB.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        Self(page.cast())
    }

    /// Its address.
    pub(crate) fn address(&self) -> u32 {
        u32::try_from(self.0.expose_provenance()).expect("a low address")
    }

    /// Puts bytes at `at`.
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= SIZE);
        // SAFETY: within the page, and elsewhere than `bytes`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.add(at), bytes.len()) };
    }

    /// The bytes at `at`.
    pub(crate) fn get(&self, at: usize, length: usize) -> Vec<u8> {
        assert!(at + length <= SIZE);
        // SAFETY: within the page, which is mapped and was zeroed by the kernel.
        unsafe { std::slice::from_raw_parts(self.0.add(at), length) }.to_vec()
    }

    /// ioctl(2) with this page for the argument.
    pub(crate) fn ioctl(&mut self, file: &impl AsFd, number: u32) -> Result<i32, Errno> {
        let fd = file.as_fd().as_raw_fd() as u32;
        // SAFETY: the kernel and the drivers of these tests touch nothing but the page.
        unsafe { call(IOCTL, [fd, number, self.address()]) }
    }

    /// readv(2), or writev(2), of the page's first bytes in two parts.
    pub(crate) fn transfer(
        &mut self,
        file: &impl AsFd,
        writes: bool,
        parts: [u32; 2],
    ) -> Result<i32, Errno> {
        let address = self.address();
        // Two of struct compat_iovec.
        let vector = [address, parts[0], address + parts[0], parts[1]];
        assert!(parts.iter().sum::<u32>() as usize <= VECTOR);
        let bytes: Vec<u8> = vector.iter().flat_map(|it| it.to_ne_bytes()).collect();
        self.put(VECTOR, &bytes);
        let fd = file.as_fd().as_raw_fd() as u32;
        let number = if writes { WRITEV } else { READV };
        // SAFETY: the parts are within the page.
        unsafe { call(number, [fd, address + VECTOR as u32, 2]) }
    }
}

impl Drop for LowPage {
    fn drop(&mut self) {
        // SAFETY: the page of `new`, which nobody uses any more.
        unsafe { libc::munmap(self.0.cast(), SIZE) };
    }
}
