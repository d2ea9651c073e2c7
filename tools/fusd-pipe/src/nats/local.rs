//! The pipe of this node, as the link sees it.

use std::time::Instant;

use tokio::sync::watch;

use crate::device::{PipeDevice, WeakDevice};
use crate::pipe::Pipe;
use crate::settings::{Amount, Mode, Settings};
use crate::stats::Count;

/// The pipe, as long as it is there. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Local {
    device: WeakDevice,
    rung: watch::Receiver<u64>,
    settings: Settings,
}

impl Local {
    /// The pipe of `device`.
    pub(crate) fn new(device: &PipeDevice) -> Self {
        let (sender, rung) = watch::channel(0);
        device.bell().on_ring(move || {
            // Nobody may be left to hear it.
            sender.send_modify(|count: &mut u64| *count = count.wrapping_add(1));
        });
        Self {
            device: device.downgrade(),
            rung,
            settings: device.settings().clone(),
        }
    }

    /// The device, unless it is gone.
    pub(crate) fn device(&self) -> Option<PipeDevice> {
        PipeDevice::upgrade(&self.device)
    }

    /// Changes the pipe, then serves whoever can be served. `None`: it is gone.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Pipe, Instant) -> T) -> Option<T> {
        Some(self.device()?.change(change))
    }

    /// Waits for the next change of the pipe since the last call of a clone.
    pub(crate) async fn changed(&mut self) {
        if self.rung.changed().await.is_err() {
            // The device is gone, and the link about to be stopped.
            std::future::pending().await
        }
    }

    /// Forgets what has changed by now.
    pub(crate) fn look_from_now(&mut self) {
        self.rung.mark_unchanged();
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&mut self, mut condition: impl FnMut(&Pipe) -> bool) {
        loop {
            self.look_from_now();
            match self.device() {
                Some(device) if device.look(&mut condition) => return,
                _ => self.changed().await,
            }
        }
    }

    /// Puts what has come into the pipe; false where there is no room yet.
    pub(crate) fn arrive(&self, data: &[u8]) -> bool {
        // An empty record would be the end of the file.
        data.is_empty()
            || self
                .change(|pipe, now| pipe.arrive(data, now))
                .unwrap_or(true)
    }

    /// Puts what has come into the pipe, or drops and counts it; false where it was dropped.
    pub(crate) fn arrive_or_drop(&self, data: &[u8]) -> bool {
        let arrived = self.arrive(data);
        if !arrived {
            self.lose(count(data));
        }
        arrived
    }

    /// Puts what has come into the pipe, though it may be more than the size.
    pub(crate) fn arrive_beyond(&self, data: &[u8]) {
        self.change(|pipe, now| pipe.arrive_beyond(data, now));
    }

    /// Waits until there is room, of at least a byte; how much.
    pub(crate) async fn room(&mut self) -> Amount {
        let mut room = None;
        self.until(|pipe| {
            room = pipe.room();
            room.is_some()
        })
        .await;
        room.unwrap_or(Amount {
            bytes: 0,
            records: 0,
        })
    }

    /// What is lost is counted, and readers are told if they are to be.
    pub(crate) fn lose(&self, lost: Count) {
        self.change(|pipe, _| pipe.lose(lost));
    }

    /// Has poll(2) look again.
    pub(crate) fn touch(&self) {
        self.change(|_, _| ());
    }

    pub(crate) fn mode(&self) -> Mode {
        self.settings.mode
    }
}

/// One record.
pub(crate) fn count(data: &[u8]) -> Count {
    Count {
        bytes: data.len() as u64,
        records: 1,
    }
}
