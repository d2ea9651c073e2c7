//! ioctl(2).

use super::{Context, request};
use crate::backend::Answer;
use crate::{Delivery, IoctlCommand};

/// A client makes an ioctl. Its argument is a plain value, or, where the command encodes a size,
/// a buffer of that size which travels in, out, or both ways.
pub struct IoctlRequest {
    context: Context,
    command: IoctlCommand,
    argument: u64,
    input: Vec<u8>,
    output: u32,
}

request!(IoctlRequest);

impl IoctlRequest {
    pub(crate) fn new(
        context: Context,
        command: IoctlCommand,
        argument: u64,
        input: Vec<u8>,
        output: u32,
    ) -> Self {
        Self {
            context,
            command,
            argument,
            input,
            output,
        }
    }

    /// Which ioctl it is.
    pub fn command(&self) -> IoctlCommand {
        self.command
    }

    /// The third argument of the call as the client gave it. For a command with a size that is an
    /// address in the client's memory, which means nothing here.
    pub fn argument(&self) -> u64 {
        self.argument
    }

    /// The bytes of the client's argument, where the command hands some in.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Bytes the client has room for in its argument; 0 where the command takes none out.
    pub fn output_len(&self) -> usize {
        // Lossless: fusd runs on targets with at least 32 bits.
        self.output as usize
    }

    /// Answers: the call returns `result` (not negative), and `output`, at most
    /// [`output_len`](Self::output_len) bytes, fills the argument's beginning.
    ///
    /// Anything else is a bug of the driver: the call fails with `EIO`.
    pub fn reply(self, result: i32, output: &[u8]) -> Delivery {
        if result < 0 {
            return self
                .context
                .refuse(format_args!("an ioctl cannot return {result}"));
        }
        if output.len() > self.output_len() {
            let (given, room) = (output.len(), self.output);
            return self
                .context
                .refuse(format_args!("{given} bytes answer an ioctl of {room}"));
        }
        self.context.finish(Answer::Ioctl { result, output })
    }
}
