//! TCP ports for servers of the tests, which may come and go.
//!
//! One that the system has chosen, it may give to anybody else as soon as it is free: to the server of
//! another test, or to the end of a connection.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// The ports to choose of, as far as they are below those of which the system chooses (ip(7)).
const FIRST: u16 = 20_000;
const END: u16 = 32_000;

/// What another process of tests is likely to be away from this one's.
const APART: u32 = 64;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Listens at a port that is no other test's, also when nobody listens there any more.
///
/// # Panics
/// There is none.
pub fn listen() -> TcpListener {
    let end = match first_of_the_system() {
        Some(first) if first > FIRST => first.min(END),
        // There are hardly any others then.
        _ => END,
    };
    let count = end - FIRST;
    let own = process::id().wrapping_mul(APART);
    for _ in 0..count {
        let number = own.wrapping_add(NUMBER.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from(number % u32::from(count)).expect("less than a u16");
        // Somebody else may listen there.
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, FIRST + offset)) {
            return listener;
        }
    }
    panic!("no port from {FIRST} to {end} is free");
}

/// Such a port, for a server that is yet to be started.
///
/// # Panics
/// There is none.
pub fn free() -> u16 {
    let address = listen().local_addr();
    address.expect("its number").port()
}

fn first_of_the_system() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}
