//! One pipe on several machines: nodes that are joined through a NATS server.
//!
//! Every tool that is given the same server and subject is an end of the same pipe. A message on the
//! subject is one record, or, of a stream of bytes, what one write wrote. What clients write here
//! goes to the server and nowhere else ([`outgoing`], [`publisher`]); what their readers get comes
//! from there, this machine's own content included, so that all nodes see the same.
//!
//! | | without a stream ([`core`]) | with one ([`stream`]) |
//! |---|---|---|
//! | a write is answered | when the message is on its way to the server | when the stream has it |
//! | while the server is away | `--full`: waits, fails, or is dropped | the same |
//! | sent twice after an outage | never; it may be lost | with the same id, so kept once |
//! | broadcast, ring ([`follow`]) | what comes while the node is there, in each writer's order | from the stream, by number: one order for all, and nothing twice |
//! | fifo ([`work`]) | a queue group, of which a node is a part while it has readers | a consumer that all nodes share; acknowledged when a reader has it |
//! | a full node | drops what comes | fetches no more |
//!
//! A server that is killed forgets something, and what it had sent may not have arrived. What the nodes
//! of a fifo do about that is in [`recovery`], [`leftovers`] and [`counting`].
//!
//! All of it runs on one thread ([`thread`]), which changes the pipe as clients do, by
//! [`PipeDevice::change`](crate::PipeDevice). The pipe tells it of changes through the bell.

mod acks;
mod address;
mod args;
mod connection;
mod consumer;
mod core;
mod counting;
mod cutter;
mod follow;
mod held;
mod leftovers;
mod link;
mod local;
mod outgoing;
mod publisher;
mod pull;
mod recovery;
mod seen;
mod stream;
mod thread;
mod work;

pub use args::NatsArgs;
pub(crate) use args::{Away, Options};
pub(crate) use link::Link;
