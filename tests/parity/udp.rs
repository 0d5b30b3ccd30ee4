//! Bodies about UDP.

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use std::io::ErrorKind::*;
use std::io::Result;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// The code of the operating system behind an error.
fn code<T: std::fmt::Debug>(result: Result<T>) -> i32 {
    result.expect_err("an error").raw_os_error().expect("a code")
}

pub async fn peek() -> Result<()> {
    let (server, port) = server().await?;
    let client = UdpSocket::bind(ANY).await?;
    let mut buf = [0; 8];
    assert_eq!(server.try_peek_sender().unwrap_err().kind(), WouldBlock);
    client.send_to(b"abcdef", (HOST, port)).await?;
    let from = server.peek_sender().await?;
    assert_eq!(from.port(), client.local_addr()?.port());
    assert_eq!(server.peek_from(&mut buf[..3]).await?, (3, from));
    assert_eq!(&buf[..3], b"abc");
    assert_eq!((server.peek(&mut buf).await?, server.try_peek(&mut buf)?), (6, 6));
    assert_eq!((server.try_peek_from(&mut buf)?, server.try_peek_sender()?), ((6, from), from));
    assert_eq!(server.recv_from(&mut buf).await?, (6, from));
    assert_eq!(server.try_peek(&mut buf).unwrap_err().kind(), WouldBlock);
    Ok(())
}

pub async fn buffers() -> Result<()> {
    let (server, port) = server().await?;
    let client = UdpSocket::bind(ANY).await?;
    let mut all = Vec::with_capacity(64);
    for text in ["one", "", "two"] {
        client.send_to(text.as_bytes(), (HOST, port)).await?;
        assert_eq!(server.recv_buf(&mut all).await?, text.len());
    }
    assert_eq!(all, b"onetwo");
    assert_eq!(server.try_recv_buf(&mut all).unwrap_err().kind(), WouldBlock);
    Ok(())
}

pub async fn readiness() -> Result<()> {
    let (server, port) = server().await?;
    server.writable().await?;
    let client = UdpSocket::bind(ANY).await?;
    client.connect((HOST, port)).await?;
    assert_eq!(client.peer_addr()?.port(), port);
    client.writable().await?;
    assert_eq!(client.try_send(b"x")?, 1);
    server.readable().await?;
    assert_eq!(server.try_recv(&mut [0; 4])?, 1);
    assert_eq!(server.try_recv(&mut [0; 4]).unwrap_err().kind(), WouldBlock);
    Ok(())
}

/// An error of an earlier send is told once.
pub async fn refused_once() -> Result<()> {
    let (server, port) = server().await?;
    let address = server.local_addr()?;
    drop(server);
    let client = UdpSocket::bind(ANY).await?;
    assert_eq!(code(client.send(b"x").await), 89, "EDESTADDRREQ");
    client.connect((HOST, port)).await?;
    client.send(b"x").await?;
    assert_eq!(client.recv(&mut [0; 4]).await.unwrap_err().kind(), ConnectionRefused);
    let server = on_server(UdpSocket::bind(address)).await?;
    client.send(b"y").await?;
    let mut buf = [0; 4];
    assert_eq!(server.recv(&mut buf).await?, 1);
    assert_eq!(buf[0], b'y');
    Ok(())
}

/// Nobody is there for strangers where a socket hears only its peer.
pub async fn refused_by_who_is_connected_to_another() -> Result<()> {
    let (server, port) = server().await?;
    let (peer, stranger) = (UdpSocket::bind(ANY).await?, UdpSocket::bind(ANY).await?);
    peer.send_to(b"x", (HOST, port)).await?;
    let mut buf = [0; 4];
    let (_, from) = server.recv_from(&mut buf).await?;
    server.connect(from).await?;
    stranger.connect((HOST, port)).await?;
    stranger.send(b"spam").await?;
    assert_eq!(stranger.recv(&mut buf).await.unwrap_err().kind(), ConnectionRefused);
    peer.send_to(b"y", (HOST, port)).await?;
    assert_eq!((server.recv(&mut buf).await?, buf[0]), (1, b'y'));
    assert_eq!(server.try_recv(&mut buf).unwrap_err().kind(), WouldBlock);
    Ok(())
}

pub async fn to_another_than_the_peer() -> Result<()> {
    let (one, port) = server().await?;
    let (two, other) = server().await?;
    let client = UdpSocket::bind(ANY).await?;
    client.connect((HOST, port)).await?;
    client.send_to(b"x", (HOST, other)).await?;
    assert_eq!(two.recv(&mut [0; 4]).await?, 1);
    client.connect((HOST, other)).await?;
    client.send(b"y").await?;
    assert_eq!(two.recv(&mut [0; 4]).await?, 1);
    assert_eq!(one.try_recv(&mut [0; 4]).unwrap_err().kind(), WouldBlock);
    Ok(())
}

/// What comes back of a datagram to somebody else than the peer is not for a connected socket.
pub async fn refused_by_another_than_the_peer() -> Result<()> {
    let (one, port) = server().await?;
    let (two, closed) = server().await?;
    drop(two);
    let client = UdpSocket::bind(ANY).await?;
    client.connect((HOST, port)).await?;
    client.send_to(b"x", (HOST, closed)).await?;
    client.send(b"y").await?;
    let mut buf = [0; 4];
    let (_, from) = one.recv_from(&mut buf).await?;
    one.send_to(b"z", from).await?;
    assert_eq!(client.recv(&mut buf).await?, 1, "the answer, and no error before it");
    assert!(client.take_error()?.is_none());
    Ok(())
}

