//! Bodies about names. None asks a server: a real one may not be there.

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use std::io::ErrorKind::*;
use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

async fn look_up(host: impl ToSocketAddrs) -> Result<Vec<SocketAddr>> {
    Ok(lookup_host(host).await?.collect())
}

pub async fn names_that_cannot_be() -> Result<()> {
    for host in [":80", "a..b:80"] {
        let error = look_up(host).await.unwrap_err();
        let text = "failed to lookup address information: Name or service not known";
        assert_eq!((error.to_string().as_str(), error.raw_os_error()), (text, None));
        // std's kind has no name, so that a program can only tell that it is none of the others.
        assert!(!matches!(error.kind(), NotFound | InvalidInput | HostUnreachable | AddrNotAvailable));
    }
    let error = look_up(("a\0b", 80)).await.unwrap_err();
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (InvalidInput, "file name contained an unexpected NUL byte")
    );
    Ok(())
}

pub async fn text_that_is_no_address() -> Result<()> {
    for (text, why) in [
        ("localhost", "invalid socket address"),
        ("", "invalid socket address"),
        ("localhost:99999", "invalid port value"),
        ("localhost:http", "invalid port value"),
        ("127.0.0.1:", "invalid port value"),
    ] {
        let error = look_up(text).await.unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (InvalidInput, why), "{text:?}");
    }
    Ok(())
}

pub async fn literals_need_no_names() -> Result<()> {
    assert_eq!(look_up("127.0.0.1:5").await?, [(Ipv4Addr::LOCALHOST, 5).into()]);
    assert_eq!(look_up("[::1]:5").await?, [(Ipv6Addr::LOCALHOST, 5).into()]);
    assert_eq!(look_up(("10.0.0.1", 5)).await?, [(Ipv4Addr::new(10, 0, 0, 1), 5).into()]);
    assert_eq!(look_up(("::1", 5)).await?, [(Ipv6Addr::LOCALHOST, 5).into()]);
    // As inet_aton(3) reads them.
    for short in ["127.1", "0x7f000001", "0177.0.0.1"] {
        assert_eq!(look_up((short, 5)).await?, [(Ipv4Addr::LOCALHOST, 5).into()], "{short}");
    }
    assert_eq!(look_up((IpAddr::from([1, 2, 3, 4]), 5)).await?, ["1.2.3.4:5".parse().unwrap()]);
    Ok(())
}

pub async fn localhost() -> Result<()> {
    for host in ["localhost", "LocalHost"] {
        assert!(look_up((host, 5)).await?.contains(&(Ipv4Addr::LOCALHOST, 5).into()));
    }
    Ok(())
}

/// The address of a listener of this machine.
async fn listening() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

pub async fn every_address_is_tried() -> Result<()> {
    let (gone, closed) = listening().await?;
    drop(gone);
    let (_first, one) = listening().await?;
    let (_second, two) = listening().await?;
    let stream = TcpStream::connect(&[closed, one, two][..]).await?;
    assert_eq!(stream.peer_addr()?, one, "in their order");
    let listener = TcpListener::bind(&[one, closed][..]).await?;
    assert_eq!(listener.local_addr()?, closed, "the first that can be bound");
    Ok(())
}

pub async fn the_last_error_counts() -> Result<()> {
    let (gone, closed) = listening().await?;
    drop(gone);
    let error = TcpStream::connect(&[closed, closed][..]).await.unwrap_err();
    assert_eq!(error.kind(), ConnectionRefused);
    Ok(())
}

pub async fn nothing_to_try() -> Result<()> {
    let nothing: &[SocketAddr] = &[];
    for error in [
        TcpStream::connect(nothing).await.unwrap_err(),
        TcpListener::bind(nothing).await.unwrap_err(),
        UdpSocket::bind(nothing).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), &*error.to_string()), (InvalidInput, "could not resolve to any address"));
    }
    assert!(look_up(nothing).await?.is_empty());
    Ok(())
}
