//! Options are kept and inherited: tcp(7), socket(7).

use crate::{kind, on, simulate};
use sim_net::{TcpSocket, TcpStream, UdpSocket};
use std::io::ErrorKind::*;
use std::time::Duration;

#[test]
fn options_are_kept_and_accepted_streams_inherit_them() {
    simulate(|sim| async move {
        let listener = on(sim, "server", async {
            let socket = TcpSocket::new_v4()?;
            assert_eq!(socket.local_addr()?.port(), 0);
            socket.set_nodelay(true)?;
            socket.set_linger(Some(Duration::from_secs(3)))?;
            socket.set_keepalive(true)?;
            socket.set_reuseaddr(true)?;
            assert!(socket.keepalive()? && socket.reuseaddr()?);
            socket.bind("0.0.0.0:80".parse().unwrap())?;
            let again = socket.bind("0.0.0.0:81".parse().unwrap());
            assert_eq!(kind(again), InvalidInput);
            let listener = socket.listen(8)?;
            listener.set_ttl(7)?;
            std::io::Result::Ok(listener)
        });
        let listener = listener.await.unwrap()?;
        let client = TcpStream::connect("server:80").await?;
        let (server, _) = listener.accept().await?;
        assert!(server.nodelay()? && !client.nodelay()?);
        assert_eq!((server.ttl()?, client.ttl()?), (7, 64));
        assert_eq!(server.linger()?, Some(Duration::from_secs(3)));
        client.set_nodelay(true)?;
        assert!(client.nodelay()?);
        assert_eq!(kind(client.set_ttl(0)), InvalidInput);
        assert_eq!(kind(client.set_keepalive(Some((Duration::ZERO, Duration::ZERO, 0)))), InvalidInput);
        Ok(())
    });
}

#[test]
fn families_do_not_mix() {
    simulate(|_| async {
        let v4 = TcpSocket::new_v4()?;
        assert_eq!(v4.bind("[::]:80".parse().unwrap()).unwrap_err().raw_os_error(), Some(97), "EAFNOSUPPORT");
        let refused = v4.connect("[::1]:80".parse().unwrap()).await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(97));
        let udp = UdpSocket::bind("0.0.0.0:0").await?;
        assert_eq!(udp.send_to(b"x", "[::1]:80").await.unwrap_err().raw_os_error(), Some(97));
        Ok(())
    });
}
