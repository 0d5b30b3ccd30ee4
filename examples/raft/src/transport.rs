//! Messages between servers, over UDP: Raft takes care of those that are lost, late, doubled or out of order, and a
//! checksum of those that are damaged on the way.

use crate::checksum;
use crate::consensus::{Message, ServerId};
use futures::FutureExt;
use sim::codec;
use sim::net::UdpSocket;
use std::io;
use std::net::SocketAddr;

/// Where servers hear each other.
pub const PORT: u16 = 7000;
/// The largest message, bytes.
const LARGEST: usize = 8 << 10;

/// The socket of one server.
#[derive(Debug)]
pub struct Transport {
    id: ServerId,
    socket: UdpSocket,
    peers: Vec<SocketAddr>,
    buffer: Vec<u8>,
}

impl Transport {
    /// Opens the socket of server `id`, to which the others are known by their addresses.
    ///
    /// # Errors
    /// Those of bind(2).
    pub async fn bind(id: ServerId, peers: Vec<SocketAddr>) -> io::Result<Self> {
        let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
        Ok(Transport { id, socket, peers, buffer: vec![0; LARGEST] })
    }

    /// Sends a message, if that is possible now.
    pub async fn send(&self, to: ServerId, message: &Message) {
        let Ok(body) = codec::encode(&(self.id, message)) else { return };
        if let Some(peer) = self.peers.get(usize::from(to)) {
            // Whoever is not there will not answer, and that is all there is to know.
            let _ = self.socket.send_to(&checksum::seal(&body), *peer).await;
        }
    }

    /// The next message.
    pub async fn receive(&mut self) -> (ServerId, Message) {
        loop {
            // An error is about an earlier message that found nobody.
            let Ok((size, _)) = self.socket.recv_from(&mut self.buffer).await else { continue };
            let body = checksum::open(&self.buffer[..size]);
            if let Some((from, message)) = body.and_then(|body| codec::decode(body).ok()) {
                return (from, message);
            }
        }
    }

    /// The next message, if it has come.
    pub fn received(&mut self) -> Option<(ServerId, Message)> {
        self.receive().now_or_never()
    }
}
