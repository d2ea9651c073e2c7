//! Memory that clients map.

use fusd::{Access, Device, Errno, Memory, OpenRequest, Operations, Properties};

use crate::Control;
use crate::options::parse;

/// Each open may map memory: the device's own, or, with the word `each`, memory made for that open,
/// which begins with its number. Told: `put AT TEXT`, `get AT LENGTH`, of the device's own.
pub(crate) struct Shared {
    memory: Memory,
    length: usize,
    access: Access,
    each: bool,
}

impl Shared {
    /// `LENGTH`, `LENGTH,read-only` or `LENGTH,each`.
    pub(crate) fn new(argument: &str) -> Result<(Self, Control), String> {
        let (length, word) = argument.split_once(',').unwrap_or((argument, ""));
        let length = parse(length)?;
        let memory = Memory::new(length).map_err(|error| error.to_string())?;
        let told = memory.clone();
        let device = Self {
            memory,
            length,
            access: match word {
                "read-only" => Access::ReadOnly,
                _ => Access::ReadWrite,
            },
            each: word == "each",
        };
        let control = move |words: &[&str]| match words {
            ["put", at, text] => {
                let count = told.write(at.parse().ok()?, text.as_bytes());
                Some(count.to_string())
            }
            ["get", at, length] => {
                let mut text = vec![0; length.parse().ok()?];
                let count = told.read(at.parse().ok()?, &mut text);
                text.truncate(count);
                Some(String::from_utf8_lossy(&text).into_owned())
            }
            _ => None,
        };
        Ok((device, Box::new(control)))
    }

    /// What this open may map.
    fn memory(&self) -> fusd::Result<Memory> {
        if !self.each {
            return Ok(self.memory.clone());
        }
        let memory = Memory::new(self.length)?;
        let number = self.memory.bytes()[0].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        memory.write(0, number.to_string().as_bytes());
        Ok(memory)
    }
}

impl Device for Shared {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::default().operations(Operations::empty())
    }

    fn open(&self, request: OpenRequest<()>) {
        let offered = self
            .memory()
            .and_then(|memory| request.offer(&memory, self.access));
        match offered {
            Err(error) if error.errno() != Errno::EOPNOTSUPP => request.fail(error.errno()),
            _ => request.accept(()),
        };
    }
}
