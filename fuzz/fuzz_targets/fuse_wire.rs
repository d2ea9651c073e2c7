//! The decoder of what /dev/fuse and /dev/cuse send.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fusd::fuzzing::request(bytes));
