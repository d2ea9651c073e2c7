//! Contender: the least a FUSE server can do. One thread, one read and one write per request, and
//! answers to just the messages that one file needs.

use std::fs::File;
use std::io::{IoSlice, Read};
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::Context;
use fuse_abi::linux::{
    FOPEN_DIRECT_IO, FUSE_BIG_WRITES, FUSE_MAX_PAGES, fuse_attr, fuse_attr_out, fuse_in_header,
    fuse_init_in, fuse_init_out, fuse_opcode as Opcode, fuse_open_out, fuse_out_header,
    fuse_read_in,
};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::uio::writev;
use zerocopy::{FromBytes, IntoBytes};

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

pub(crate) fn serve(path: &Path) -> anyhow::Result<()> {
    File::create_new(path)?;
    let mut device = File::options().read(true).write(true).open("/dev/fuse")?;
    let options = format!(
        "fd={},rootmode=100644,user_id=0,group_id=0,max_read=1048576",
        device.as_raw_fd()
    );
    mount(
        Some("bench-raw"),
        path,
        Some("fuse.bench"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options.as_str()),
    )
    .context("mount (root is needed)")?;
    crate::server::ready()?;
    let mut buffer = vec![0; (1 << 20) + 4096];
    while let Ok(length) = device.read(&mut buffer) {
        answer(&device, &buffer[..length])?;
    }
    Ok(())
}

fn answer(device: &File, message: &[u8]) -> anyhow::Result<()> {
    let Ok((head, body)) = fuse_in_header::read_from_prefix(message) else {
        return Ok(());
    };
    let send = |error: Option<Errno>, body: &[u8]| {
        let header = fuse_out_header {
            len: u32::try_from(16 + body.len()).unwrap_or(u32::MAX),
            error: error.map_or(0, |errno| -(errno as i32)),
            unique: head.unique,
        };
        writev(
            device,
            &[IoSlice::new(header.as_bytes()), IoSlice::new(body)],
        )
        .map(drop)
    };
    let sent = match Opcode::try_from(head.opcode) {
        Ok(Opcode::FUSE_READ) => {
            let Ok((read, _)) = fuse_read_in::read_from_prefix(body) else {
                return Ok(());
            };
            send(None, &ZEROS[..usize::try_from(read.size)?])
        }
        Ok(Opcode::FUSE_INIT) => {
            let Ok((init, _)) = fuse_init_in::read_from_prefix(body) else {
                return Ok(());
            };
            let out = fuse_init_out {
                major: 7,
                minor: 31,
                flags: init.flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES),
                max_write: 1 << 20,
                max_pages: 256,
                time_gran: 1,
                ..Default::default()
            };
            send(None, out.as_bytes())
        }
        Ok(Opcode::FUSE_OPEN) => {
            let out = fuse_open_out {
                open_flags: FOPEN_DIRECT_IO,
                ..Default::default()
            };
            send(None, out.as_bytes())
        }
        Ok(Opcode::FUSE_GETATTR) => {
            let attr = fuse_attr {
                ino: 1,
                mode: 0o100_644,
                nlink: 1,
                ..Default::default()
            };
            send(
                None,
                fuse_attr_out {
                    attr,
                    ..Default::default()
                }
                .as_bytes(),
            )
        }
        Ok(Opcode::FUSE_RELEASE | Opcode::FUSE_FLUSH) => send(None, &[]),
        Ok(Opcode::FUSE_INTERRUPT | Opcode::FUSE_FORGET) => Ok(()),
        _ => send(Some(Errno::ENOSYS), &[]),
    };
    match sent {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
