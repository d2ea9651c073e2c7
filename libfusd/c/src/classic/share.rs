//! Makes memory that a driver has into memory that its clients can map, where it is.
//!
//! Clients can map what is in a file of memory, and the driver's is not: so it is copied into one, and that
//! takes its place, at the same address and with the same content. The driver notices nothing, but that
//! what it writes there while that happens may be lost, and that its children share it from then on.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use fusd_rust::{Errno, Memory};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::fstat;
use nix::unistd::{SysconfVar, sysconf};

use crate::sync::lock;

/// What has been shared, by its addresses. Never taken out: it is in use as long as the driver has it.
static SHARED: Mutex<BTreeMap<usize, Memory>> = Mutex::new(BTreeMap::new());

/// Bytes of a page.
pub(crate) fn page() -> usize {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    page.and_then(|page| usize::try_from(page).ok())
        .unwrap_or(4096)
}

/// The memory of `length` bytes, rounded up to whole pages, at `address`, as clients can map it.
///
/// # Errors
/// `EINVAL`: it does not begin at a page, is empty, was shared with another length, or is not private
/// memory that can be read and written. Those of [`Memory::new`] and mmap(2).
pub(crate) fn share(address: usize, length: usize) -> Result<Memory, Errno> {
    let length = length
        .checked_next_multiple_of(page())
        .ok_or(Errno::EINVAL)?;
    let place = NonZeroUsize::new(address).filter(|place| place.get() % page() == 0);
    let (place, bytes) = place.zip(NonZeroUsize::new(length)).ok_or(Errno::EINVAL)?;
    let end = address.checked_add(length).ok_or(Errno::EINVAL)?;
    let mut shared = lock(&SHARED);
    if let Some(memory) = shared.get(&address)
        && is_all(address, end, &Nature::File(inode(memory)?))?
    {
        return match memory.bytes().len() == length {
            true => Ok(memory.clone()),
            false => Err(Errno::EINVAL),
        };
    }
    if !is_all(address, end, &Nature::Private)? {
        return Err(Errno::EINVAL);
    }
    let memory = Memory::new(length).map_err(|error| error.errno())?;
    copy(address, &memory)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
    // SAFETY: what is there now is the driver's own memory, which it has named for this purpose
    // (`fusd.h`); it may be read and written as before, and has the same content.
    unsafe { mmap::<_>(Some(place), bytes, access, flags, memory.as_fd(), 0) }?;
    shared.insert(address, memory.clone());
    Ok(memory)
}

/// Fills the memory with what is at `address`.
fn copy(address: usize, memory: &Memory) -> Result<(), Errno> {
    let failed = |error: std::io::Error| Errno::from(&error);
    // Unlike a pointer, it fails where the driver takes its memory away meanwhile.
    let own = File::open("/proc/self/mem").map_err(failed)?;
    let mut chunk = vec![0; memory.bytes().len().min(1 << 16)];
    let mut done = 0;
    while done < memory.bytes().len() {
        let length = chunk.len().min(memory.bytes().len() - done);
        let chunk = &mut chunk[..length];
        own.read_exact_at(chunk, (address + done) as u64)
            .map_err(failed)?;
        done += memory.write(done, chunk);
    }
    Ok(())
}

/// What memory is, as far as it matters here.
#[derive(PartialEq, Eq)]
enum Nature {
    /// This process' alone, to be read and written.
    Private,
    /// Shared, of the file with this number.
    File(u64),
    Other,
}

fn inode(memory: &Memory) -> Result<u64, Errno> {
    Ok(fstat(memory)?.st_ino)
}

/// Whether all memory from `start` to before `end` is there, and of this nature.
fn is_all(start: usize, end: usize, nature: &Nature) -> Result<bool, Errno> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(|error| Errno::from(&error))?;
    Ok(covers(&maps, start, end, nature))
}

/// Likewise, by the text of proc_pid_maps(5), which is in the order of addresses.
fn covers(maps: &str, start: usize, end: usize, nature: &Nature) -> bool {
    let mut reached = start;
    for (from, to, this) in maps.lines().filter_map(line) {
        if to <= reached {
            continue;
        }
        if reached >= end || from > reached || this != *nature {
            break;
        }
        reached = to;
    }
    reached >= end
}

/// "7f00-7f10 rw-p 00000000 00:00 0 name".
fn line(line: &str) -> Option<(usize, usize, Nature)> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let rights = words.next()?;
    let inode = words.nth(2)?.parse().ok()?;
    let nature = match (rights.get(..2), rights.get(3..)) {
        (Some("rw"), Some("p")) => Nature::Private,
        (Some("rw"), Some("s")) => Nature::File(inode),
        _ => Nature::Other,
    };
    Some((address(from)?, address(to)?, nature))
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[test]
    fn memory_is_shared_where_it_is() {
        // Whole pages that nothing else is in.
        let pages = vec![7u8; 4 * page()].leak();
        let start = pages.as_ptr().expose_provenance().next_multiple_of(page());
        let place = || ptr::with_exposed_provenance::<AtomicU8>(start + 5);
        // SAFETY: within the pages, and nobody else looks there.
        let here = || unsafe { &*place() };
        let memory = share(start, page() + 1).expect("share");
        assert_eq!(memory.bytes().len(), 2 * page());
        assert_eq!(memory.bytes()[5].load(Ordering::Relaxed), 7);
        memory.write(5, b"x");
        assert_eq!(here().load(Ordering::Relaxed), b'x');
        here().store(b'y', Ordering::Relaxed);
        let again = share(start, 2 * page()).expect("share");
        assert_eq!(again.bytes()[5].load(Ordering::Relaxed), b'y');
        for (address, length) in [
            (start, 1),
            (start + 1, 1),
            (start, 0),
            (0, 1),
            (start, usize::MAX),
        ] {
            assert!(share(address, length).is_err(), "{address:#x} {length}");
        }
        // This program's code.
        let code = (share as *const std::ffi::c_void).addr() / page() * page();
        assert_eq!(share(code, 1).err(), Some(Errno::EINVAL));
    }

    #[test]
    fn a_place_may_be_in_several_parts() {
        let maps = "1000-2000 r-xp 00000000 08:01 5 /x\n2000-3000 rw-p 00000000 00:00 0\n\
                    3000-5000 rw-p 00000000 00:00 0 [heap]\n6000-7000 rw-s 00000000 00:01 9 /memfd:x\n";
        let private = |start, end| covers(maps, start, end, &Nature::Private);
        assert!(private(0x2000, 0x5000) && private(0x2800, 0x3001));
        assert!(!private(0x1000, 0x3000) && !private(0x4000, 0x6000) && !private(0x6000, 0x7000));
        assert!(!private(0x7000, 0x8000));
        assert!(covers(maps, 0x6000, 0x7000, &Nature::File(9)));
        assert!(!covers(maps, 0x6000, 0x7000, &Nature::File(8)));
    }
}
