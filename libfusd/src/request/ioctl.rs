//! ioctl(2).

use super::{Context, request};
use crate::backend::{Answer, Reach};
use crate::{Area, Delivery, Errno, IoctlArgument, IoctlCommand};

/// The most areas of memory that a call is given (`FUSE_IOCTL_MAX_IOV`).
const AREAS_MAX: usize = 256;

/// A client makes an ioctl. Its argument is a plain value, or a buffer which travels in, out, or
/// both ways: of the size that the command encodes, or that
/// [`Device::ioctl_argument`](crate::Device::ioctl_argument) tells.
pub struct IoctlRequest {
    context: Context,
    call: IoctlCall,
    input: Vec<u8>,
}

/// What an ioctl asks, without the bytes it hands in.
#[derive(Clone, Copy)]
pub(crate) struct IoctlCall {
    pub(crate) command: IoctlCommand,
    pub(crate) argument: u64,
    /// Bytes that the client has room for.
    pub(crate) output: u32,
    pub(crate) reach: Reach,
    pub(crate) caller_32_bit: bool,
}

request!(IoctlRequest);

impl IoctlRequest {
    pub(crate) fn new(context: Context, call: IoctlCall, input: Vec<u8>) -> Self {
        Self {
            context,
            call,
            input,
        }
    }

    /// The request, if it has come with the memory that `argument` tells of. Else it is answered:
    /// it comes again, or fails with `ENOTTY` where that memory cannot be had.
    pub(crate) fn complete(mut self, argument: IoctlArgument) -> Option<Self> {
        let (input, output) = (argument.input_len(), argument.output_len());
        match self.call.reach {
            // With what was asked for, here or by the device.
            Reach::Again => return Some(self),
            Reach::Number if self.input.len() >= input && self.output_len() >= output => {
                return Some(self);
            }
            Reach::Any | Reach::Input if argument == IoctlArgument::VALUE => return Some(self),
            Reach::Input if input == 0 => {
                self.call.output = argument.output;
                return Some(self);
            }
            Reach::Number | Reach::Any | Reach::Input => {}
        }
        let area = |length| {
            let address = self.call.argument;
            (length > 0).then_some(Area { address, length })
        };
        let (input, output) = (area(input), area(output));
        self.again_with(input.as_slice(), output.as_slice());
        None
    }

    /// Which ioctl it is.
    pub fn command(&self) -> IoctlCommand {
        self.call.command
    }

    /// The third argument of the call as the client gave it. Where it is an address, that is one
    /// in the client's memory, of use only for [`again_with`](Self::again_with).
    pub fn argument(&self) -> u64 {
        self.call.argument
    }

    /// Whether the client is a 32-bit program on a 64-bit kernel: pointers and longs in its
    /// structures have four bytes then.
    pub fn caller_is_32_bit(&self) -> bool {
        self.call.caller_32_bit
    }

    /// The bytes of the client's argument, where the command hands some in; after
    /// [`again_with`](Self::again_with), those of the areas it named, one after the other.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// Bytes the client has room for in its argument; 0 where the command takes none out.
    pub fn output_len(&self) -> usize {
        // Lossless: fusd runs on targets with at least 32 bits.
        self.call.output as usize
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
            let (given, room) = (output.len(), self.call.output);
            return self
                .context
                .refuse(format_args!("{given} bytes answer an ioctl of {room}"));
        }
        self.context.finish(Answer::Ioctl { result, output })
    }

    /// Has the call come again as a new request, with what is at `input` in the client's memory as
    /// its [`input`](Self::input), and `output` to be filled by its answer, both in this order.
    /// The argument itself is among them only if it is named. This is how to reach what the
    /// argument points to: for a pointer and a length, say, first the argument alone, then the
    /// argument and the memory.
    ///
    /// The client can change its memory between the two requests. So look at the argument anew in
    /// the second one, and make sure that the bytes which follow it are still those it asks for.
    ///
    /// At most 256 areas together, and at least one byte; 128 KiB each way, beyond which the client
    /// gets `ENOMEM`. An area that the client may not use is `EFAULT`. Takes
    /// [`Operations::ANY_IOCTL`](crate::Operations::ANY_IOCTL); where the backend knows only
    /// encoded numbers, the call fails with `ENOTTY`.
    pub fn again_with(self, input: &[Area], output: &[Area]) -> Delivery {
        let count = input.len() + output.len();
        if count > AREAS_MAX || input.iter().chain(output).all(|area| area.length == 0) {
            return self
                .context
                .refuse(format_args!("{count} areas are no memory to ask for"));
        }
        if self.call.reach == Reach::Number {
            return self.context.finish(Answer::Error(Errno::ENOTTY));
        }
        self.context.finish(Answer::Again { input, output })
    }
}
