//! The C library as C programs meet it: the examples, drivers in the manner of 2003, and one that
//! does what it must not; compiled, and served by each backend.

mod abi;
mod compile;
mod ended;
mod helper;
mod install;
mod python;
mod suite;
mod tools;

use fusd_tests::Backend;

/// The whole suite on one backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                examples:
                    hello_says_hello,
                    greetings_are_for_the_caller,
                    echo_gives_back_what_it_got,
                    the_calculator_calculates,
                    the_log_ring_blocks_and_wakes,
                    a_counter_is_shared;
                old:
                    a_pager_of_2003,
                    interrupted_calls_are_unblocked,
                    two_devices_and_two_threads,
                    threads_share_what_comes_later,
                    memory_of_the_driver_is_mapped;
                bad:
                    sins_are_errors,
                    a_full_log_does_no_harm,
                    a_crash_leaves_nothing,
                    exceptions_pass_through;
                modern:
                    a_modern_driver,
                    a_callback_outlives_its_device,
                    an_open_outlives_its_device,
                    a_table_of_an_older_size;
                python:
                    hello_in_eight_lines,
                    a_sensor_that_does_not_exist,
                    calls_that_are_answered_later,
                    coroutines,
                    sins_in_python_are_errors;
            }
        }
    };
}

suite!(fuse, Backend::Fuse);
suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);
