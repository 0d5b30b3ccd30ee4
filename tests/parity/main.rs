//! The same bodies against real sockets (tokio, loopback) and against the simulation. A body is written once, for the
//! names that both sides have; what passes on one side only is a lie of the simulator.

#![expect(clippy::duplicate_mod, reason = "each body is compiled for both sides")]

mod peer;
mod real;
mod simulated;

/// Whether an attempt at a lock got it.
fn got(tried: Result<(), std::fs::TryLockError>) -> std::io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Each body twice.
macro_rules! parity {
    ($($file:ident: $($body:ident)*;)*) => {
        $(mod $file {
            $(mod $body {
                #[test]
                fn real() {
                    crate::real::run(stringify!($file), crate::real::$file::$body());
                }
                #[test]
                fn simulated() {
                    crate::simulated::run(crate::simulated::$file::$body());
                }
            })*
        })*
    };
}

parity! {
    tcp: refused echo half_close end_of_stream reset reset_then_broken_pipe write_after_close drained_before_end backpressure
        partial_writes address_in_use port_0 reuse_address addresses zero_linger peek try_calls readiness halves_apart
        read_exact_at_the_end accept_waits_for_many killed_peer_drains killed_peer_with_unread_data options one_to_one;
    udp: datagrams cut_to_the_buffer too_large refused_when_connected only_the_peer_is_heard in_use peek buffers readiness
        refused_once refused_by_who_is_connected_to_another to_another_than_the_peer refused_by_another_than_the_peer
        port_0_is_nobodys broadcast_asks_for_permission multicast bad_options both_families;
    unix: echo a_file_outlives_its_listener no_path refused_where_nobody_listens addresses abstract_names paths_have_bounds
        written_before_it_is_accepted the_queue_of_a_listener_is_bounded not_accepted_is_reset half_close end_of_stream
        unread_data_resets_the_peer drained_before_end backpressure try_calls readiness halves_apart pairs
        wrong_types take_error datagrams datagrams_keep_their_bounds datagram_errors too_large_a_datagram
        a_slow_receiver_holds_senders_up a_receiver_that_closes_frees_senders pairs_of_datagrams a_peer_that_is_gone only_the_peer_is_heard
        a_peer_that_turns_away shutdown_of_datagrams sockets_before_use many_accept;
    files: write_and_read positions lengths append open_options names_that_are_wrong directories rename hard_links
        unlinked_files_live_on symbolic_links metadata clones_share_their_position syncs concurrent_tasks;
    open_files: options_in_all_combinations positional locks traits_of_tokio who_stops_waiting_has_read_nothing;
    dns: names_that_cannot_be text_that_is_no_address literals_need_no_names localhost every_address_is_tried
        the_last_error_counts nothing_to_try;
    clock: sleeps_end_in_the_order_of_their_deadlines time_passes_while_waiting a_sleep_is_reset
        timeouts_end_at_their_deadline missed_ticks intervals_are_reset;
    tasks: select join timeouts tokio_channels futures_channels notify_and_semaphore abort panics_are_errors;
}
