//! fusd-serial-proxy as a user meets it: the real program, real nodes, and pseudo-terminals of socat(1)
//! for serial ports.

mod board;
mod gadget;
mod helper;
mod suite;

use fusd_tests::Backend;

/// What takes a device, on one backend.
macro_rules! suite {
    ($module:ident, $backend:expr) => {
        mod $module {
            use super::*;

            fusd_tests::cases! {
                $module, $backend;
                boards:
                    an_arduino_is_programmed,
                    an_esp_is_asked;
                elsewhere:
                    lines_of_a_port_elsewhere;
                hardware:
                    a_uart_is_joined_with_itself,
                    settings_reach_the_port_and_come_back,
                    a_port_that_is_lost_comes_back;
                kills:
                    a_killed_proxy_doubles_nothing,
                    a_killed_client_doubles_nothing,
                    a_killed_reader_troubles_no_other,
                    a_killed_port_doubles_nothing;
                lines:
                    a_null_modem_has_its_lines,
                    breaks_are_told_and_counted;
                megabyte:
                    it_arrives_over_a_null_modem,
                    it_arrives_from_a_port;
                people:
                    a_person_uses_picocom,
                    a_person_uses_minicom,
                    a_person_uses_tio,
                    a_person_uses_screen,
                    a_person_uses_cu;
                pyserial:
                    its_tests_pass;
                sharing:
                    a_slow_client_loses_its_own_alone,
                    clients_take_turns_to_write,
                    rights_are_kept,
                    a_lock_is_the_right_to_write,
                    one_byte_for_one_client;
                terminal:
                    it_is_a_terminal,
                    lines_are_edited_and_echoed,
                    reads_wait_as_they_are_told,
                    queues_are_counted_and_flushed;
                usb:
                    an_adapter_is_found_wherever_it_is;
            }
        }
    };
}

suite!(cuse, Backend::Cuse);
suite!(kfusd, Backend::Kfusd);

/// What a pseudo-terminal does for a node. FUSE is there on the host and in each guest, and is where
/// there is nothing else.
mod pseudo {
    use super::*;

    fusd_tests::cases! {
        pseudo, Backend::Fuse;
        boards:
            an_arduino_is_programmed,
            an_esp_is_asked;
        elsewhere:
            a_serial_port_elsewhere,
            bytes_from_elsewhere,
            nobody_elsewhere;
        kills:
            a_killed_proxy_doubles_nothing,
            a_killed_client_doubles_nothing,
            a_killed_port_doubles_nothing;
        megabyte:
            it_arrives_over_a_null_modem,
            it_arrives_from_a_port;
        monitor:
            it_shows_what_goes_through,
            the_terminal_is_given_back,
            a_terminal_that_goes_ends_it,
            a_terminal_that_takes_nothing_holds_up_nothing,
            it_needs_a_terminal_of_its_own;
        people:
            a_person_uses_picocom,
            a_person_uses_minicom,
            a_person_uses_tio,
            a_person_uses_screen,
            a_person_uses_cu;
        pseudo:
            it_stands_in_where_there_is_fuse_alone,
            a_killed_proxy_leaves_no_link,
            places_that_are_taken,
            it_is_not_the_proxy_s_own_terminal,
            it_can_control_a_session,
            two_are_joined,
            a_close_loses_nothing,
            a_port_is_locked_and_comes_back,
            what_goes_through_is_noted;
    }
}
