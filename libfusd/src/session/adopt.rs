//! How files come to a session, and what serves their calls in place of the device.

use std::io;
use std::sync::Arc;

use super::crew::Handed;
use super::engine::Engine;
use super::files::Recent;
use super::job::Job;
use crate::backend::{FileId, RingUse};
use crate::file::{Adopter, Known, Opening, Slot, Sources};
use crate::poll::Teller;
use crate::properties::Operations;
use crate::{Device, Errno, OpenFile, OpenFlags, PollEvents, Position, ring};

impl<D: Device> Adopter<D::File> for Engine<D> {
    fn adopt(
        &self,
        state: D::File,
        flags: OpenFlags,
        slot: Slot,
        known: Known,
        sources: Sources,
    ) -> OpenFile<D::File> {
        let teller = Teller::new(&self.link.backend);
        self.files.add(state, flags, slot, &known, sources, teller)
    }

    fn attach(
        &self,
        opening: Option<Opening>,
        ring: &Arc<ring::Shared>,
        wanted: RingUse,
    ) -> io::Result<()> {
        let operation = match wanted {
            RingUse::Reads => Operations::READ,
            RingUse::Writes => Operations::WRITE,
        };
        // Else the kernel would not let the calls through that the session is to serve.
        if self.properties.position != Position::Stream || !self.implements(operation) {
            return Err(Errno::EINVAL.into());
        }
        let shared = opening.is_some_and(|opening| !opening.traced);
        let Some(number) = self.link.join(ring, wanted, shared)? else {
            return Ok(());
        };
        match (opening, self.link.backend.rings()) {
            (Some(opening), Some(rings)) => rings.attach(opening.id, number, wanted),
            _ => Err(Errno::EBUSY.into()),
        }
    }

    fn lose(&self, file: FileId, errno: Errno) {
        self.files.lose(file, errno);
        // Who waits for it is not to wait for ever.
        let backend = &self.link.backend;
        backend.push_readiness(file, PollEvents::ERROR | PollEvents::HANG_UP);
    }

    fn abandon(&self, file: FileId) {
        // On another thread: the caller may hold locks that the device's release takes.
        let Some(task) = self.queue(Job::Abandoned(file), &mut Recent::default()) else {
            return;
        };
        match self.crew.hand_over(task) {
            // Where a new thread would be needed, the watcher sees to it.
            Handed::Recruit => self.crew.dismiss(),
            Handed::Alone(task) => self.run_apart(task),
            Handed::Over => {}
        }
    }
}
