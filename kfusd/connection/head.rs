// SPDX-License-Identifier: GPL-2.0-only

//! A message for a driver: what stands before the data, and all of it on its way out.

use kernel::prelude::*;

use super::Output;
use crate::bytes::Bytes;
use crate::limits;
use crate::request::Request;
use crate::wire::{self, operation, RequestHeader};

/// A message: header and fixed part, and what stands behind.
pub(super) struct Head {
    bytes: [u8; HEAD_SIZE],
    length: usize,
    /// What stands behind.
    pub(super) data: Bytes,
}

const HEAD_SIZE: usize = RequestHeader::SIZE + wire::Greeting::SIZE;

impl Head {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            bytes: [0; HEAD_SIZE],
            length: 0,
            data: Bytes::Empty,
        }
    }

    /// Makes it one whose fixed part is the first `length` bytes of `fixed`, and that has `data`
    /// bytes behind it. (What is behind `length` is 0 or not sent: a copy of a size that is known
    /// takes a few moves.)
    fn set<const FIXED: usize>(
        &mut self,
        mut header: RequestHeader,
        fixed: &[u8; FIXED],
        length: usize,
        data: usize,
    ) {
        const { assert!(RequestHeader::SIZE + FIXED <= HEAD_SIZE) };
        self.length = RequestHeader::SIZE.saturating_add(length.min(FIXED));
        // CAST: no more than a transfer and a head (`wire::TRANSFER_MAX`).
        header.length = self.length.saturating_add(data) as u32;
        if let Some((first, rest)) = self.bytes.split_first_chunk_mut() {
            *first = header.to_bytes();
            if let Some(rest) = rest.first_chunk_mut() {
                *rest = *fixed;
            }
        }
    }

    /// Makes it that of a request, or of the news that a copy for it is done.
    pub(super) fn tell(
        &mut self,
        request: &Request,
        id: u64,
        copied: Option<u32>,
        flags: u16,
        data: usize,
    ) {
        match copied {
            Some(error) => {
                let fixed = wire::Copied { error, reserved: 0 };
                let header = request.header(operation::COPIED, id);
                self.set(header, &fixed.to_bytes(), wire::Copied::SIZE, data);
            }
            None => {
                let (mut header, body) = (request.header(request.operation, id), &request.body);
                header.flags |= flags;
                self.set(header, body.padded(), body.len(), data);
            }
        }
    }

    /// Makes it one about a request that says nothing else.
    pub(super) fn mention(&mut self, request: &Request, operation: u16, id: u64) {
        self.set(request.header(operation, id), &[], 0, 0);
    }

    /// Makes it the module's first message.
    pub(super) fn greet(&mut self) {
        let greeting = wire::Greeting {
            version: wire::VERSION,
            max_transfer: limits::max_transfer(),
            features: wire::FEATURES,
            max_devices: limits::max_devices(),
            max_files: limits::max_files(),
            reserved: 0,
        };
        let header = RequestHeader {
            operation: operation::GREETING,
            ..RequestHeader::default()
        };
        self.set(header, &greeting.to_bytes(), wire::Greeting::SIZE, 0);
    }

    /// Makes it what a reader returns with that is to return.
    pub(super) fn nudge(&mut self) {
        self.notice(operation::NUDGED);
    }

    fn notice(&mut self, operation: u16) {
        let header = RequestHeader {
            operation,
            ..RequestHeader::default()
        };
        self.set(header, &[], 0, 0);
    }

    /// Makes it what a driver is told that has a successor.
    ///
    /// # Errors
    /// `EMSGSIZE`: it does not fit into `room`.
    pub(super) fn succeeded(&mut self, room: usize) -> Result {
        fits(0, 0, room)?;
        self.notice(operation::SUCCESSOR);
        Ok(())
    }

    /// Makes it what the successor is told.
    ///
    /// # Errors
    /// `EMSGSIZE`: it does not fit into `room`.
    pub(super) fn charge(&mut self, charge: &wire::Charge, room: usize) -> Result {
        fits(wire::Charge::SIZE, 0, room)?;
        let header = RequestHeader {
            operation: operation::CHARGE,
            ..RequestHeader::default()
        };
        self.set(header, &charge.to_bytes(), wire::Charge::SIZE, 0);
        Ok(())
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Writes the message. Returns its length.
    ///
    /// # Errors
    /// Those of `to`.
    pub(super) fn send(&self, to: &mut impl Output) -> Result<usize> {
        let data = &self.data;
        to.put(self.as_slice())?;
        match data.as_pages() {
            Some(pages) => to.put_pages(pages)?,
            None if data.is_empty() => {}
            None => to.put(data.as_slice())?,
        }
        Ok(self.length.saturating_add(data.len()))
    }
}

impl Request {
    /// The header of a message about this request.
    fn header(&self, operation: u16, id: u64) -> RequestHeader {
        RequestHeader {
            length: 0,
            operation,
            flags: self.flags,
            id,
            device: self.handle.device().number(),
            file: self.handle.id(),
            cookie: self.handle.cookie(),
            pid: self.caller.pid,
            tid: self.caller.tid,
            uid: self.caller.uid,
            gid: self.caller.gid,
            open_flags: self.open_flags,
            reserved: 0,
        }
    }
}

/// Whether a message with `fixed` bytes after the header and `data` bytes after those fits.
pub(super) fn fits(fixed: usize, data: usize, room: usize) -> Result {
    let total = RequestHeader::SIZE
        .checked_add(fixed)
        .and_then(|head| head.checked_add(data));
    match total {
        Some(total) if total <= room => Ok(()),
        _ => Err(EMSGSIZE),
    }
}
