//! Bodies about UDP.

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use std::io::ErrorKind::*;
use std::io::Result;

/// A socket on the server, and its port.
async fn server() -> Result<(UdpSocket, u16)> {
    let socket = on_server(UdpSocket::bind(ANY)).await?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

pub async fn datagrams() -> Result<()> {
    let (server, port) = server().await?;
    let client = UdpSocket::bind(ANY).await?;
    for text in ["one", "", "three"] {
        assert_eq!(client.send_to(text.as_bytes(), (HOST, port)).await?, text.len());
        let mut buf = [0; 16];
        let (n, from) = server.recv_from(&mut buf).await?;
        assert_eq!(&buf[..n], text.as_bytes());
        assert_eq!(from.port(), client.local_addr()?.port());
    }
    Ok(())
}

pub async fn cut_to_the_buffer() -> Result<()> {
    let (server, port) = server().await?;
    let client = UdpSocket::bind(ANY).await?;
    client.send_to(b"abcdef", (HOST, port)).await?;
    let mut buf = [0; 3];
    assert_eq!(server.recv_from(&mut buf).await?.0, 3);
    assert_eq!(server.try_recv_from(&mut buf).unwrap_err().kind(), WouldBlock, "the rest is gone");
    Ok(())
}

pub async fn too_large() -> Result<()> {
    let (server, port) = server().await?;
    let client = UdpSocket::bind(ANY).await?;
    let error = client.send_to(&[0; 65_508], (HOST, port)).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(90));
    client.send_to(&[0; 65_507], (HOST, port)).await?;
    assert_eq!(server.recv_from(&mut vec![0; 70_000]).await?.0, 65_507);
    Ok(())
}

pub async fn refused_when_connected() -> Result<()> {
    let (server, port) = server().await?;
    drop(server);
    let client = UdpSocket::bind(ANY).await?;
    client.connect((HOST, port)).await?;
    client.send(b"x").await?;
    assert_eq!(client.recv(&mut [0]).await.unwrap_err().kind(), ConnectionRefused);
    Ok(())
}

pub async fn only_the_peer_is_heard() -> Result<()> {
    let (server, port) = server().await?;
    let client = UdpSocket::bind(ANY).await?;
    client.connect((HOST, port)).await?;
    client.send(b"x").await?;
    let (_, from) = server.recv_from(&mut [0]).await?;
    let stranger = on_server(UdpSocket::bind(ANY)).await?;
    stranger.send_to(b"spam", from).await?;
    server.send_to(b"answer", from).await?;
    let mut buf = [0; 8];
    assert_eq!(client.recv(&mut buf).await?, 6);
    assert_eq!(&buf[..6], b"answer");
    Ok(())
}

pub async fn in_use() -> Result<()> {
    let (server, _) = server().await?;
    let address = server.local_addr()?;
    assert_eq!(on_server(UdpSocket::bind(address)).await.unwrap_err().kind(), AddrInUse);
    drop(server);
    on_server(UdpSocket::bind(address)).await?;
    Ok(())
}
