// SPDX-License-Identifier: GPL-2.0-only

//! Memory that a driver has for its clients to map, and what becomes of a client's mmap(2).
//!
//! The memory is a file of tmpfs, as memfd_create(2) makes them, and an area of a client's that maps
//! the node is made to map that file instead: what either side writes the other one sees, no fault
//! ever comes to this module, and the area outlives the driver.

use core::marker::PhantomData;
use core::ptr::NonNull;

use kernel::{
    bindings,
    error::to_result,
    mm::virt::{flags, vm_flags_t, VmaRef},
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

extern "C" {
    // include/linux/shmem_fs.h, which the kernel crate has no bindings of.
    fn shmem_mapping(mapping: *const c_void) -> bool;
}

/// `VM_MAYSHARE` (include/linux/mm.h): what the kernel crate of Linux 7.2 has under this name is
/// `VM_MAYEXEC` (rust/bindings/bindings_helper.h).
const MAYSHARE: vm_flags_t = 1 << bindings::VMA_MAYSHARE_BIT;

/// An area of a client's memory that is being made.
pub(crate) struct NewArea<'a>(NonNull<bindings::vm_area_struct>, PhantomData<&'a ()>);

impl NewArea<'_> {
    /// # Safety
    /// The area is being made by this task, for as long as the value lives, and nobody else has it.
    pub(super) unsafe fn from_raw(area: *mut bindings::vm_area_struct) -> Self {
        // SAFETY: a pointer to an area is not null.
        Self(unsafe { NonNull::new_unchecked(area) }, PhantomData)
    }

    fn as_ptr(&self) -> *mut bindings::vm_area_struct {
        self.0.as_ptr()
    }

    fn flags(&self) -> vm_flags_t {
        // SAFETY: by the argument of `from_raw` nobody writes them now.
        unsafe { (*self.as_ptr()).__bindgen_anon_2.vm_flags }
    }

    fn set_flags(&self, flags: vm_flags_t) {
        // SAFETY: by the argument of `from_raw` nobody else looks at them now.
        unsafe { (*self.as_ptr()).__bindgen_anon_2.vm_flags = flags };
    }

    /// The first page and the page after the last, of the node.
    fn pages(&self) -> Result<(usize, usize)> {
        // SAFETY: by the argument of `from_raw` nobody writes to it now.
        let area = unsafe { self.0.as_ref() };
        // SAFETY: all bytes of this union are always those of the range.
        let range = unsafe { area.__bindgen_anon_1.__bindgen_anon_1 };
        let count = range.vm_end.saturating_sub(range.vm_start) >> PAGE_SHIFT;
        let end = area.vm_pgoff.checked_add(count).ok_or(EOVERFLOW)?;
        Ok((area.vm_pgoff, end))
    }
}

/// Memory that can be mapped: a file of tmpfs, from its beginning on.
///
/// # Invariants
/// The file is one of tmpfs, opened by its own operations, and this value owns a reference to it.
/// Where it may be written to, it also has a share in `i_mmap_writable` of its mapping: nobody can
/// seal it (`F_SEAL_WRITE`).
pub(crate) struct Memory {
    file: NonNull<bindings::file>,
    pages: usize,
    read_only: bool,
}

// SAFETY: a reference to a file may be given up by any thread, and nothing else of it is changed.
unsafe impl Send for Memory {}
// SAFETY: what `map` does to the file is for any number of threads at once.
unsafe impl Sync for Memory {}

impl Memory {
    /// The file that the calling process has mapped at `address`, of which `length` bytes can be
    /// mapped.
    ///
    /// It is told by an address and not by a descriptor because a mapping says more: what its file's
    /// seals allowed its owner when it was made.
    ///
    /// # Errors
    /// `EFAULT`: nothing is mapped there. `EINVAL`: it is not a shared mapping of so many bytes from
    /// the beginning of a file of that length on, or these are no pages. `ENODEV`: the file is not
    /// one of tmpfs. `EACCES`: the process may not write there, nor have that allowed to it.
    pub(crate) fn of_caller(address: u64, length: u64, read_only: bool) -> Result<Arc<Self>> {
        let address = usize::try_from(address).map_err(|_| EFAULT)?;
        let length = usize::try_from(length).map_err(|_| EINVAL)?;
        if address % PAGE_SIZE != 0 || length % PAGE_SIZE != 0 || length == 0 {
            return Err(EINVAL);
        }
        let task = kernel::current!();
        let guard = task.mm().ok_or(EFAULT)?.mmap_read_lock();
        let area = guard.vma_lookup(address).ok_or(EFAULT)?;
        let file = Self::file_of(area, address, length)?;
        let writable = flags::SHARED | flags::MAYWRITE;
        if !read_only && area.flags() & writable != writable {
            return Err(EACCES);
        }
        // SAFETY: the area has a reference to the file, and stays as it is under the lock.
        let file = unsafe {
            bindings::get_file(file.as_ptr());
            if !read_only {
                // A shared area that may be written to has a share in the count itself: it is above 0,
                // and no seal is there that this would get past (mapping_allow_writable).
                Self::writers(file).add(1, Relaxed);
            }
            file
        };
        drop(guard);
        // INVARIANT: checked, and taken, above. Where there is no memory for it, `drop` gives it up.
        let memory = Self {
            file,
            pages: length >> PAGE_SHIFT,
            read_only,
        };
        Ok(Arc::new(memory, GFP_KERNEL_ACCOUNT)?)
    }

