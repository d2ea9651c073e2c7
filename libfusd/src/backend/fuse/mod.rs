//! stub
use super::choice::Placement;
use super::*;
use crate::{Properties, Result};
use std::path::Path;
pub(crate) struct FuseFile;
impl FuseFile {
    pub(crate) fn mount(_: &Placement, _: &Properties) -> Result<Self> {
        Ok(FuseFile)
    }
}
impl Backend for FuseFile {
    fn kind(&self) -> BackendKind {
        BackendKind::Fuse
    }
    fn buffer_size(&self) -> usize {
        0
    }
    fn path(&self) -> &Path {
        Path::new("/")
    }
    fn receive(&self, _: &mut Buffer) -> io::Result<Incoming> {
        Ok(Incoming::Ended)
    }
    fn answer(&self, _: RequestId, _: Answer<'_>) -> io::Result<()> {
        Ok(())
    }
    fn wake_poll(&self, _: PollKey) {}
    fn nudge(&self) {}
    fn detach(&self) -> Result<()> {
        Ok(())
    }
    fn close(&self) {}
}
