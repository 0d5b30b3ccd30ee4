//! hyper on simulated sockets (feature `hyper`): what hyper, hyper-util's pooled client, axum's `Router` and tonic's
//! services ask of their runtime, without tokio's.
//!
//! | what hyper asks for | what it is here |
//! | --- | --- |
//! | `rt::Read`, `rt::Write` | [`TcpStream`] and its halves, as they are |
//! | `rt::Executor` | [`SimExecutor`]: tasks of the process |
//! | `rt::Timer` | [`SimTimer`]: the node's clock |
//! | hyper-util's `Connect` | [`SimConnector`]: names and ports of the simulated network |
//! | `axum::serve` | [`serve`] |
//!
//! A client with a pool of connections is two lines:
//!
//! ```
//! # use sim_net::hyper::{SimConnector, SimExecutor, SimTimer};
//! # use hyper_util::client::legacy::Client;
//! # type Body = String;
//! let client: Client<_, Body> =
//!     Client::builder(SimExecutor::new()).timer(SimTimer::new()).pool_timer(SimTimer::new()).build(SimConnector::new());
//! ```

mod connector;
mod rt;
mod serve;

pub use connector::SimConnector;
pub use rt::{SimExecutor, SimSleep, SimTimer};
pub use serve::{Serve, serve};

#[allow(unused_imports, reason = "named in the documentation")]
use crate::TcpStream;
