//! What a read comes to.

use std::time::{Duration, Instant};

use super::State;
use crate::discipline::Piece;
use crate::options::{OnLost, Share};

/// What a read comes to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing yet; look again at this time, if nothing has changed before.
    Wait(Option<Instant>),
    /// No bytes.
    End,
    /// The port is lost, and that is an error.
    Lost,
    /// These.
    Bytes(Piece),
}

/// How long a read that has begun has waited.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    /// When it ends, if nothing more comes.
    until: Option<Instant>,
    /// Bytes there were when that was set.
    seen: usize,
}

impl State {
    /// What a read of up to `wanted` bytes by the file `id` comes to (`n_tty_read`). One that is not
    /// to wait takes what there is.
    pub(crate) fn reading(
        &self,
        id: u64,
        wanted: usize,
        waits: bool,
        timing: &mut Timing,
        now: Instant,
    ) -> Reading {
        let settings = self.settings();
        let piece = self.discipline.piece(self.place(id), wanted);
        let lost = match (self.is_lost(), self.options.on_lost) {
            (false, _) | (true, OnLost::Wait) => None,
            (true, OnLost::Eio) => Some(Reading::Lost),
            (true, OnLost::Eof) => Some(Reading::End),
        };
        if self.discipline.has_lines() {
            let nothing = lost.unwrap_or(Reading::Wait(None));
            return piece.map_or(nothing, Reading::Bytes);
        }
        let minimum = usize::from(settings.characters[libc::VMIN]).min(wanted);
        // In tenths of a second.
        let time = Duration::from_millis(100 * u64::from(settings.characters[libc::VTIME]));
        let there = piece.map_or(0, |piece| piece.length);
        let enough = there > 0 && (there >= minimum || !waits || lost.is_some());
        let bytes = piece.filter(|_| enough).map(Reading::Bytes);
        if let Some(result) = bytes.or(lost) {
            return result;
        }
        if minimum == 0 && time.is_zero() {
            return Reading::End;
        }
        if time.is_zero() || minimum > 0 && there == 0 {
            return Reading::Wait(None);
        }
        // From the call on, or, where a minimum is asked for, from the last byte on.
        let until = match timing.until {
            Some(until) if timing.seen == there => until,
            _ => now + time,
        };
        timing.until = Some(until);
        timing.seen = there;
        if now < until {
            return Reading::Wait(Some(until));
        }
        piece.map_or(Reading::End, Reading::Bytes)
    }

    /// The bytes of a piece.
    pub(crate) fn parts(&self, id: u64, piece: Piece) -> [&[u8]; 2] {
        self.discipline.parts(self.place(id), piece.length)
    }

    /// The client has them.
    pub(crate) fn consume(&mut self, id: u64, piece: Piece) {
        let place = self.place(id) + (piece.length + piece.skipped) as u64;
        if self.options.share == Share::First {
            self.common = place;
        }
        if let Some(client) = self.clients.get_mut(&id) {
            client.place = place;
        }
        self.stats.read += piece.length as u64;
        self.drop_what_nobody_reads();
    }

    /// Bytes that the file can read (`FIONREAD`).
    pub(crate) fn readable(&self, id: u64) -> usize {
        match self.clients.get(&id) {
            Some(client) if client.readable => self.discipline.readable(self.place(id)),
            _ => 0,
        }
    }

    /// Whether there is enough for poll(2) to tell (`input_available_p`). An end of file is readable
    /// although it has no bytes.
    pub(super) fn has_enough(&self, id: u64) -> bool {
        let characters = &self.settings().characters;
        let readable = self.readable(id);
        match (characters[libc::VMIN], characters[libc::VTIME]) {
            _ if self.discipline.has_lines() => {
                let is_reader = self.clients.get(&id).is_some_and(|client| client.readable);
                is_reader && self.discipline.piece(self.place(id), 1).is_some()
            }
            (minimum, 0) => readable >= usize::from(minimum).max(1),
            _ => readable > 0,
        }
    }

    fn place(&self, id: u64) -> u64 {
        let own = self.clients.get(&id).map_or(0, |client| client.place);
        match self.options.share {
            Share::First => self.common.max(own),
            Share::All | Share::Exclusive => own,
        }
    }
}
