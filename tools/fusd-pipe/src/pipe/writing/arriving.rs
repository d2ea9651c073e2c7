//! What comes from other machines.

use std::time::Instant;

use super::{Count, Full, Mode, Pipe, Records, Taken};
use crate::log::Place;
use crate::settings::Amount;

impl Pipe {
    /// Takes `data` as one record, or as bytes where there are no records; false where there is no
    /// room yet. Where nothing is kept, there is room for any amount.
    pub(crate) fn arrive(&mut self, data: &[u8], now: Instant) -> bool {
        let end = self.log.end();
        let told = self.tell_of_gap();
        let mut taken = Taken {
            count: data.len(),
            end,
            line: Vec::new(),
            dropped: Count::default(),
            told: told.is_some(),
        };
        if self.overwrites() || self.has_room(data.len()) {
            self.add(data);
        } else {
            self.log.cut_back(end);
            if self.settings.full != Full::DropNew {
                return false;
            }
            taken.told = false;
            taken.dropped = super::record_of(data.len());
        }
        self.keep(&taken, now);
        true
    }

    /// Takes `data` as [`arrive`](Self::arrive) does, whether or not there is room.
    pub(crate) fn arrive_beyond(&mut self, data: &[u8], now: Instant) {
        let taken = Taken {
            count: data.len(),
            end: self.log.end(),
            line: Vec::new(),
            dropped: Count::default(),
            told: false,
        };
        self.add(data);
        self.keep(&taken, now);
    }

    /// How much may come; `None`: nothing, until a reader has made room.
    pub(crate) fn room(&self) -> Option<Amount> {
        let size = self.settings.size;
        if self.overwrites() || self.settings.full == Full::DropNew || self.log.len() == 0 {
            return Some(size);
        }
        let (bytes, records) = self.used();
        let room = Amount {
            bytes: size.bytes.saturating_sub(bytes),
            records: size.records.saturating_sub(records),
        };
        (room.bytes > 0 && room.records > 0).then_some(room)
    }

    /// Counts what is lost before it comes here, and has readers told of it.
    pub(crate) fn lose(&mut self, lost: Count) {
        self.stats.dropped.add(lost);
        match self.settings.mode {
            Mode::Fifo => self.lost.add(lost),
            Mode::Broadcast | Mode::Ring => {
                for reader in self.readers.values_mut() {
                    reader.lost.add(lost);
                }
            }
        }
    }

    /// Takes back the last `count` bytes, which are whole records where there are any.
    pub(crate) fn withdraw(&mut self, count: usize) {
        let left = self.log.len().saturating_sub(count);
        let start = self.log.start();
        let end = match self.settings.records {
            Records::None => Place {
                byte: start.byte + left as u64,
                ..start
            },
            Records::Line | Records::Write => self.log.last_within(start, left),
        };
        self.log.cut_back(end);
    }

    /// Whether new content takes the place of old.
    fn overwrites(&self) -> bool {
        self.settings.full == Full::DropOld || self.settings.mode == Mode::Ring
    }

    fn add(&mut self, data: &[u8]) {
        self.log.push(data);
        if self.settings.records != Records::None {
            self.log.end_record();
        }
    }
}
