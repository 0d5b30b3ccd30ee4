//! Typed requests and replies.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::codec;
use sim::net::{TcpListener, TcpStream};
use sim::time::{Duration, timeout, wall};
use std::io;
use std::marker::PhantomData;
use std::time::SystemTime;

/// A client.
pub struct Client<Q, A> {
    address: &'static str,
    types: PhantomData<(Q, A)>,
}

impl<Q: Serialize, A: DeserializeOwned> Client<Q, A> {
    pub fn new(address: &'static str) -> Self {
        Client { address, types: PhantomData }
    }
    pub async fn call(&self, request: &Q, within: Duration) -> io::Result<A> {
        let until = wall() + within;
        timeout(within, async {
            let mut stream = TcpStream::connect(self.address).await?;
            let bytes = codec::encode(&(until, request)).unwrap();
            stream.write_all(&[bytes.len() as u8]).await?;
            stream.write_all(&bytes).await?;
            let mut n = [0];
            stream.read_exact(&mut n).await?;
            let mut bytes = vec![0; n[0] as usize];
            stream.read_exact(&mut bytes).await?;
            Ok(codec::decode(&bytes).unwrap())
        })
        .await?
    }
}

pub async fn serve<Q, A, F, Fut>(port: u16, handler: F) -> io::Result<()>
where
    Q: DeserializeOwned + 'static,
    A: Serialize + 'static,
    F: Fn(Q) -> Fut + Clone + 'static,
    Fut: Future<Output = A> + 'static,
{
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let handler = handler.clone();
        sim::spawn(async move {
            let _: io::Result<()> = async {
                let mut n = [0];
                stream.read_exact(&mut n).await?;
                let mut bytes = vec![0; n[0] as usize];
                stream.read_exact(&mut bytes).await?;
                let (until, request): (SystemTime, Q) = codec::decode(&bytes).unwrap();
                if wall() >= until {
                    return Ok(());
                }
                let answer = codec::encode(&handler(request).await).unwrap();
                stream.write_all(&[answer.len() as u8]).await?;
                stream.write_all(&answer).await
            }
            .await;
        });
    }
}