pub async fn port_0_is_nobodys() -> Result<()> {
    let client = UdpSocket::bind(ANY).await?;
    assert_eq!(code(client.send_to(b"x", (HOST, 0)).await), 22, "EINVAL");
    Ok(())
}

pub async fn broadcast_asks_for_permission() -> Result<()> {
    let socket = UdpSocket::bind(ANY).await?;
    let everybody: SocketAddr = (Ipv4Addr::BROADCAST, 9).into();
    assert!(!socket.broadcast()?);
    assert_eq!(socket.send_to(b"x", everybody).await.unwrap_err().kind(), PermissionDenied);
    assert_eq!(socket.connect(everybody).await.unwrap_err().kind(), PermissionDenied);
    socket.set_broadcast(true)?;
    assert!(socket.broadcast()?);
    Ok(())
}

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 7);

/// Over loopback, since a machine need not have another interface.
pub async fn multicast() -> Result<()> {
    let member = UdpSocket::bind("0.0.0.0:0").await?;
    let port = member.local_addr()?.port();
    let sender = UdpSocket::bind("127.0.0.1:0").await?;
    if member.join_multicast_v4(GROUP, Ipv4Addr::LOCALHOST).is_err() {
        eprintln!("skipped: this machine has no multicast on loopback");
        return Ok(());
    }
    let mut buf = [0; 4];
    assert!(sender.multicast_loop_v4()? && sender.multicast_ttl_v4()? == 1);
    sender.send_to(b"one", (GROUP, port)).await?;
    let (n, from) = member.recv_from(&mut buf).await?;
    assert_eq!((&buf[..n], from), (&b"one"[..], sender.local_addr()?));
    // The option is about a copy beside what leaves; loopback brings back whatever leaves.
    sender.set_multicast_loop_v4(false)?;
    sender.send_to(b"two", (GROUP, port)).await?;
    let n = member.recv(&mut buf).await?;
    assert_eq!(&buf[..n], b"two");
    sender.set_multicast_loop_v4(true)?;
    sender.set_multicast_ttl_v4(0)?;
    sender.send_to(b"tri", (GROUP, port)).await?;
    let n = member.recv(&mut buf).await?;
    assert_eq!(&buf[..n], b"tri");
    member.leave_multicast_v4(GROUP, Ipv4Addr::LOCALHOST)?;
    sender.send_to(b"no", (GROUP, port)).await?;
    sender.send_to(b"yes", (Ipv4Addr::LOCALHOST, port)).await?;
    assert_eq!(member.recv(&mut buf).await?, 3);
    Ok(())
}

pub async fn bad_options() -> Result<()> {
    let socket = UdpSocket::bind(ANY).await?;
    assert_eq!((code(socket.set_ttl(0)), code(socket.set_ttl(256))), (22, 22));
    socket.set_ttl(3)?;
    assert_eq!(socket.ttl()?, 3);
    assert_eq!(code(socket.set_multicast_ttl_v4(256)), 22);
    let any = Ipv4Addr::LOCALHOST;
    assert_eq!(code(socket.join_multicast_v4(Ipv4Addr::new(10, 9, 8, 7), any)), 22, "EINVAL");
    assert_eq!(code(socket.join_multicast_v4(GROUP, Ipv4Addr::new(192, 0, 2, 77))), 19, "ENODEV");
    assert_eq!(code(socket.leave_multicast_v4(GROUP, any)), 99, "EADDRNOTAVAIL");
    if socket.join_multicast_v4(GROUP, any).is_ok() {
        assert_eq!(code(socket.join_multicast_v4(GROUP, any)), 98, "EADDRINUSE");
        for i in 1..20 {
            socket.join_multicast_v4(Ipv4Addr::new(239, 255, 78, i), any)?;
        }
        assert_eq!(code(socket.join_multicast_v4(Ipv4Addr::new(239, 255, 78, 77), any)), 105, "ENOBUFS");
    }
    let group: Ipv6Addr = "ff02::77".parse().unwrap();
    assert_eq!(
        (code(socket.join_multicast_v6(&group, 0)), code(socket.set_multicast_loop_v6(true))),
        (92, 92)
    );
    assert_eq!(code(socket.multicast_loop_v6()), 95, "EOPNOTSUPP from getsockopt(2)");
    Ok(())
}

pub async fn both_families() -> Result<()> {
    let Ok(server) = on_server(UdpSocket::bind("[::]:0")).await else {
        eprintln!("skipped: this machine has no IPv6");
        return Ok(());
    };
    let port = server.local_addr()?.port();
    let client = UdpSocket::bind(ANY).await?;
    client.send_to(b"x", (HOST, port)).await?;
    let (_, from) = server.recv_from(&mut [0; 4]).await?;
    let SocketAddr::V6(v6) = from else { panic!("{from} is not mapped") };
    assert!(v6.ip().to_ipv4_mapped().is_some());
    server.send_to(b"back", from).await?;
    let (n, back) = client.recv_from(&mut [0; 8]).await?;
    assert!(n == 4 && back.is_ipv4());
    let taken = on_server(UdpSocket::bind(("0.0.0.0", port))).await;
    assert_eq!(taken.unwrap_err().kind(), AddrInUse, "it has both");
    assert_eq!(code(client.send_to(b"x", (Ipv6Addr::LOCALHOST, 9)).await), 97, "EAFNOSUPPORT");
    Ok(())
}
