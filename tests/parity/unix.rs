//! Bodies about Unix sockets.

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use std::io::ErrorKind::*;
use std::io::Result;
use std::net::Shutdown;

const EPERM: Option<i32> = Some(1);
const EMSGSIZE: Option<i32> = Some(90);
const EPROTOTYPE: Option<i32> = Some(91);

/// A listener and both ends of a connection to it.
async fn connected(folder: &Folder) -> Result<(UnixListener, UnixStream, UnixStream)> {
    let listener = UnixListener::bind(folder.path("listener"))?;
    let client = UnixStream::connect(folder.path("listener")).await?;
    let (server, _) = listener.accept().await?;
    Ok((listener, client, server))
}

pub async fn echo() -> Result<()> {
    let folder = folder();
    let (_listener, mut client, mut server) = connected(&folder).await?;
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

pub async fn a_file_outlives_its_listener() -> Result<()> {
    let folder = folder();
    let path = folder.path("a");
    let listener = UnixListener::bind(&path)?;
    assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), AddrInUse);
    drop(listener);
    assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), AddrInUse);
    assert_eq!(UnixDatagram::bind(&path).unwrap_err().kind(), AddrInUse);
    assert_eq!(UnixStream::connect(&path).await.unwrap_err().kind(), ConnectionRefused);
    unlink(&path)?;
    assert_eq!(unlink(&path).unwrap_err().kind(), NotFound);
    assert_eq!(UnixStream::connect(&path).await.unwrap_err().kind(), NotFound);
    let first = UnixListener::bind(&path)?;
    // Unlinked while it listens: the next one has the path, and the end of the first does not take it away.
    unlink(&path)?;
    let second = UnixListener::bind(&path)?;
    drop(first);
    let _client = UnixStream::connect(&path).await?;
    second.accept().await?;
    Ok(())
}

pub async fn no_path() -> Result<()> {
    let folder = folder();
    let error = UnixStream::connect(folder.path("nothing")).await.unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (NotFound, Some(2)));
    let socket = UnixDatagram::unbound()?;
    assert_eq!(socket.connect(folder.path("nothing")).unwrap_err().kind(), NotFound);
    assert_eq!(socket.send_to(b"x", folder.path("nothing")).await.unwrap_err().kind(), NotFound);
    Ok(())
}

pub async fn refused_where_nobody_listens() -> Result<()> {
    let folder = folder();
    let socket = UnixSocket::new_stream()?;
    socket.bind(folder.path("bound"))?;
    let error = UnixStream::connect(folder.path("bound")).await.unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ConnectionRefused, Some(111)));
    assert_eq!(UnixStream::connect("\0sim parity nobody").await.unwrap_err().kind(), ConnectionRefused);
    Ok(())
}

pub async fn addresses() -> Result<()> {
    let folder = folder();
    let path = folder.path("listener");
    let (listener, client, server) = connected(&folder).await?;
    assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
    assert_eq!(server.local_addr()?.as_pathname(), Some(&*path));
    assert!(client.local_addr()?.is_unnamed() && server.peer_addr()?.is_unnamed());
    assert_eq!(format!("{:?}", listener.local_addr()?), format!("{path:?} (pathname)"));
    assert_eq!(format!("{:?}", client.local_addr()?), "(unnamed)");
    drop(server);
    assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path), "it stays");
    let named = UnixSocket::new_stream()?;
    named.bind(folder.path("client"))?;
    let client = named.connect(&path).await?;
    let (server, from) = listener.accept().await?;
    assert_eq!(from.as_pathname(), Some(&*folder.path("client")));
    assert_eq!(server.peer_addr()?.as_pathname(), client.local_addr()?.as_pathname());
    assert_eq!(UnixStream::connect(folder.path("client")).await.unwrap_err().kind(), ConnectionRefused);
    let again = UnixStream::connect_addr(&listener.local_addr()?).await?;
    assert_eq!(again.peer_addr()?.as_pathname(), Some(&*path));
    Ok(())
}

