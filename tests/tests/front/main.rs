//! fusd, the front door, as its users meet it: real drivers on every backend, ordinary users, and
//! namespaces.

mod helper;
mod suite;

use fusd_tests::Backend;

/// What is the same on each backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                doctor:
                    it_works;
                kill:
                    the_driver_ends_and_the_node_goes,
                    what_does_not_end_is_said_and_killed_by_force,
                    what_is_no_device_is_refused;
                list:
                    drivers_clients_and_counters;
                top:
                    devices_come_and_go_on_the_screen;
                trace:
                    calls_are_shown_while_somebody_traces,
                    another_takes_over_and_a_killed_one_leaves_nothing;
            }
        }
    };
}

/// What there is only where nodes are mounts, and where ordinary users can make them.
mod mounted {
    use super::*;

    fusd_tests::cases! {
        mounted, Backend::Fuse;
        doctor:
            no_backend_is_an_exit_status_with_advice;
        kill:
            a_user_cannot_end_what_is_roots;
        list:
            no_device_is_said,
            a_dead_mount_is_told_from_a_live_one,
            a_user_sees_his_own;
        run:
            a_device_is_there_for_the_command_alone,
            the_exit_status_is_the_commands,
            the_user_stays_the_same,
            what_is_left_running_ends_with_the_command,
            nothing_is_left_when_it_is_killed,
            signals_are_handed_on,
            a_usual_node_can_be_replaced_and_others_kept,
            what_cannot_be_started_is_told,
            a_driver_that_ends_before_the_command_is_told_of,
            devices_of_a_file_are_there_too,
            where_namespaces_are_not_permitted_it_says_what_to_do,
            pseudo_terminals_work;
        top:
            the_terminal_is_given_back_to_who_interrupts;
        trace:
            it_takes_the_right_to_look_into_the_driver;
        up:
            devices_come_up_once_and_go_down,
            a_device_that_fails_is_told_and_the_others_are_up,
            a_driver_that_was_killed_is_started_again,
            in_the_foreground_it_is_the_driver,
            faults_have_file_line_and_key;
    }
}

suite!(fuse, Backend::Fuse);
suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);
