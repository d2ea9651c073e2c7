//! The handshake on a fresh mount: which version and which features both sides use.

use std::os::fd::OwnedFd;

use crate::backend::channel::{Greeting, TRANSFER_MAX, page_size};
use crate::fuse_wire::{Body, Limits, Negotiated, Offer, Outcome, encode, negotiate};
use crate::{Errno, Result};

/// Does the handshake.
///
/// # Errors
/// The kernel's FUSE is too old (`EPROTO`), or the mount has gone again.
pub(super) fn agree(device: &OwnedFd) -> Result<Negotiated> {
    let limits = Limits {
        max_write: TRANSFER_MAX,
        page_size: page_size(),
    };
    let mut greeting = Greeting::new(device, "/dev/fuse");
    loop {
        let frame = greeting.receive()?;
        let Body::Init {
            major,
            minor,
            flags,
            ..
        } = frame.body
        else {
            return Err(greeting
                .failed(Errno::EPROTO)
                .because("its first message is not INIT"));
        };
        let offer = Offer {
            major,
            minor,
            flags,
        };
        match negotiate(offer, limits) {
            Ok(Outcome::Agreed(agreed)) => {
                greeting.answer(frame.unique, &[&encode::init_out(&agreed)])?;
                return Ok(agreed);
            }
            Ok(Outcome::OtherMajor) => {
                greeting.answer(frame.unique, &[&encode::init_other_major()])?;
            }
            Err(unsupported) => {
                greeting.refuse(frame.unique, Errno::EPROTO);
                return Err(greeting.failed(Errno::EPROTO).because(unsupported));
            }
        }
    }
}