pub async fn abstract_names() -> Result<()> {
    let name = "\0sim parity abstract";
    let listener = UnixListener::bind(name)?;
    assert_eq!(listener.local_addr()?.as_abstract_name(), Some(&name.as_bytes()[1..]));
    assert_eq!(format!("{:?}", listener.local_addr()?), "\"sim parity abstract\" (abstract)");
    assert_eq!(UnixListener::bind(name).unwrap_err().kind(), AddrInUse);
    let _client = UnixStream::connect(name).await?;
    drop(listener);
    assert_eq!(UnixStream::connect(name).await.unwrap_err().kind(), ConnectionRefused);
    UnixListener::bind(name)?;
    // Who asks for no name gets an abstract one.
    let any = UnixListener::bind("")?.local_addr()?;
    assert_eq!(any.as_abstract_name().map(<[u8]>::len), Some(5));
    assert_eq!(UnixStream::connect("").await.unwrap_err().kind(), InvalidInput);
    Ok(())
}

pub async fn paths_have_bounds() -> Result<()> {
    let path = |n: usize| format!("/{}", "x".repeat(n - 1));
    assert_eq!(UnixStream::connect(path(107)).await.unwrap_err().kind(), NotFound);
    let error = UnixStream::connect(path(108)).await.unwrap_err();
    assert_eq!((error.kind(), &*error.to_string()), (InvalidInput, "path must be shorter than SUN_LEN"));
    let error = UnixListener::bind("a\0b").unwrap_err();
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (InvalidInput, "paths must not contain interior null bytes")
    );
    let error = UnixListener::bind(format!("\0{}", "x".repeat(108))).unwrap_err();
    assert_eq!(error.to_string(), "abstract socket name must be shorter than SUN_LEN");
    assert_eq!(UnixDatagram::bind("\0abstract").unwrap_err().kind(), InvalidInput);
    Ok(())
}

pub async fn written_before_it_is_accepted() -> Result<()> {
    let folder = folder();
    let listener = UnixListener::bind(folder.path("a"))?;
    let mut client = UnixStream::connect(folder.path("a")).await?;
    client.write_all(b"early").await?;
    drop(client);
    let mut text = String::new();
    listener.accept().await?.0.read_to_string(&mut text).await?;
    assert_eq!(text, "early");
    Ok(())
}

pub async fn the_queue_of_a_listener_is_bounded() -> Result<()> {
    let folder = folder();
    let socket = UnixSocket::new_stream()?;
    socket.bind(folder.path("a"))?;
    let listener = socket.listen(2)?;
    let mut clients = Vec::new();
    let full = loop {
        match UnixStream::connect(folder.path("a")).await {
            Ok(client) => clients.push(client),
            Err(e) => break e,
        }
    };
    assert_eq!((full.kind(), clients.len()), (WouldBlock, 3));
    listener.accept().await?;
    clients.push(UnixStream::connect(folder.path("a")).await?);
    // Who gave up still takes a place.
    drop(clients.pop());
    assert_eq!(UnixStream::connect(folder.path("a")).await.unwrap_err().kind(), WouldBlock);
    Ok(())
}

pub async fn not_accepted_is_reset() -> Result<()> {
    let folder = folder();
    let listener = UnixListener::bind(folder.path("a"))?;
    let mut client = UnixStream::connect(folder.path("a")).await?;
    drop(listener);
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), BrokenPipe);
    assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), ConnectionReset);
    assert_eq!(client.read(&mut [0]).await?, 0);
    Ok(())
}

pub async fn half_close() -> Result<()> {
    let folder = folder();
    let (_listener, mut client, mut server) = connected(&folder).await?;
    client.write_all(b"question").await?;
    client.shutdown().await?;
    client.shutdown().await?;
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), BrokenPipe);
    let mut text = String::new();
    server.read_to_string(&mut text).await?;
    server.write_all(b"answer").await?;
    drop(server);
    client.read_to_string(&mut text).await?;
    assert_eq!(text, "questionanswer");
    client.shutdown().await
}

