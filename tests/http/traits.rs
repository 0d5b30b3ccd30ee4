//! tokio's traits for reading and writing, and what stands on them.

use super::peers::Server;
use super::*;
use std::io::Result;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

async fn pair() -> Result<(TcpStream, TcpStream)> {
    let (listener, server) = Server::listen().await?;
    let client = server.connect().await?;
    Ok((client, listener.accept().await?.0))
}

/// Repeats lines until there are no more.
async fn shout(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        write.write_all(format!("{}!\n", line.to_uppercase()).as_bytes()).await?;
    }
    write.shutdown().await
}

pub async fn codec_of_tokio() -> Result<()> {
    let (client, server) = pair().await?;
    spawn(shout(server));
    let (mut read, mut write) = client.into_split();
    AsyncWriteExt::write_all(&mut write, b"hello\nagain\n").await?;
    AsyncWriteExt::shutdown(&mut write).await?;
    let mut text = String::new();
    AsyncReadExt::read_to_string(&mut read, &mut text).await?;
    assert_eq!(text, "HELLO!\nAGAIN!\n");
    Ok(())
}

/// A proxy between two connections.
pub async fn copy_both_ways() -> Result<()> {
    let (mut client, mut near) = pair().await?;
    let (mut far, server) = pair().await?;
    spawn(shout(server));
    let copied = spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    let sent = "lorem ipsum\n".repeat(20_000);
    let (mut read, mut write) = client.split();
    let mut text = String::new();
    let send = async {
        AsyncWriteExt::write_all(&mut write, sent.as_bytes()).await?;
        AsyncWriteExt::shutdown(&mut write).await
    };
    let (sent_all, read_all) = tokio::join!(send, AsyncReadExt::read_to_string(&mut read, &mut text));
    sent_all?;
    read_all?;
    assert_eq!(text, "LOREM IPSUM!\n".repeat(20_000));
    assert_eq!(copied.await??, (sent.len() as u64, text.len() as u64));
    Ok(())
}

/// Reads in pieces that are larger and smaller than what is there.
pub async fn halves_of_tokio() -> Result<()> {
    let (mut client, mut server) = pair().await?;
    let sent: Vec<u8> = (0..300_000u32).map(|i| (i / 3) as u8).collect();
    let expected = sent.clone();
    let sending = spawn(async move {
        let (_, mut write) = server.split();
        AsyncWriteExt::write_all(&mut write, &sent).await?;
        AsyncWriteExt::shutdown(&mut write).await
    });
    let (mut read, _) = client.split();
    let mut received = Vec::new();
    let mut small = [0; 10];
    AsyncReadExt::read_exact(&mut read, &mut small).await?;
    received.extend(small);
    AsyncReadExt::read_buf(&mut read, &mut received).await?;
    AsyncReadExt::read_to_end(&mut read, &mut received).await?;
    assert!(received == expected);
    sending.await?
}

/// Code that wraps its streams for hyper, as it must on tokio's.
pub async fn tokio_io() -> Result<()> {
    let (client, server) = pair().await?;
    wrapped(client, server).await
}

/// A request and its answer.
async fn wrapped<S: AsyncRead + AsyncWrite + Unpin + 'static>(client: S, server: S) -> Result<()> {
    use hyper_util::rt::TokioIo;
    spawn(async move {
        let service = hyper::service::service_fn(|_| async { peers::answer("wrapped") });
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service).await
    });
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(client));
    let (mut sender, connection) = handshake.await.unwrap();
    spawn(connection);
    let request = hyper::Request::get("/").header("host", HOST).body(peers::full("")).unwrap();
    assert_eq!(peers::text(sender.send_request(request).await.unwrap()).await?, "wrapped");
    Ok(())
}

pub async fn unix_streams() -> Result<()> {
    let (client, server) = UnixStream::pair()?;
    spawn(shout(server));
    let (mut read, mut write) = client.into_split();
    AsyncWriteExt::write_all(&mut write, b"hello\n").await?;
    drop(write);
    let mut text = String::new();
    AsyncReadExt::read_to_string(&mut read, &mut text).await?;
    assert_eq!(text, "HELLO!\n");

    let (client, server) = UnixStream::pair()?;
    wrapped(client, server).await
}
