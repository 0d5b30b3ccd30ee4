//! Bodies about TCP.

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use std::io::ErrorKind::*;
use std::io::Result;

/// A listener and both ends of a connection to it.
async fn pair() -> Result<(TcpListener, TcpStream, TcpStream)> {
    let listener = on_server(TcpListener::bind(ANY)).await?;
    let port = listener.local_addr()?.port();
    let client = TcpStream::connect((HOST, port)).await?;
    let (server, _) = listener.accept().await?;
    Ok((listener, client, server))
}

pub async fn refused() -> Result<()> {
    let listener = on_server(TcpListener::bind(ANY)).await?;
    let port = listener.local_addr()?.port();
    drop(listener);
    let refused = TcpStream::connect((HOST, port)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.raw_os_error()), (ConnectionRefused, Some(111)));
    Ok(())
}

pub async fn echo() -> Result<()> {
    let (_listener, mut client, mut server) = pair().await?;
    let echo = spawn(async move {
        let mut buf = [0; 1000];
        loop {
            match server.read(&mut buf).await? {
                0 => return Result::Ok(()),
                n => server.write_all(&buf[..n]).await?,
            }
        }
    });
    for size in [1, 10, 999, 5000] {
        let sent: Vec<u8> = (0..size).map(|i| i as u8).collect();
        client.write_all(&sent).await?;
        let mut back = vec![0; size];
        client.read_exact(&mut back).await?;
        assert_eq!(back, sent);
    }
    drop(client);
    echo.await.unwrap()
}

pub async fn half_close() -> Result<()> {
    let (_listener, mut client, mut server) = pair().await?;
    client.write_all(b"question").await?;
    client.shutdown().await?;
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), BrokenPipe);
    let mut text = String::new();
    server.read_to_string(&mut text).await?;
    server.write_all(b"answer").await?;
    drop(server);
    client.read_to_string(&mut text).await?;
    assert_eq!(text, "questionanswer");
    Ok(())
}

pub async fn end_of_stream() -> Result<()> {
    let (_listener, client, mut server) = pair().await?;
    drop(client);
    for _ in 0..3 {
        assert_eq!(server.read(&mut [0; 8]).await?, 0);
    }
    Ok(())
}

pub async fn reset() -> Result<()> {
    let (_listener, mut client, server) = pair().await?;
    client.write_all(b"never read").await?;
    server.readable().await?;
    drop(server);
    let reset = client.read(&mut [0]).await.unwrap_err();
    assert_eq!((reset.kind(), reset.raw_os_error()), (ConnectionReset, Some(104)));
    assert_eq!(client.read(&mut [0]).await?, 0, "the error is told once");
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), BrokenPipe);
    Ok(())
}

pub async fn reset_then_broken_pipe() -> Result<()> {
    let (_listener, mut client, server) = pair().await?;
    client.write_all(b"never read").await?;
    server.readable().await?;
    drop(server);
    client.readable().await?;
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), ConnectionReset);
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), BrokenPipe);
    Ok(())
}

pub async fn write_after_close() -> Result<()> {
    let (_listener, mut client, server) = pair().await?;
    drop(server);
    assert_eq!(client.read(&mut [0]).await?, 0);
    let error = loop {
        // The first write leaves; the answer to it is a reset.
        match client.write(b"x").await {
            Ok(_) => time::sleep(time::Duration::from_millis(1)).await,
            Err(e) => break e,
        }
    };
    assert_eq!(error.kind(), BrokenPipe);
    assert_eq!(client.read(&mut [0]).await?, 0);
    Ok(())
}

pub async fn drained_before_end() -> Result<()> {
    let (_listener, mut client, mut server) = pair().await?;
    let writing = spawn(async move { client.write_all(&vec![7; 3_000_000]).await });
    let mut all = Vec::new();
    server.read_to_end(&mut all).await?;
    assert_eq!(all.len(), 3_000_000);
    writing.await.unwrap()
}

pub async fn backpressure() -> Result<()> {
    let (_listener, mut client, mut server) = pair().await?;
    let piece = vec![7; 64 << 10];
    let mut written = 0;
    client.writable().await?;
    while let Ok(n) = client.try_write(&piece) {
        written += n;
        assert!(written < 64 << 20, "buffers are bounded");
    }
    let writing = spawn(async move { client.write_all(&piece).await });
    let mut all = Vec::new();
    server.read_to_end(&mut all).await?;
    // What the kernel moved on meanwhile may have made room for more of the last try.
    assert_eq!(all.len(), written + (64 << 10));
    writing.await.unwrap()
}

pub async fn partial_writes() -> Result<()> {
    let (_listener, client, mut server) = pair().await?;
    let huge = vec![7; 64 << 20];
    client.writable().await?;
    let n = client.try_write(&huge)?;
    assert!(n > 0 && n < huge.len(), "{n}");
    drop(client);
    let mut all = Vec::new();
    assert_eq!(server.read_to_end(&mut all).await?, n);
    Ok(())
}

pub async fn address_in_use() -> Result<()> {
    let listener = on_server(TcpListener::bind(ANY)).await?;
    let address = listener.local_addr()?;
    let taken = on_server(TcpListener::bind(address)).await.unwrap_err();
    assert_eq!((taken.kind(), taken.raw_os_error()), (AddrInUse, Some(98)));
    drop(listener);
    on_server(TcpListener::bind(address)).await?;
    Ok(())
}