pub async fn end_of_stream() -> Result<()> {
    let folder = folder();
    let (_listener, client, mut server) = connected(&folder).await?;
    drop(client);
    for _ in 0..3 {
        assert_eq!(server.read(&mut [0; 8]).await?, 0);
    }
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), BrokenPipe);
    assert_eq!(server.read_exact(&mut [0; 8]).await.unwrap_err().kind(), UnexpectedEof);
    Ok(())
}

pub async fn unread_data_resets_the_peer() -> Result<()> {
    let folder = folder();
    let (_listener, mut client, mut server) = connected(&folder).await?;
    client.write_all(b"never read").await?;
    server.write_all(b"answer").await?;
    drop(server);
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), BrokenPipe);
    let mut answer = [0; 9];
    assert_eq!(client.read(&mut answer).await?, 6, "what was written before comes first");
    let reset = client.read(&mut answer).await.unwrap_err();
    assert_eq!((reset.kind(), reset.raw_os_error()), (ConnectionReset, Some(104)));
    assert_eq!(client.read(&mut answer).await?, 0, "the error is told once");
    Ok(())
}

pub async fn drained_before_end() -> Result<()> {
    let folder = folder();
    let (_listener, mut client, mut server) = connected(&folder).await?;
    server.write_all(&[7; 100_000]).await?;
    drop(server);
    let mut all = Vec::new();
    client.read_to_end(&mut all).await?;
    assert_eq!(all, [7; 100_000]);
    Ok(())
}

