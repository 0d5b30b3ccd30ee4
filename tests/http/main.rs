//! hyper, hyper-util's pooled client, axum and tonic: the same bodies on real sockets (tokio, loopback) and on simulated
//! ones, without a runtime of tokio's. What only a simulation can do is in `faults`.

#![expect(clippy::duplicate_mod, reason = "each body is compiled for both sides")]

mod faults;
mod real;
mod simulated;

/// Each body twice.
macro_rules! parity {
    ($($file:ident: $($body:ident)*;)*) => {
        $(mod $file {
            $(mod $body {
                #[test]
                fn real() {
                    crate::real::run(crate::real::$file::$body());
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
    h1: keep_alive connection_close chunked_both_ways upgrade cancelled_request dropped_connection
        incomplete_body reset_in_a_body;
    h2: multiplexing flow_control cancelled_stream echo_of_a_large_body reset_in_a_body;
    pool: reuses_connections opens_as_many_as_needed replaces_a_dead_one refused one_connection_with_h2
        reset_in_a_body;
    axum: routes streams graceful_shutdown upgrade;
    tonic: unary status streaming many_calls_share_a_connection;
    traits: codec_of_tokio copy_both_ways halves_of_tokio tokio_io unix_streams;
}
