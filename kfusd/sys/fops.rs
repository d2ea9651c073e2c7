// SPDX-License-Identifier: GPL-2.0-only

//! From `struct file_operations` to a trait: each function here turns what the VFS passes into
//! types and calls one method. `kernel::miscdevice` has the like, but sets no owner, without which
//! the module could be unloaded under an open file, and knows neither poll nor flush.

use core::marker::PhantomData;

use kernel::{
    bindings,
    error::VTABLE_DEFAULT_ERROR,
    fs::File,
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    seq_file::SeqFile,
    sync::{Arc, ArcBorrow},
    types::ForeignOwnable,
};

use super::NewArea;

/// A poll in progress: who is to be woken.
pub(crate) struct PollTable<'a>(*mut bindings::poll_table_struct, PhantomData<&'a ()>);

impl PollTable<'_> {
    pub(super) fn as_ptr(&self) -> *mut bindings::poll_table_struct {
        self.0
    }
}

/// What can be done with an open file. What an implementation leaves out, the kernel answers.
#[vtable]
pub(crate) trait FileOperations: Sized + 'static {
    /// What belongs to an open file. Held by the file from open to release.
    type Data: Send + Sync + 'static;

    /// open(2) of the node with this minor number.
    fn open(file: &File, minor: u32) -> Result<Arc<Self::Data>>;

    /// The last close: called once for every open that succeeded, after all other calls.
    fn release(_data: ArcBorrow<'_, Self::Data>) {}

    /// read(2) at `position`, which it moves. (`RWF_NOWAIT` never comes here: it takes
    /// `FMODE_NOWAIT`, which no file of ours has.)
    fn read(
        _data: ArcBorrow<'_, Self::Data>,
        _file: &File,
        _position: &mut i64,
        _to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// write(2), likewise.
    fn write(
        _data: ArcBorrow<'_, Self::Data>,
        _file: &File,
        _position: &mut i64,
        _from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// lseek(2).
    fn seek(
        _data: ArcBorrow<'_, Self::Data>,
        _file: &File,
        _offset: i64,
        _whence: c_int,
    ) -> Result<i64> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// poll(2): the events there are.
    fn poll(_data: ArcBorrow<'_, Self::Data>, _file: &File, _table: &PollTable<'_>) -> u32 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// ioctl(2); `compat`: by a 32-bit program on a 64-bit kernel.
    fn ioctl(
        _data: ArcBorrow<'_, Self::Data>,
        _file: &File,
        _command: u32,
        _argument: usize,
        _compat: bool,
    ) -> Result<isize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// mmap(2).
    fn map(_data: ArcBorrow<'_, Self::Data>, _area: &NewArea<'_>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// close(2) of a descriptor.
    fn flush(_data: ArcBorrow<'_, Self::Data>, _file: &File) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// fsync(2), or fdatasync(2) with `data_only`.
    fn sync(_data: ArcBorrow<'_, Self::Data>, _file: &File, _data_only: bool) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// fcntl(2) with `O_ASYNC`.
    fn fasync(
        _data: ArcBorrow<'_, Self::Data>,
        _fd: c_int,
        _file: &File,
        _on: c_int,
    ) -> Result<c_int> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// /proc/PID/fdinfo/FD.
    fn show(_data: ArcBorrow<'_, Self::Data>, _to: &SeqFile) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A `struct file_operations`.
pub(crate) struct Table(bindings::file_operations);

// SAFETY: a table is never written to.
unsafe impl Sync for Table {}

impl Table {
    /// The table of `T`, owned by this module.
    pub(crate) const fn new<T: FileOperations>(owner: *mut bindings::module) -> Self {
        Glue::<T>::table(owner)
    }

    pub(super) const fn as_ptr(&self) -> *const bindings::file_operations {
        &self.0
    }

    pub(super) const fn owner(&self) -> *mut bindings::module {
        self.0.owner
    }
}

/// The functions of the table of `T`.
///
/// # Safety
/// Of all of them: to be called by the VFS, for a file that [`Glue::open`] opened (itself
/// excepted). The file's private data then is an `Arc<T::Data>` that the file holds until it has
/// called [`Glue::release`], which it does last.
struct Glue<T>(PhantomData<T>);

impl<T: FileOperations> Glue<T> {
    const fn table(owner: *mut bindings::module) -> Table {
        /// The function, if the implementation has it.
        macro_rules! if_has {
            ($has:ident, $function:expr) => {
                if T::$has {
                    Some($function)
                } else {
                    None
                }
            };
        }
        Table(bindings::file_operations {
            owner,
            open: Some(Self::open),
            release: Some(Self::release),
            read_iter: if_has!(HAS_READ, Self::read_iter),
            write_iter: if_has!(HAS_WRITE, Self::write_iter),
            // splice(2) and sendfile(2), by way of the two above.
            splice_read: if_has!(HAS_READ, bindings::copy_splice_read),
            splice_write: if_has!(HAS_WRITE, bindings::iter_file_splice_write),
            llseek: if_has!(HAS_SEEK, Self::llseek),
            poll: if_has!(HAS_POLL, Self::poll),
            unlocked_ioctl: if_has!(HAS_IOCTL, Self::ioctl),
            #[cfg(CONFIG_COMPAT)]
            compat_ioctl: if_has!(HAS_IOCTL, Self::compat_ioctl),
            mmap: if_has!(HAS_MAP, Self::mmap),
            flush: if_has!(HAS_FLUSH, Self::flush),
            fsync: if_has!(HAS_SYNC, Self::fsync),
            fasync: if_has!(HAS_FASYNC, Self::fasync),
            show_fdinfo: if_has!(HAS_SHOW, Self::show_fdinfo),
            ..pin_init::zeroed()
        })
    }

    /// The file and its data.
    ///
    /// # Safety
    /// As of the type; `'a` ends with the call.
    unsafe fn parts<'a>(file: *mut bindings::file) -> (&'a File, ArcBorrow<'a, T::Data>) {
        // SAFETY: the VFS passes a file that stays for the call, and no fdget_pos section of this
        // task is left out of account, since the file is not handed on.
        let safe = unsafe { File::from_raw_file(file) };
        // SAFETY: `open` put an `Arc` there, and `release` has not yet taken it.
        let data = unsafe { <Arc<T::Data> as ForeignOwnable>::borrow((*file).private_data) };
        (safe, data)
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn open(inode: *mut bindings::inode, raw: *mut bindings::file) -> c_int {
        // SAFETY: the inode is that of the file being opened; its number does not change.
        let minor = unsafe { (*inode).i_rdev } & (super::MINORS - 1);
        // SAFETY: the file stays for the call.
        let file = unsafe { File::from_raw_file(raw) };
        match T::open(file, minor) {
            Ok(data) => {
                // SAFETY: the private data of a file being opened is ours to set.
                unsafe { (*raw).private_data = data.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open` put it there, and nobody uses the file any more.
        let data = unsafe { <Arc<T::Data> as ForeignOwnable>::from_foreign((*file).private_data) };
        T::release(data.as_arc_borrow());
        0
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: the VFS passes a control block with its file.
        let (file, data) = unsafe { Self::parts((*kiocb).ki_filp) };
        // SAFETY: the VFS passes a destination, ours alone for the call.
        let iter = unsafe { IovIterDest::from_raw(iter) };
        // SAFETY: the control block is ours alone for the call.
        let position = unsafe { &mut (*kiocb).ki_pos };
        size(T::read(data, file, position, iter))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn write_iter(
        kiocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: the VFS passes a control block with its file.
        let (file, data) = unsafe { Self::parts((*kiocb).ki_filp) };
        // SAFETY: the VFS passes a source, ours alone for the call.
        let iter = unsafe { IovIterSource::from_raw(iter) };
        // SAFETY: the control block is ours alone for the call.
        let position = unsafe { &mut (*kiocb).ki_pos };
        size(T::write(data, file, position, iter))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn llseek(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        // SAFETY: as of the type.
        let (file, data) = unsafe { Self::parts(file) };
        T::seek(data, file, offset, whence).unwrap_or_else(|error| error.to_errno().into())
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> bindings::__poll_t {
        // SAFETY: as of the type.
        let (file, data) = unsafe { Self::parts(file) };
        // The VFS passes null, or a table that stays for the call.
        T::poll(data, file, &PollTable(table, PhantomData))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn ioctl(
        file: *mut bindings::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // SAFETY: as of the type.
        let (file, data) = unsafe { Self::parts(file) };
        size(T::ioctl(data, file, command, argument, false))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    #[cfg(CONFIG_COMPAT)]
    unsafe extern "C" fn compat_ioctl(
        file: *mut bindings::file,
        command: c_uint,
        argument: c_ulong,
    ) -> c_long {
        // SAFETY: as of the type.
        let (file, data) = unsafe { Self::parts(file) };
        size(T::ioctl(data, file, command, argument, true))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        area: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: as of the type.
        let (_, data) = unsafe { Self::parts(file) };
        // SAFETY: the VFS passes an area that is being made, by this task alone, for this file.
        status(T::map(data, &unsafe { NewArea::from_raw(area) }))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn flush(file: *mut bindings::file, _id: bindings::fl_owner_t) -> c_int {
        // SAFETY: as of the type.
        let (file, data) = unsafe { Self::parts(file) };
        status(T::flush(data, file))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn fsync(
        file: *mut bindings::file,
        _start: bindings::loff_t,
        _end: bindings::loff_t,
        data_only: c_int,
    ) -> c_int {
        // SAFETY: as of the type.
        let (file, data) = unsafe { Self::parts(file) };
        status(T::sync(data, file, data_only != 0))
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn fasync(fd: c_int, file: *mut bindings::file, on: c_int) -> c_int {
        // SAFETY: as of the type.
        let (file, data) = unsafe { Self::parts(file) };
        T::fasync(data, fd, file, on).unwrap_or_else(|error| error.to_errno())
    }

    /// The file operation.
    ///
    /// # Safety
    /// As of [`Glue`].
    unsafe extern "C" fn show_fdinfo(to: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: as of the type.
        let (_, data) = unsafe { Self::parts(file) };
        // SAFETY: the VFS passes a sequence file for the call.
        T::show(data, unsafe { SeqFile::from_raw(to) });
    }
}

/// A size, or a negative errno, as the VFS wants it.
fn size<N: TryInto<isize>>(result: Result<N>) -> isize {
    match result {
        Ok(size) => size.try_into().unwrap_or(isize::MAX),
        // CAST: widens.
        Err(error) => error.to_errno() as isize,
    }
}

/// 0, or a negative errno.
fn status(result: Result) -> c_int {
    result.map_or_else(|error| error.to_errno(), |()| 0)
}
