//! Where a client and its server run: on processors of their own, if there are two.
//!
//! Left alone, the scheduler has them share one or not, and changes its mind.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// A processor for each side; the same one where there is only one.
pub(crate) struct Placement {
    client: CpuSet,
    server: CpuSet,
}

impl Placement {
    /// Looks which processors there are.
    pub(crate) fn look() -> anyhow::Result<Self> {
        let all = sched_getaffinity(Pid::from_raw(0))?;
        let usable = |cpu: &usize| all.is_set(*cpu).unwrap_or(false);
        let only = |cpu: Option<usize>| {
            let mut set = CpuSet::new();
            set.set(cpu.unwrap_or(0)).map(|()| set)
        };
        Ok(Self {
            client: only((0..CpuSet::count()).find(usable))?,
            server: only((0..CpuSet::count()).rev().find(usable))?,
        })
    }

    /// From here on, what the calling thread starts is a server.
    pub(crate) fn serve(&self) -> anyhow::Result<()> {
        Ok(sched_setaffinity(Pid::from_raw(0), &self.server)?)
    }

    /// From here on, the calling thread is a client.
    pub(crate) fn ask(&self) -> anyhow::Result<()> {
        Ok(sched_setaffinity(Pid::from_raw(0), &self.client)?)
    }
}
