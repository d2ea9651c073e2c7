//! fusd-prompt as a user meets it: the real program, real nodes, a person at a real terminal, and real
//! helpers.

mod helper;
mod person;
mod suite;

use fusd_tests::Backend;

/// What depends on how calls reach the tool, on one backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                deciding:
                    an_answer_is_for_one_open,
                    refusals_are_errors_of_open,
                    who_leaves_is_not_asked_about;
                terminal:
                    a_person_answers_and_refuses;
            }
        }
    };
}

suite!(fuse, Backend::Fuse);
suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);

/// What is between the tool and those it asks. FUSE is there on the host and in each guest.
mod asking {
    use super::*;

    fusd_tests::cases! {
        asking, Backend::Fuse;
        deciding:
            rules_count_in_their_order,
            a_program_is_the_file_that_its_path_means,
            answers_are_remembered,
            answers_are_forgotten_in_time,
            decisions_are_noted,
            writes_are_shown_or_approved,
            the_person_is_told,
            nobody_waits_for_itself,
            reads_are_asked_about;
        kinds:
            each_kind_is_answered_in_each_window,
            a_small_window_has_all_about_the_caller,
            pastes_and_wide_characters_are_taken,
            several_answers_make_one_content,
            writes_are_seen_before_they_are_approved,
            who_writes_waits_beside_others,
            an_editor_writes_long_answers,
            an_editor_is_stopped_with_the_job,
            a_killed_tool_leaves_no_editor_and_no_file;
        jobs:
            nothing_typed_gets_elsewhere,
            the_terminal_is_given_back_however_it_ends,
            a_command_does_not_get_the_answers,
            one_program_at_a_time_asks_at_a_terminal,
            it_stops_and_goes_on_like_any_job,
            in_the_background_it_leaves_the_terminal_alone,
            the_bell_rings_once_for_each,
            no_copy_of_a_secret_stays;
        tmux:
            a_terminal_that_goes_leaves_nothing,
            it_works_in_tmux;
        many:
            fifty_callers_of_whom_half_are_killed;
        others:
            a_project_has_an_env_file,
            pinentry_asks,
            systemd_ask_password_asks,
            what_is_typed_for_a_helper_is_for_no_other,
            a_helper_that_leaves_others_behind_ends_all_the_same;
    }
}
