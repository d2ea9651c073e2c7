// SPDX-License-Identifier: GPL-2.0-only

//! Which drivers there are at a connection, by their seats.
//!
//! A seat is *reigning* (the last that was taken), an *elder* (its driver finishes what it has), or
//! *cleared* (it took too long, and has lost that). Who reigns is *in charge* once there is no elder
//! and it has been told so.

use crate::device::Device;
use crate::seat::FIRST;
use crate::sys::Ticks;
use crate::wire::REGISTER_KEEP;

/// Which drivers there are at a connection.
pub(in crate::connection) struct Throne {
    /// The seat whose driver gets requests; 0 for none.
    pub(in crate::connection) charge: u64,
    /// The seat that was taken last; 0 once it is empty.
    pub(super) reigning: u64,
    /// The highest number that was given.
    last: u64,
    /// Seats with somebody on them.
    seats: u32,
    /// How many of those are elders.
    pub(super) elders: u32,
    /// Since when there have been any.
    pub(super) elders_since: Option<Ticks>,
    /// Since when nobody has reigned.
    pub(super) vacant_since: Option<Ticks>,
    /// Devices that wait for a driver.
    kept: u32,
}

/// What somebody leaves who leaves a seat.
pub(super) enum Leaving {
    /// Nothing: the seat was never taken, or has been cleared.
    Nothing,
    /// What it has in hand.
    Hand,
    /// That, and the devices, which wait for a successor.
    Vacancy,
    /// That, and the devices: all ends.
    End,
}

impl Throne {
    /// Of a new connection: its first seat is taken.
    pub(in crate::connection) fn new() -> Self {
        Self {
            charge: FIRST,
            reigning: FIRST,
            last: FIRST,
            seats: 1,
            elders: 0,
            elders_since: None,
            vacant_since: None,
            kept: 0,
        }
    }

    /// A device has come.
    pub(in crate::connection) fn keeps(&mut self, device: &Device) {
        let kept = u32::from(device.has_flag(REGISTER_KEEP));
        self.kept = self.kept.saturating_add(kept);
    }

    /// A device has gone.
    pub(in crate::connection) fn loses(&mut self, device: &Device) {
        let kept = u32::from(device.has_flag(REGISTER_KEEP));
        self.kept = self.kept.saturating_sub(kept);
    }

    /// Whether only one driver can be waiting for messages.
    pub(in crate::connection) fn is_alone(&self) -> bool {
        self.seats <= 1
    }

    /// Takes a seat for a successor. Its number.
    pub(super) fn take(&mut self) -> u64 {
        if self.reigning != 0 {
            self.elders = self.elders.saturating_add(1);
            self.elders_since.get_or_insert_with(Ticks::now);
        }
        self.last = self.last.wrapping_add(1);
        self.reigning = self.last;
        self.charge = 0;
        self.seats = self.seats.saturating_add(1);
        self.vacant_since = None;
        self.last
    }

    /// Somebody leaves seat `number`, which was taken.
    pub(super) fn leave(&mut self, number: u64, cleared: u64) -> Leaving {
        self.seats = self.seats.saturating_sub(1);
        if number == self.reigning {
            self.reigning = 0;
            self.charge = 0;
            self.vacant_since = Some(Ticks::now());
            return match self.kept {
                0 => Leaving::End,
                _ => Leaving::Vacancy,
            };
        }
        if number <= cleared {
            return Leaving::Nothing;
        }
        self.elders = self.elders.saturating_sub(1);
        if self.elders == 0 {
            self.elders_since = None;
        }
        Leaving::Hand
    }

    /// Whether who reigns is to be told that it is in charge.
    pub(super) fn is_due(&self, number: u64) -> bool {
        number == self.reigning && self.elders == 0
    }

    /// There are no elders any more. All seats up to the number that this gives are cleared.
    pub(super) fn clear_elders(&mut self) -> u64 {
        self.elders = 0;
        self.elders_since = None;
        // Seats are counted as they are taken: who reigns has the last number.
        match self.reigning {
            0 => self.last,
            reigning => reigning.wrapping_sub(1),
        }
    }
}