pub async fn port_0() -> Result<()> {
    let first = on_server(TcpListener::bind(ANY)).await?;
    let second = on_server(TcpListener::bind(ANY)).await?;
    let ports = (first.local_addr()?.port(), second.local_addr()?.port());
    assert!(ports.0 != 0 && ports.1 != 0 && ports.0 != ports.1);
    Ok(())
}

pub async fn reuse_address() -> Result<()> {
    let (listener, client, server) = pair().await?;
    let address = listener.local_addr()?;
    drop(listener);
    let bind = |reuse: bool| {
        on_server(async move {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(reuse)?;
            socket.bind(address)?;
            socket.listen(1).map(drop)
        })
    };
    assert_eq!(bind(false).await.unwrap_err().kind(), AddrInUse, "a connection has the port");
    bind(true).await?;
    drop((client, server));
    Ok(())
}

pub async fn addresses() -> Result<()> {
    let (listener, client, server) = pair().await?;
    assert_eq!(client.peer_addr()?, server.local_addr()?);
    assert_eq!(client.local_addr()?, server.peer_addr()?);
    assert_eq!(server.local_addr()?.port(), listener.local_addr()?.port());
    let elsewhere = TcpListener::bind("192.0.2.1:0").await.unwrap_err();
    assert_eq!(elsewhere.kind(), AddrNotAvailable);
    Ok(())
}

pub async fn zero_linger() -> Result<()> {
    let (_listener, client, mut server) = pair().await?;
    client.set_zero_linger()?;
    drop(client);
    assert_eq!(server.read(&mut [0]).await.unwrap_err().kind(), ConnectionReset);
    Ok(())
}

pub async fn peek() -> Result<()> {
    let (_listener, mut client, mut server) = pair().await?;
    client.write_all(b"look").await?;
    let mut buf = [0; 8];
    while server.peek(&mut buf).await? < 4 {}
    assert_eq!(&buf[..4], b"look");
    assert_eq!(server.read(&mut buf).await?, 4, "it is still there");
    drop(client);
    assert_eq!(server.peek(&mut buf).await?, 0);
    Ok(())
}

pub async fn try_calls() -> Result<()> {
    let (_listener, mut client, server) = pair().await?;
    assert_eq!(server.try_read(&mut [0]).unwrap_err().kind(), WouldBlock);
    client.write_all(b"x").await?;
    server.readable().await?;
    assert_eq!(server.try_read(&mut [0; 4])?, 1);
    assert_eq!(server.try_read(&mut [0; 4]).unwrap_err().kind(), WouldBlock);
    Ok(())
}

pub async fn readiness() -> Result<()> {
    let (_listener, client, server) = pair().await?;
    server.writable().await?;
    drop(client);
    server.readable().await?;
    assert_eq!(server.try_read(&mut [0])?, 0);
    Ok(())
}

pub async fn halves_apart() -> Result<()> {
    let (_listener, client, mut server) = pair().await?;
    let (mut read, mut write) = client.into_split();
    write.write_all(b"ping").await?;
    drop(write);
    let mut text = String::new();
    server.read_to_string(&mut text).await?;
    server.write_all(b"pong").await?;
    drop(server);
    read.read_to_string(&mut text).await?;
    assert_eq!(text, "pingpong");
    Ok(())
}

pub async fn read_exact_at_the_end() -> Result<()> {
    let (_listener, mut client, mut server) = pair().await?;
    client.write_all(b"abc").await?;
    drop(client);
    assert_eq!(server.read_exact(&mut [0; 4]).await.unwrap_err().kind(), UnexpectedEof);
    Ok(())
}

pub async fn accept_waits_for_many() -> Result<()> {
    let listener = on_server(TcpListener::bind(ANY)).await?;
    let port = listener.local_addr()?.port();
    let clients: Vec<_> = (0..20u8)
        .map(|i| {
            spawn(async move {
                let mut stream = TcpStream::connect((HOST, port)).await?;
                stream.write_all(&[i]).await
            })
        })
        .collect();
    let mut seen = Vec::new();
    for _ in 0..20 {
        let mut byte = [0];
        listener.accept().await?.0.read_exact(&mut byte).await?;
        seen.push(byte[0]);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    for client in clients {
        client.await.unwrap()?;
    }
    Ok(())
}

pub async fn killed_peer_drains() -> Result<()> {
    let peer = peer::start().await;
    let mut client = TcpStream::connect((peer.host(), peer.port())).await?;
    client.readable().await?;
    peer.kill();
    let mut text = String::new();
    client.read_to_string(&mut text).await?;
    assert_eq!(text, "hello");
    Ok(())
}

pub async fn killed_peer_with_unread_data() -> Result<()> {
    let peer = peer::start().await;
    let mut client = TcpStream::connect((peer.host(), peer.port())).await?;
    client.write_all(b"never read").await?;
    client.read_exact(&mut [0; 5]).await?;
    // Time for what was written to arrive; on loopback it has.
    time::sleep(time::Duration::from_millis(20)).await;
    peer.kill();
    assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), ConnectionReset);
    Ok(())
}

pub async fn options() -> Result<()> {
    let (_listener, client, _server) = pair().await?;
    client.set_nodelay(true)?;
    assert!(client.nodelay()?);
    client.set_ttl(9)?;
    assert_eq!(client.ttl()?, 9);
    assert!(client.take_error()?.is_none());
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(10_000)?;
    assert_eq!(socket.recv_buffer_size()?, 20_000, "the kernel doubles it");
    Ok(())
}

/// No connection goes to several machines.
pub async fn one_to_one() -> Result<()> {
    for address in ["255.255.255.255:9", "224.0.0.1:9"] {
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), NetworkUnreachable, "{address}");
    }
    Ok(())
}