    /// The file of tmpfs that `area` maps at `address`, from its beginning on.
    pub(super) fn file_of(
        area: &VmaRef,
        address: usize,
        length: usize,
    ) -> Result<NonNull<bindings::file>> {
        if address.checked_add(length).ok_or(EINVAL)? > area.end() {
            return Err(EINVAL);
        }
        if area.flags() & MAYSHARE == 0 {
            return Err(EINVAL);
        }
        // SAFETY: a reference to an area is given for as long as nobody may change it.
        let raw = unsafe { &*area.as_ptr() };
        let before = address.saturating_sub(area.start()) >> PAGE_SHIFT;
        let file = NonNull::new(raw.vm_file).ok_or(ENODEV)?;
        // SAFETY: the area has a reference to the file; its inode and its mapping stay with it.
        let (is_of_tmpfs, size) = unsafe {
            let inode = file.as_ref().f_inode;
            let mapping = file.as_ref().f_mapping;
            // System V's shared memory has files of its own around those of tmpfs: not these.
            let plain = file.as_ref().f_op == (*inode).__bindgen_anon_3.i_fop;
            (plain && shmem_mapping(mapping.cast()), (*inode).i_size)
        };
        if !is_of_tmpfs {
            return Err(ENODEV);
        }
        let size = usize::try_from(size).map_err(|_| EINVAL)?;
        if raw.vm_pgoff.checked_add(before) != Some(0) || length > size.next_multiple_of(PAGE_SIZE)
        {
            return Err(EINVAL);
        }
        Ok(file)
    }

    /// How many shared areas that may be written to map the file, and values of this type.
    ///
    /// # Safety
    /// The file lives for as long as the result is used.
    unsafe fn writers<'a>(file: NonNull<bindings::file>) -> &'a Atomic<i32> {
        // SAFETY: the mapping lives as long as the file. The count is an atomic one, and all access
        // to it is.
        unsafe { Atomic::from_ptr(&raw mut (*file.as_ref().f_mapping).i_mmap_writable.counter) }
    }

    /// Has `area` map this memory in place of its node.
    ///
    /// # Errors
    /// `ENXIO`: it is more than there is. `EACCES`: it is shared and to be written to, and that is
    /// not allowed. In both cases the area is as it was.
    pub(crate) fn map(&self, area: &NewArea<'_>) -> Result {
        let (_, end) = area.pages()?;
        if end > self.pages {
            return Err(ENXIO);
        }
        let mut wanted = area.flags();
        if self.read_only && wanted & MAYSHARE != 0 {
            if wanted & flags::WRITE != 0 {
                return Err(EACCES);
            }
            // As do_mmap() has it of a file that is not open for writing. Without `SHARED`,
            // remap_file_pages(2), which goes by the file alone, does nothing either.
            wanted &= !(flags::MAYWRITE | flags::SHARED);
        }
        // mremap(2) must not make it longer than was checked.
        area.set_flags(wanted | flags::DONTEXPAND);
        // SAFETY: the area is being made by this task, and the file is valid. The area takes a
        // reference of its own, and gives up that to the node; whoever called the file operation
        // goes by what is in the area then (__mmap_new_file_vma, mm/vma.c).
        unsafe { bindings::vma_set_file(area.as_ptr(), self.file.as_ptr()) };
        // SAFETY: as above; the file is the one of the area. By the invariant its operations are those
        // of tmpfs, which has one of the two.
        unsafe {
            let operations = &*self.file.as_ref().f_op;
            match operations.mmap {
                Some(mmap) => to_result(mmap(self.file.as_ptr(), area.as_ptr())),
                None => to_result(bindings::compat_vma_mmap(self.file.as_ptr(), area.as_ptr())),
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: by the invariant, both were this value's.
        unsafe {
            if !self.read_only {
                Self::writers(self.file).add(-1, Relaxed);
            }
            bindings::fput(self.file.as_ptr());
        }
    }
}
