//! The contract that clients rely on, row by row, on each backend. The bodies are in `suite/`; a
//! test's name begins with its row.

mod suite;

use fusd_tests::Backend;

/// The whole suite on one backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                node:
                    row1_the_node_has_its_mode_and_owner,
                    row1_the_mode_decides_who_may_open,
                    row1_mode_and_owner_can_be_changed,
                    row1_the_node_is_gone_however_the_driver_ends,
                    row1_signals_to_the_whole_group_leave_nothing,
                    row1_a_restart_takes_the_same_place_at_once,
                    row1_one_driver_serves_several_nodes,
                    row15_nothing_that_exists_is_touched,
                    row15_a_live_node_is_refused,
                    row15_a_missing_directory_is_named;
                ordinary:
                    row1_an_ordinary_user_makes_a_node,
                    row15_no_permission_is_said_before_anything_is_made;
                opening:
                    row2_the_driver_refuses_with_any_errno,
                    row2_even_enosys_refuses,
                    row2_no_driver_opens_the_device_of_another,
                    row2_every_open_is_released_once,
                    row2_copies_of_a_descriptor_are_one_file,
                    row2_files_of_killed_clients_are_released,
                    row2_a_file_that_nobody_got_is_released,
                    row2_the_limit_of_open_files_holds,
                    row2_flush_tells_of_each_close,
                    row2_a_close_waits_for_the_flush,
                    row2_open_flags_mean_what_they_say,
                    row2_descriptors_do_not_leak;
                reading:
                    row3_any_buffer_size_gives_the_same_bytes,
                    row3_pread_at_any_place,
                    row3_zero_length,
                    row3_seek,
                    row3_offsets_beyond_4_gib,
                    row3_read_into_parts_and_write_from_parts,
                    row3_large_writes_arrive_whole,
                    row3_append,
                    row3_truncate,
                    row3_streams_have_no_position,
                    row3_partial_results,
                    row3_a_large_read_takes_what_is_there;
                published:
                    row3_published_content_reads_like_any,
                    row3_published_content_is_that_of_the_open,
                    row3_a_stream_of_published_content_has_a_place_per_reader,
                    row3_published_content_needs_no_read_operation,
                    row10_published_content_ends_with_the_driver,
                    row13_readers_share_published_content,
                    kill_of_a_driver_with_readers_of_what_it_published;
                rings:
                    row3_a_ring_is_read_like_a_pipe,
                    row3_each_record_of_a_ring_goes_to_one_reader,
                    row3_what_is_written_to_a_ring_is_taken,
                    row3_a_ring_is_a_pipe_among_clients,
                    row4_a_full_ring_and_an_empty_one,
                    row5_polls_follow_a_ring,
                    row9_an_interrupted_write_to_a_ring_says_how_far_it_came,
                    row10_a_ring_that_is_shut_takes_nothing,
                    row10_rings_end_with_the_driver,
                    kill_of_a_driver_with_a_ring;
                nonblocking:
                    row4_at_open,
                    row4_set_later,
                    row4_beside_a_blocked_reader,
                    row4_beside_a_blocked_writer,
                    row4_append_beside_a_blocked_writer,
                    row4_truncate_beside_a_blocked_writer,
                    row4_beyond_the_end_beside_a_blocked_writer,
                    row4_stat_and_close_beside_blocked_calls;
                polling:
                    row5_the_first_poll_is_right,
                    row5_a_push_wakes,
                    row5_readiness_is_never_stale,
                    row5_select,
                    row5_epoll_level,
                    row5_epoll_edge,
                    row5_timeouts,
                    row5_timeouts_beside_a_stopped_driver,
                    row5_many_pollers;
                ioctl:
                    row6_both_ways,
                    row6_out_of_any_size,
                    row6_in_of_any_size,
                    row6_plain_values,
                    row6_short_answers_leave_the_rest,
                    row6_errors,
                    row6_enosys_is_no_word_on_other_ioctls,
                    row6_bad_addresses;
                any_ioctl:
                    row6_terminals,
                    row6_old_numbers,
                    row6_memory_behind_pointers;
                mapping:
                    row7_both_sides_see_what_the_other_writes,
                    row7_each_open_may_have_its_own,
                    row7_read_only_is_kept,
                    row7_a_reader_gets_no_write_access,
                    row7_length_and_offset_are_checked,
                    row7_without_an_offer_there_is_nothing_to_map,
                    row7_what_is_mapped_outlives_the_driver;
                signals:
                    row8_a_killed_client_is_gone_at_once,
                    row8_many_killed_clients,
                    row8_killed_while_the_handler_is_stuck,
                    row8_killed_while_the_driver_is_stopped,
                    row9_signals_interrupt_every_call,
                    row9_calls_begin_again,
                    row9_interrupted_reads_lose_nothing,
                    row13_interrupts_are_answered_when_all_workers_are_busy;
                ending:
                    row10_kill_ends_blocked_calls,
                    row10_stop_ends_blocked_calls,
                    row10_later_calls_fail,
                    row10_poll_tells_of_the_end,
                    row10_a_stuck_handler_does_not_hold_the_end_up;
                circles:
                    row11_a_driver_of_its_own_device_is_told,
                    row11_many_workers_that_all_wait_are_told,
                    row11_a_circle_of_drivers_is_told,
                    row11_free_workers_of_one_driver_are_of_no_use_to_another,
                    row13_a_handler_calls_its_own_device;
                restarting:
                    row14_calls_wait_for_the_next_driver,
                    row14_open_files_are_found_again,
                    row14_waiting_calls_go_to_the_next_driver,
                    row14_files_that_are_not_restored_fail_alone,
                    row14_nothing_fails_through_restarts_and_kills,
                    row14_after_the_limit_calls_fail,
                    row14_stopped_for_good_it_is_gone,
                    row14_another_kind_of_device_is_refused;
                callers:
                    row12_pid_uid_and_gid,
                    row12_every_call_has_its_caller;
                parallel:
                    row13_readers_by_the_dozen,
                    row13_calls_on_one_file_take_turns,
                    row13_files_are_served_in_parallel,
                    row13_workers_are_a_limit,
                    row13_writers_beside_readers;
                defaults:
                    row16_what_is_not_implemented_never_arrives,
                    row16_a_panic_fails_its_own_call_only,
                    row16_a_dropped_request_fails,
                    row16_impossible_answers_fail;
                kills:
                    kill_of_an_idle_driver,
                    kill_of_a_driver_during_open,
                    kill_of_a_driver_with_blocked_readers,
                    kill_of_a_driver_with_blocked_writers,
                    kill_of_a_driver_in_ioctls,
                    kill_of_a_driver_under_load,
                    kill_of_clients_in_every_state;
            }
        }
    };
}

suite!(fuse, Backend::Fuse);
suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);