pub async fn backpressure() -> Result<()> {
    let (mut left, mut right) = UnixStream::pair()?;
    let mut written = 0;
    loop {
        match left.try_write(&[1; 10_000]) {
            Ok(n) => written += n,
            Err(e) if e.kind() == WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    assert!((150_000..300_000).contains(&written), "{written}");
    let writer = spawn(async move {
        left.write_all(&[2; 500_000]).await?;
        left.shutdown().await?;
        Result::Ok(left)
    });
    let mut all = Vec::new();
    right.read_to_end(&mut all).await?;
    assert_eq!(all.len(), written + 500_000);
    assert!(all[..written].iter().all(|&b| b == 1) && all[written..].iter().all(|&b| b == 2));
    writer.await.unwrap()?;
    Ok(())
}

pub async fn try_calls() -> Result<()> {
    let (left, right) = UnixStream::pair()?;
    assert_eq!(right.try_read(&mut [0]).unwrap_err().kind(), WouldBlock);
    left.writable().await?;
    assert_eq!(left.try_write(b"abc")?, 3);
    right.readable().await?;
    let mut buf = [0; 2];
    assert_eq!((right.try_read(&mut buf)?, &buf), (2, b"ab"));
    assert_eq!((right.try_read(&mut buf)?, buf[0]), (1, b'c'));
    Ok(())
}

pub async fn readiness() -> Result<()> {
    let (left, right) = UnixStream::pair()?;
    let writer = spawn(async move {
        right.writable().await?;
        right.try_write(b"x")?;
        Result::Ok(right)
    });
    left.readable().await?;
    let right = writer.await.unwrap()?;
    assert_eq!(left.try_read(&mut [0; 4])?, 1);
    drop(right);
    left.readable().await?;
    assert_eq!(left.try_read(&mut [0; 4])?, 0);
    left.writable().await?;
    assert_eq!(left.try_write(b"x").unwrap_err().kind(), BrokenPipe);
    Ok(())
}

pub async fn halves_apart() -> Result<()> {
    let (mut left, right) = UnixStream::pair()?;
    let (mut read, mut write) = right.into_split();
    let echo = spawn(async move {
        let mut buf = [0; 5];
        read.read_exact(&mut buf).await?;
        write.write_all(&buf).await?;
        // Shuts the direction down; the other one lives on.
        drop(write);
        let rest = read.read(&mut buf).await?;
        Result::Ok((read, rest))
    });
    {
        let (mut read, mut write) = left.split();
        write.write_all(b"hello").await?;
        let mut text = String::new();
        read.read_to_string(&mut text).await?;
        assert_eq!(text, "hello");
        write.write_all(b"bye").await?;
    }
    let (read, rest) = echo.await.unwrap()?;
    assert_eq!(rest, 3);
    let (_, stranger) = UnixStream::pair()?.0.into_split();
    assert!(read.reunite(stranger).is_err());
    let (read, write) = left.into_split();
    assert!(read.reunite(write).is_ok());
    Ok(())
}

pub async fn pairs() -> Result<()> {
    let (mut left, mut right) = UnixStream::pair()?;
    assert!(left.local_addr()?.is_unnamed() && left.peer_addr()?.is_unnamed());
    left.write_all(b"ping").await?;
    let mut word = [0; 4];
    right.read_exact(&mut word).await?;
    right.write_all(b"pong").await?;
    left.read_exact(&mut word).await?;
    assert_eq!(&word, b"pong");
    Ok(())
}

pub async fn wrong_types() -> Result<()> {
    let folder = folder();
    let _listener = UnixListener::bind(folder.path("stream"))?;
    let _datagrams = UnixDatagram::bind(folder.path("datagrams"))?;
    let error = UnixStream::connect(folder.path("datagrams")).await.unwrap_err();
    assert_eq!(error.raw_os_error(), EPROTOTYPE);
    let socket = UnixDatagram::unbound()?;
    assert_eq!(socket.connect(folder.path("stream")).unwrap_err().raw_os_error(), EPROTOTYPE);
    let error = socket.send_to(b"x", folder.path("stream")).await.unwrap_err();
    assert_eq!(error.raw_os_error(), EPROTOTYPE);
    Ok(())
}

pub async fn take_error() -> Result<()> {
    let folder = folder();
    let (listener, mut client, server) = connected(&folder).await?;
    client.write_all(b"never read").await?;
    drop(server);
    assert_eq!(client.take_error()?.map(|e| e.kind()), Some(ConnectionReset));
    assert!(client.take_error()?.is_none() && listener.take_error()?.is_none());
    assert_eq!(client.read(&mut [0]).await?, 0);
    assert!(UnixDatagram::unbound()?.take_error()?.is_none());
    Ok(())
}

pub async fn datagrams() -> Result<()> {
    let folder = folder();
    let server = UnixDatagram::bind(folder.path("server"))?;
    let client = UnixDatagram::bind(folder.path("client"))?;
    for text in ["one", "", "three"] {
        assert_eq!(client.send_to(text.as_bytes(), folder.path("server")).await?, text.len());
        let mut buf = [0; 16];
        let (n, from) = server.recv_from(&mut buf).await?;
        assert_eq!(&buf[..n], text.as_bytes());
        assert_eq!(from.as_pathname(), Some(&*folder.path("client")));
    }
    let unnamed = UnixDatagram::unbound()?;
    unnamed.connect(folder.path("server"))?;
    assert_eq!(unnamed.peer_addr()?.as_pathname(), Some(&*folder.path("server")));
    unnamed.send(b"x").await?;
    assert!(server.recv_from(&mut [0]).await?.1.is_unnamed());
    Ok(())
}

pub async fn datagrams_keep_their_bounds() -> Result<()> {
    let (left, right) = UnixDatagram::pair()?;
    left.send(b"abcdef").await?;
    left.send(b"gh").await?;
    let mut buf = [0; 3];
    assert_eq!((right.recv(&mut buf).await?, &buf), (3, b"abc"), "the rest is gone");
    assert_eq!(right.recv(&mut buf).await?, 2);
    assert_eq!(right.try_recv(&mut buf).unwrap_err().kind(), WouldBlock);
    Ok(())
}

pub async fn datagram_errors() -> Result<()> {
    let folder = folder();
    let socket = UnixDatagram::unbound()?;
    assert_eq!(socket.send(b"x").await.unwrap_err().kind(), NotConnected);
    assert_eq!(socket.peer_addr().unwrap_err().kind(), NotConnected);
    assert!(socket.local_addr()?.is_unnamed());
    drop(UnixDatagram::bind(folder.path("gone"))?);
    assert_eq!(socket.send_to(b"x", folder.path("gone")).await.unwrap_err().kind(), ConnectionRefused);
    assert_eq!(socket.connect(folder.path("gone")).unwrap_err().kind(), ConnectionRefused);
    Ok(())
}

pub async fn too_large_a_datagram() -> Result<()> {
    let (left, right) = UnixDatagram::pair()?;
    assert_eq!(left.send(&[0; 212_961]).await.unwrap_err().raw_os_error(), EMSGSIZE);
    assert_eq!(left.send(&[1; 200_000]).await?, 200_000);
    assert_eq!(right.recv(&mut vec![0; 300_000]).await?, 200_000);
    Ok(())
}

pub async fn a_slow_receiver_holds_senders_up() -> Result<()> {
    let folder = folder();
    let receiver = UnixDatagram::bind(folder.path("slow"))?;
    let sender = UnixDatagram::unbound()?;
    sender.connect(folder.path("slow"))?;
    let mut sent = 0u8;
    loop {
        match sender.try_send(&[sent]) {
            Ok(_) => sent += 1,
            Err(e) if e.kind() == WouldBlock => break,
            Err(e) => return Err(e),
        }
        assert!(sent < 100, "the queue has no bound");
    }
    let last = spawn(async move {
        sender.send(&[sent]).await?;
        sender.writable().await?;
        Result::Ok(sender)
    });
    let mut word = [0];
    for i in 0..=sent {
        assert_eq!((receiver.recv(&mut word).await?, word[0]), (1, i));
    }
    last.await.unwrap()?;
    Ok(())
}

pub async fn a_receiver_that_closes_frees_senders() -> Result<()> {
    let folder = folder();
    let receiver = UnixDatagram::bind(folder.path("full"))?;
    let senders = [UnixDatagram::unbound()?, UnixDatagram::unbound()?, UnixDatagram::unbound()?];
    for sender in &senders {
        sender.connect(folder.path("full"))?;
    }
    let mut sent = 0;
    while senders[0].try_send(b"x").is_ok() {
        sent += 1;
        assert!(sent < 100, "the queue has no bound");
    }
    let mut waiting: Vec<_> = senders.iter().map(|sender| Box::pin(sender.send(b"y"))).collect();
    for send in &mut waiting {
        assert!(futures::poll!(send.as_mut()).is_pending());
    }
    drop(receiver);
    for send in waiting {
        assert_eq!(send.await.unwrap_err().kind(), ConnectionRefused);
    }
    // Of a pair, a sender waits for the memory that its own datagrams take in the other's queue.
    let (left, right) = UnixDatagram::pair()?;
    while left.try_send(&[0; 1000]).is_ok() {
        sent += 1;
        assert!(sent < 10_000, "no bound");
    }
    let mut send = Box::pin(left.send(&[0; 1000]));
    assert!(futures::poll!(send.as_mut()).is_pending());
    drop(right);
    assert_eq!(send.await.unwrap_err().kind(), ConnectionRefused);
    Ok(())
}

pub async fn pairs_of_datagrams() -> Result<()> {
    let (left, right) = UnixDatagram::pair()?;
    // Not bounded by the number that waits, but by memory.
    let mut sent = 0;
    while left.try_send(&[0; 10]).is_ok() {
        sent += 1;
        assert!(sent < 10_000, "no bound");
    }
    assert!(sent > 100, "{sent}");
    let last = spawn(async move { left.send(b"last").await.map(|_| left) });
    for _ in 0..sent {
        assert_eq!(right.recv(&mut [0; 16]).await?, 10);
    }
    assert_eq!(right.recv(&mut [0; 16]).await?, 4);
    last.await.unwrap()?;
    Ok(())
}

pub async fn a_peer_that_is_gone() -> Result<()> {
    let (left, right) = UnixDatagram::pair()?;
    right.send(b"before").await?;
    drop(right);
    assert_eq!(left.send(b"x").await.unwrap_err().kind(), ConnectionRefused);
    assert_eq!(left.send(b"x").await.unwrap_err().kind(), NotConnected);
    assert_eq!(left.try_recv(&mut [0; 9]).unwrap_err().kind(), WouldBlock, "lost with the connection");
    Ok(())
}

pub async fn only_the_peer_is_heard() -> Result<()> {
    let folder = folder();
    let socket = |name| UnixDatagram::bind(folder.path(name));
    let (a, b, c) = (socket("a")?, socket("b")?, socket("c")?);
    a.connect(folder.path("b"))?;
    assert_eq!(c.send_to(b"x", folder.path("a")).await.unwrap_err().raw_os_error(), EPERM);
    assert_eq!(c.connect(folder.path("a")).unwrap_err().raw_os_error(), EPERM);
    b.send_to(b"x", folder.path("a")).await?;
    assert_eq!(a.recv(&mut [0]).await?, 1);
    Ok(())
}

pub async fn a_peer_that_turns_away() -> Result<()> {
    let folder = folder();
    let socket = |name| UnixDatagram::bind(folder.path(name));
    let (a, b, _c) = (socket("a")?, socket("b")?, socket("c")?);
    a.connect(folder.path("b"))?;
    b.connect(folder.path("a"))?;
    b.send(b"lost").await?;
    a.connect(folder.path("c"))?;
    assert_eq!(a.try_recv(&mut [0; 9]).unwrap_err().kind(), WouldBlock);
    assert_eq!(b.take_error()?.map(|e| e.kind()), Some(ConnectionReset));
    assert_eq!(b.send(b"x").await.unwrap_err().raw_os_error(), EPERM);
    Ok(())
}

pub async fn shutdown_of_datagrams() -> Result<()> {
    let (left, right) = UnixDatagram::pair()?;
    left.send(b"x").await?;
    left.shutdown(Shutdown::Write)?;
    assert_eq!(left.send(b"x").await.unwrap_err().kind(), BrokenPipe);
    assert_eq!(right.recv(&mut [0]).await?, 1);
    left.shutdown(Shutdown::Read)?;
    assert_eq!(right.send(b"x").await.unwrap_err().kind(), BrokenPipe);
    Ok(())
}

pub async fn sockets_before_use() -> Result<()> {
    let folder = folder();
    let stream = UnixSocket::new_stream()?;
    stream.bind(folder.path("s"))?;
    assert_eq!(stream.bind(folder.path("t")).unwrap_err().kind(), InvalidInput);
    assert!(stream.datagram().is_err());
    assert_eq!(UnixSocket::new_stream()?.listen(1).unwrap_err().kind(), InvalidInput);
    let datagrams = UnixSocket::new_datagram()?;
    datagrams.bind("\0sim parity datagrams")?;
    let socket = datagrams.datagram()?;
    assert_eq!(socket.local_addr()?.as_abstract_name(), Some(&b"sim parity datagrams"[..]));
    assert!(UnixSocket::new_datagram()?.listen(1).is_err());
    assert!(UnixSocket::new_datagram()?.connect(folder.path("s")).await.is_err());
    assert_eq!(UnixListener::bind(folder.path("s")).unwrap_err().kind(), AddrInUse);
    Ok(())
}

pub async fn many_accept() -> Result<()> {
    let folder = folder();
    let listener = std::rc::Rc::new(UnixListener::bind(folder.path("a"))?);
    let accepting: Vec<_> = (0..4)
        .map(|_| {
            let listener = listener.clone();
            spawn(async move { listener.accept().await.map(|a| a.0) })
        })
        .collect();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(UnixStream::connect(folder.path("a")).await?);
    }
    for accepted in accepting {
        accepted.await.unwrap()?.write_all(b"x").await?;
    }
    for mut client in clients {
        assert_eq!(client.read(&mut [0]).await?, 1);
    }
    Ok(())
}
