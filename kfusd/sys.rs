// SPDX-License-Identifier: GPL-2.0-only

//! What the kernel crate has no safe form for yet. All unsafe code of the module is below here,
//! and nothing here knows of devices or the protocol.

mod alarm;
mod anonymous;
mod buffer;
mod content;
mod event;
mod fasync;
mod fops;
mod line;
mod memory;
mod misc;
mod node;
mod pages;
mod region;
mod sleep;
mod task;
mod ticker;
mod ticks;
mod user;
mod wait;
mod worker;

pub(crate) use alarm::{ring_in, ring_now, Alarm, Ring};
pub(crate) use anonymous::NewFile;
pub(crate) use buffer::Buffer;
pub(crate) use content::Content;
pub(crate) use event::Event;
pub(crate) use fasync::AsyncList;
pub(crate) use fops::{FileOperations, PollTable, Table};
pub(crate) use line::Line;
pub(crate) use memory::{Memory, NewArea};
pub(crate) use misc::MiscNode;
pub(crate) use node::{nodes_left, path_exists, Class, Node};
pub(crate) use pages::{Lent, Pages};
pub(crate) use region::{Region, MINORS};
pub(crate) use sleep::{sleep, Sleeper};
pub(crate) use task::{current_pid, executing, exiting, Caller, Owner, Viewer};
pub(crate) use ticker::Ticker;
pub(crate) use ticks::Ticks;
pub(crate) use user::{
    bring_in_destination, bring_in_source, fill_from_iter, with_destination, with_source,
    Rewindable, Seek, TRIES,
};
pub(crate) use wait::{new_wait_queue, Mode, WaitQueue};
pub(crate) use worker::Worker;
