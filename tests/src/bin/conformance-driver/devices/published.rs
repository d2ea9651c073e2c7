//! A content that is published: reads need not come here.

use std::sync::{Arc, Mutex, PoisonError};

use fusd::{Device, OpenFile, OpenRequest, Operations, Properties};
use fusd_tests::pattern;

use crate::Control;
use crate::options::parse;

/// So many bytes of the [pattern], until it is told `set TEXT`: then those who open it from then on find
/// that. With the word `stream`, a stream; with `write-only`, without the operation that reads.
pub(crate) struct Published {
    content: Arc<Mutex<fusd::Published>>,
    properties: Properties,
}

impl Published {
    /// `LENGTH`, `LENGTH,stream` or `LENGTH,write-only`.
    pub(crate) fn new(argument: &str) -> Result<(Self, Control), String> {
        let (length, word) = argument.split_once(',').unwrap_or((argument, ""));
        let publish = |bytes: &[u8]| fusd::Published::new(bytes).map_err(|error| error.to_string());
        let first = publish(&pattern::bytes(0, parse(length)?))?;
        let content = Arc::new(Mutex::new(first));
        let told = Arc::clone(&content);
        let operations = match word {
            "write-only" => Operations::WRITE,
            _ => Operations::READ,
        };
        let properties = match word {
            "stream" => Properties::stream(),
            _ => Properties::default(),
        };
        let device = Self {
            content,
            properties: properties.operations(operations),
        };
        let control = move |words: &[&str]| match words {
            ["set", text] => {
                let new = publish(text.as_bytes()).ok()?;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = new;
                Some("set".into())
            }
            _ => None,
        };
        Ok((device, Box::new(control)))
    }

    fn content(&self) -> fusd::Published {
        let content = self.content.lock();
        content.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Device for Published {
    type File = ();

    fn properties(&self) -> Properties {
        self.properties
    }

    fn open(&self, request: OpenRequest<()>) {
        request.publish(&self.content());
        request.accept(());
    }

    fn size(&self, _: Option<&OpenFile<()>>) -> u64 {
        self.content().bytes().len() as u64
    }
}
