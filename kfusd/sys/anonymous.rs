// SPDX-License-Identifier: GPL-2.0-only

//! A file without a node, made while another one is in use.

use kernel::{
    error::from_err_ptr,
    fs::{
        file::flags::{O_CLOEXEC, O_RDWR},
        file::FileDescriptorReservation,
        File,
    },
    prelude::*,
    sync::{aref::ARef, Arc},
    types::ForeignOwnable,
};

use super::{FileOperations, Table};

extern "C" {
    // include/linux/anon_inodes.h, which the kernel crate has no bindings of.
    fn anon_inode_getfile(
        name: *const c_char,
        operations: *const c_void,
        data: *mut c_void,
        flags: c_int,
    ) -> *mut c_void;
}

/// An open file that nobody has a descriptor of yet, and the number of one to be.
pub(crate) struct NewFile {
    descriptor: FileDescriptorReservation,
    file: ARef<File>,
}

impl NewFile {
    /// A file with the operations of `T`, which are `table`, and with `data`, as if `T` had opened
    /// it. It is released like any other.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`: there are too many files.
    pub(crate) fn new<T: FileOperations>(
        name: &'static CStr,
        table: &'static Table,
        data: Arc<T::Data>,
    ) -> Result<Self> {
        let descriptor = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
        let data = data.into_foreign();
        // SAFETY: the name and the table are static. The table is that of `T`: its functions take
        // the file's private data for what was made above, which the file owns from here on.
        let file = unsafe {
            anon_inode_getfile(
                name.as_char_ptr(),
                table.as_ptr().cast(),
                data,
                // CAST: flags of open(2), all below 2^31.
                (O_RDWR | O_CLOEXEC) as c_int,
            )
        };
        let file = from_err_ptr(file).inspect_err(|_| {
            // SAFETY: there is no file that could own it.
            drop(unsafe { <Arc<T::Data> as ForeignOwnable>::from_foreign(data) });
        })?;
        let file = core::ptr::NonNull::new(file).ok_or(ENOMEM)?;
        // SAFETY: the file is new, with one reference, which becomes that of the value. Nobody else
        // has it, so no position of it is in use.
        let file = unsafe { ARef::from_raw(file.cast::<File>()) };
        Ok(Self { descriptor, file })
    }

    /// Gives the calling process the descriptor; its number.
    pub(crate) fn install(self) -> u32 {
        let number = self.descriptor.reserved_fd();
        self.descriptor.fd_install(self.file);
        number
    }
}
