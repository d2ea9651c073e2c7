//! fusd-prompt: a device that asks the person.
//!
//! [`Args`] is the command line, [`Prompt`] the device. A call that needs an answer becomes a request on
//! the desk (`desk/`, without input or output), where whoever asks finds it: the person's terminal
//! (`ui/`) or a program (`helper/`). `requests.rs` is between them and the kernel's calls. An answer is
//! kept in locked memory alone (`secret/`); what is shown while it is typed is drawn as well.

#![deny(unsafe_code)]

mod answer_file;
mod args;
mod audit;
mod desk;
mod device;
mod helper;
mod notify;
mod process;
mod requests;
mod rules;
mod secret;
mod serve;
mod settings;
mod template;
mod text;
mod ui;
mod who;

pub use args::{Args, Echo, Kind, OnTimeout, OnWrite, Per, RememberBy};
pub use device::{OpenPrompt, Prompt};
pub use rules::Rules;

/// The command line as clap sees it: what the manual page and completions are made from.
pub fn command() -> clap::Command {
    <Args as clap::CommandFactory>::command()
}
