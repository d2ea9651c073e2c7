//! fusd-http as a user meets it: the real program, real nodes, real servers, and one that does wrong.

mod helper;
mod programs;
mod server;
mod suite;

use fusd_tests::Backend;

/// What depends on how calls reach the tool, on one backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                reading:
                    a_page_is_read_like_a_file,
                    an_interrupted_open_cancels_its_request,
                    an_interrupted_read_cancels_its_request;
                live:
                    a_stream_is_read_as_it_comes;
                writing:
                    each_write_is_a_request,
                    each_line_is_a_request,
                    a_file_is_one_request,
                    writes_that_must_not_wait_are_told_later,
                    an_interrupted_write_is_not_sent_again;
            }
        }
    };
}

suite!(fuse, Backend::Fuse);
suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);

/// What is between the tool and servers. FUSE is there on the host and in each guest.
mod network {
    use super::*;

    fusd_tests::cases! {
        network, Backend::Fuse;
        faults:
            statuses_are_errnos,
            what_is_wrong_here_is_an_errno,
            servers_that_cannot_be_had_are_errnos,
            wrong_ranges_are_errors,
            a_broken_answer_goes_on_where_it_broke,
            a_truncated_page_is_an_error,
            busy_servers_are_asked_again,
            slow_servers_have_their_time,
            redirects_stay_within_bounds;
        live:
            a_closed_stream_is_closed_at_the_server,
            pictures_come_one_by_one,
            events_are_followed,
            slow_readers_stop_nobody_over_http_2;
        writing:
            requests_are_of_the_method_that_was_chosen,
            what_may_be_sent_again_is;
        closing:
            a_killed_writer_sends_nothing_whole,
            a_last_line_comes_after_those_before_it,
            a_last_line_waits_for_no_reading,
            whoever_only_inherits_a_file_may_be_killed,
            a_server_that_answers_early_hears_the_rest;
        versions:
            an_open_file_is_of_one_version,
            a_changed_page_can_be_reopened,
            a_page_without_ranges_is_of_one_version,
            a_page_of_unknown_length_goes_to_a_file_for_who_leaps,
            readers_share_what_they_have_read;
        keeping:
            a_page_is_used_for_a_time,
            an_old_page_is_better_than_none,
            a_page_that_is_polled_is_asked_for_by_nobody,
            one_value_of_a_page_is_served,
            the_progress_is_told_on_a_terminal;
        who:
            secrets_come_from_where_nobody_sees_them,
            a_command_is_asked_again_when_its_secret_is_refused,
            callers_ask_in_their_own_name,
            a_text_is_put_around_what_is_written,
            tls_has_its_own_certificates_and_http_2;
        real:
            python_gives_no_ranges,
            nginx_gives_what_curl_gets,
            nginx_asks_for_a_password_and_takes_its_time,
            nothing_leads_from_tls_to_where_others_listen,
            a_network_that_is_cut_is_no_end;
        proxies:
            servers_are_reached_by_sockets_and_proxies,
            names_are_looked_up_by_the_proxy,
            tls_goes_through_a_proxy;
        jumping:
            who_jumps_about_is_sent_what_is_read;
        pausing:
            who_pauses_goes_on_in_the_same_version;
        memory:
            parallel_readers_share_a_small_cache,
            readers_who_pause_share_a_small_cache,
            what_is_kept_waits_for_nobody;
        encodings:
            compressed_pages_are_decoded;
    }
}
