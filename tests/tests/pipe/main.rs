//! fusd-pipe as a user meets it: the real program, real nodes, and the programs people use pipes with.

mod helper;
mod relay;
mod server;
mod soak;
mod suite;
mod terminal;

use fusd_tests::Backend;

/// The whole suite on one backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                accounting:
                    every_record_goes_to_one_reader,
                    every_record_goes_to_every_reader,
                    a_killed_reader_takes_one_read_at_most;
                fifo:
                    a_shell_writes_and_reads,
                    opens_do_not_hang,
                    opens_wait_for_their_peer_if_asked,
                    the_end_comes_after_the_last_writer,
                    a_large_write_waits_for_its_readers,
                    an_interrupted_write_tells_how_far_it_came,
                    nonblocking_calls_do_not_wait,
                    poll_tells_when,
                    the_number_of_bytes_can_be_asked;
                kinds:
                    a_broadcast_reaches_all,
                    a_slow_reader_holds_up_nobody,
                    a_ring_is_read_like_a_file,
                    tail_follows_a_ring;
                persist:
                    content_outlives_the_tool,
                    kills_lose_and_double_nothing,
                    journals_that_cannot_be_used,
                    a_write_that_the_disk_does_not_take_fails,
                    standard_input_waits_for_the_disk;
                policy:
                    full_pipes,
                    lines_stay_whole,
                    writers_are_named,
                    nobody_reads,
                    silence_ends_the_file,
                    the_rate_is_a_limit,
                    numbers_on_request;
                streams:
                    standard_input_is_one_more_writer,
                    standard_output_is_one_more_reader,
                    both_make_a_part_of_a_pipeline,
                    a_copy_has_all_that_was_kept;
            }
        }
    };
}

suite!(fuse, Backend::Fuse);
suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);

/// Joined by a server. One backend is enough: what another does with reads and writes is the suite's
/// business above, and nothing here depends on it. FUSE is there on the host and in each guest.
mod joined {
    use super::*;

    fusd_tests::cases! {
        joined, Backend::Fuse;
        nats:
            a_broadcast_reaches_readers_of_all_nodes,
            a_record_goes_to_one_reader_of_all_nodes,
            a_node_that_comes_later_has_what_the_stream_keeps,
            a_full_stream_drops_what_it_is_told_to,
            a_stream_outlives_its_server,
            a_queue_outlives_its_server,
            a_queue_keeps_its_order_over_a_cut,
            readers_that_come_and_go_keep_the_order,
            a_killed_server_does_not_fill_a_queue,
            a_server_that_has_lost_count_loses_no_record,
            a_server_that_is_away_is_no_secret,
            no_server_is_an_error_without_secrets;
    }
}
