//! The devices, and how they are chosen.

mod blocking;
mod caller;
mod circle;
mod faulty;
mod gate;
mod ioctls;
mod ledger;
mod memory;
mod numbers;
mod pattern;
mod published;
mod refusing;
mod ring;
mod shared;
mod stream;
mod terminal;

pub(crate) use self::memory::Memory;
use crate::options::{Options, parse};

/// Serves the device that `choice` names: `NAME` or `NAME:ARGUMENT`.
pub(crate) fn serve(choice: &str, options: Options) -> Result<(), String> {
    let (name, argument) = choice.split_once(':').unwrap_or((choice, ""));
    match name {
        "blocking" => {
            let (device, control) = blocking::Blocking::new(argument);
            crate::serve(options, device, control)
        }
        "caller" => crate::serve(options, caller::WhoCalls, nothing()),
        "circle" => crate::serve(options, circle::Circle::new(argument), nothing()),
        "faulty" => {
            let (device, control) = faulty::Faulty::new();
            crate::serve(options, device, control)
        }
        "gate" => {
            let (device, control) = gate::Gate::new(argument.split(',').map(str::to_owned));
            crate::serve(options, device, control)
        }
        "ioctls" => crate::serve(options, ioctls::Ioctls, nothing()),
        "ledger" => crate::serve(options, ledger::Ledger::new(argument)?, nothing()),
        "memory" => crate::serve(options, Memory::default(), nothing()),
        "numbers" => {
            let (device, control) = numbers::Numbers::new();
            crate::serve(options, device, control)
        }
        "pattern" => crate::serve(options, pattern::Pattern::new(parse(argument)?), nothing()),
        "published" => {
            let (device, control) = published::Published::new(argument)?;
            crate::serve(options, device, control)
        }
        "refusing" => crate::serve(
            options,
            refusing::Refusing::new(parse(argument)?)?,
            nothing(),
        ),
        "ring" => {
            let (device, control) = ring::RingDevice::new(argument)?;
            crate::serve(options, device, control)
        }
        "shared" => {
            let (device, control) = shared::Shared::new(argument)?;
            crate::serve(options, device, control)
        }
        "stream" => {
            let (device, control) = stream::Stream::new(parse(argument)?);
            crate::serve(options, device, control)
        }
        "terminal" => crate::serve(options, terminal::Terminal::default(), nothing()),
        _ => Err(format!("no device {name:?}")),
    }
}

/// A device that understands nothing.
fn nothing() -> crate::Control {
    Box::new(|_| None)
}
