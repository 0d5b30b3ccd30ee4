//! Halves of a TCP connection.

use super::TcpStream;
use super::connection::Connection;
use super::split::{half, halves, readable, writable};
use super::stream::Tcp;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

halves!(TcpStream, Tcp, SocketAddr);

macro_rules! peekable {
    ($t:ty) => {
        impl $t {
            /// Reads what is there, at least a byte, and leaves it there; 0 is the end of the stream. Cancel-safe.
            ///
            /// # Errors
            /// As `read`.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.whole().peek(buf).await
            }
        }
    };
}

peekable!(ReadHalf<'_>);
peekable!(OwnedReadHalf);
