//! Typed requests and replies over one connection a peer.
//!
//! A request is a type with a reply and a name. A [`Client`] connects at its first call, shares the connection among
//! all calls, and connects again after it broke; a call that was under way then ends with [`Error::Disconnected`],
//! because whether it was carried out is not known. A [`Server`] has a handler for each type of request; several run
//! at once. Dropping a call tells the server, which drops its handler.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sim_core::{Config, run, time::sleep};
//! use sim_net::rpc::{Client, Request, Server};
//! use std::time::Duration;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Add(u32, u32);
//! impl Request for Add {
//!     type Reply = u32;
//!     const NAME: &'static str = "add";
//! }
//!
//! let outcome = run(Config::seed(1), |sim| async move {
//!     sim.node("adder").run(|| Server::new().on(|Add(a, b)| async move { a + b }).serve("0.0.0.0:80"));
//!     sleep(Duration::from_millis(1)).await;
//!     let adder = Client::new("adder:80");
//!     adder.call(Add(1, 2)).await
//! });
//! assert_eq!(outcome.result.unwrap().unwrap(), 3);
//! ```

mod client;
mod frame;
mod hook;
mod server;

pub use client::Client;
pub use hook::{Call, Fate, Hook, hook};
pub use server::Server;

pub(crate) use hook::forget_hooks;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sim_core::codec;
use std::fmt;
use std::io;

/// A type of request.
pub trait Request: Serialize + DeserializeOwned + 'static {
    /// What the server answers; a `Result` where the answer can be a refusal.
    type Reply: Serialize + DeserializeOwned + 'static;
    /// What it is called on the wire and in messages; unique among the requests of a server.
    const NAME: &'static str;
}

/// Why a call has no reply.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The deadline passed. Whether the request was carried out is not known.
    Timeout,
    /// The connection broke during the call. Whether the request was carried out is not known.
    Disconnected,
    /// No connection could be made: the request was not carried out.
    Io(io::Error),
    /// The request cannot be encoded, or the reply is not what this type says: caller and server disagree.
    Codec(codec::Error),
    /// The request is larger than a frame may be: it was not sent.
    TooLarge {
        /// The size of the frame.
        bytes: usize,
        /// How large it may be: [`Client::largest_frame`].
        limit: usize,
    },
    /// The server did not handle it.
    Remote(Refusal),
}

/// Why a server did not handle a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// It has no handler for this type.
    Unknown,
    /// The bytes are no request of this type.
    Malformed(String),
    /// The reply cannot be encoded, or is larger than a frame may be.
    NoReply(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Timeout => f.write_str("the deadline of the call passed"),
            Error::Disconnected => f.write_str("the connection broke during the call"),
            Error::Io(e) => write!(f, "no connection: {e}"),
            Error::Codec(e) => e.fmt(f),
            Error::TooLarge { bytes, limit } => {
                write!(f, "the request takes a frame of {bytes} bytes, of at most {limit}")
            }
            Error::Remote(Refusal::Unknown) => f.write_str("the server has no handler for this request"),
            Error::Remote(Refusal::Malformed(why)) => {
                write!(f, "the server could not read the request: {why}")
            }
            Error::Remote(Refusal::NoReply(why)) => write!(f, "the server could not send its reply: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(e) => Some(e),
            Error::Codec(e) => Some(e),
            _ => None,
        }
    }
}
