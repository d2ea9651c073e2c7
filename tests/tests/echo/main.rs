//! fusd-echo as a user meets it: the real program, real nodes, and the programs people read with.

mod helper;
mod suite;

use fusd_tests::Backend;

/// The whole suite on one backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                command:
                    its_exit_status_is_the_tools,
                    it_finds_the_node_and_its_own_standard_files,
                    signals_end_both;
                content:
                    hello_world,
                    words_are_joined_and_newlines_are_optional,
                    escapes_are_those_of_echo,
                    files_are_served_as_they_are,
                    standard_input_is_read_to_its_end,
                    a_large_file_is_shared_by_its_readers,
                    names_go_to_dev;
                ending:
                    ctrl_c_and_sigterm_end_it_with_0,
                    killed_200_times_it_comes_back_at_once,
                    a_live_node_is_refused,
                    readiness_comes_when_the_node_is_there_and_not_before;
                exec:
                    the_command_knows_who_opened,
                    it_runs_once_per_open,
                    a_client_who_leaves_ends_the_command,
                    a_command_without_end_is_stopped_at_the_limit,
                    commands_of_many_readers_run_side_by_side;
                log:
                    text,
                    json,
                    without_v_calls_are_not_logged;
                policy:
                    writes_are_denied_by_default,
                    writes_can_be_discarded,
                    the_last_writer_replaces_the_text,
                    writes_can_be_appended,
                    max_size_is_a_limit;
                reading:
                    any_buffer_size,
                    sixty_four_readers,
                    usual_programs,
                    usual_programs_that_seek,
                    python_reads_and_maps_to_text,
                    mode_owner_and_group,
                    max_open,
                    repeat_never_ends,
                    lines_come_one_by_one;
                reload:
                    hangup_reloads,
                    a_failed_reload_keeps_the_old_text,
                    watch_reloads_by_itself;
            }
        }
    };
}

/// What the kernel module does by itself.
mod alone {
    use super::*;

    fusd_tests::cases! {
        alone, Backend::Kfusd;
        reading:
            readers_do_not_wake_it;
    }
}

/// What there is only where nodes are mounts, and where ordinary users can make them.
mod mounted {
    use super::*;

    fusd_tests::cases! {
        mounted, Backend::Fuse;
        ending:
            a_dead_mount_is_taken_over;
        user:
            by_name_in_the_runtime_directory,
            by_path_and_killed,
            a_users_dead_mount_is_taken_over,
            other_users_nodes_are_not_theirs;
    }
}

suite!(fuse, Backend::Fuse);
suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);
