//! A ring that the kernel module has.

use std::io;
use std::sync::{Arc, Mutex, Weak};

use crate::Errno;
use crate::backend::{Backend, NewRing, Rings};
use crate::sync::lock;

/// Bytes that are taken at a time at the end.
const CHUNK: usize = 64 << 10;

/// The driver's end of it.
pub(super) struct InKernel {
    backend: Weak<dyn Backend>,
    number: u64,
    /// The end is behind the bytes. Held while some are fed: what is said of the end goes along with them.
    ended: Mutex<bool>,
    /// Nobody takes what is written. Held while bytes are taken, likewise.
    shut: Mutex<bool>,
}

impl InKernel {
    /// One that is empty. `None`: the kernel of this backend has none, or not one more.
    pub(super) fn new(backend: &Arc<dyn Backend>, wanted: &NewRing<'_>) -> Option<Self> {
        let made = backend.rings()?.make(wanted);
        let number = made.inspect_err(|error| {
            tracing::debug!(%error, "the kernel does not take the ring: its calls come to the driver");
        });
        Some(Self {
            backend: Arc::downgrade(backend),
            number: number.ok()?,
            ended: Mutex::new(false),
            shut: Mutex::new(false),
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// # Errors
    /// `EAGAIN`: there is no room. `EPIPE`: there is no ring any more.
    pub(super) fn feed(&self, data: &[u8]) -> io::Result<usize> {
        self.with(|rings| {
            let mut ended = lock(&self.ended);
            if *ended {
                // It would stay if there is no room for all.
                rings.feed(self.number, &[], false)?;
                *ended = false;
            }
            rings.feed(self.number, data, false)
        })
    }

    /// # Errors
    /// `EAGAIN`: there is nothing. `EPIPE`: there is no ring any more.
    pub(super) fn take(&self, out: &mut [u8]) -> io::Result<usize> {
        self.with(|rings| {
            let shut = lock(&self.shut);
            rings.take(self.number, out, *shut).map(|taken| taken.bytes)
        })
    }

    /// All that is there. Nothing more is to come.
    pub(super) fn take_all(&self) -> Vec<u8> {
        self.set_shut(true);
        let (mut all, mut chunk) = (Vec::new(), vec![0; CHUNK]);
        while let Ok(count @ 1..) = self.take(&mut chunk) {
            all.extend_from_slice(&chunk[..count]);
        }
        all
    }

    /// How many bytes there are.
    pub(super) fn filled(&self) -> io::Result<usize> {
        self.with(|rings| {
            let shut = lock(&self.shut);
            rings
                .take(self.number, &mut [], *shut)
                .map(|taken| taken.filled)
        })
    }

    pub(super) fn set_ended(&self, on: bool) {
        let mut ended = lock(&self.ended);
        *ended = on;
        // Else there is no ring any more, whose end this would be.
        let _ = self.with(|rings| rings.feed(self.number, &[], on));
    }

    pub(super) fn set_shut(&self, on: bool) {
        let mut shut = lock(&self.shut);
        *shut = on;
        // As above.
        let _ = self.with(|rings| rings.take(self.number, &mut [], on));
    }

    pub(super) fn set_marks(&self, marks: (usize, usize)) {
        // As above.
        let _ = self.with(|rings| rings.set_marks(self.number, marks));
    }

    pub(super) fn abandon(&self) {
        // As above.
        let _ = self.with(|rings| rings.abandon(self.number));
    }

    fn with<T>(&self, call: impl FnOnce(&dyn Rings) -> io::Result<T>) -> io::Result<T> {
        let backend = self.backend.upgrade().ok_or(Errno::EPIPE)?;
        let rings = backend.rings().ok_or(Errno::EPIPE)?;
        call(rings).map_err(|error| match Errno::from(&error) {
            // The connection is cut: what stands for it knows of no such call.
            Errno::ENOTTY | Errno::ENOENT => Errno::EPIPE.into(),
            _ => error,
        })
    }
}
