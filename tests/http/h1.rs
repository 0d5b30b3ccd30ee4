//! HTTP/1: hyper on both sides of a connection.

use super::peers::*;
use super::*;
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::io::{ErrorKind, Result};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

pub async fn keep_alive() -> Result<()> {
    let server = Server::start(|request| async move { answer(request.uri().path().to_owned()) }).await?;
    let mut client = server.h1().await?;
    for path in ["/one", "/two", "/three"] {
        client.ready().await.unwrap();
        let response = client.send_request(server.get(path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key(header::DATE));
        assert_eq!(text(response).await?, path);
    }
    assert_eq!(server.accepted(), 1);
    Ok(())
}

pub async fn connection_close() -> Result<()> {
    let server = Server::start(|_| async { answer("bye") }).await?;
    let mut client = server.h1().await?;
    let mut request = server.get("/");
    request.headers_mut().insert(header::CONNECTION, "close".parse().unwrap());
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.headers()[header::CONNECTION], "close");
    assert_eq!(text(response).await?, "bye");
    assert!(client.ready().await.unwrap_err().is_closed());
    Ok(())
}

pub async fn chunked_both_ways() -> Result<()> {
    let server = Server::start(|request| async move {
        assert_eq!(request.headers()[header::TRANSFER_ENCODING], "chunked");
        Ok(Response::new(relayed(request.into_body())))
    })
    .await?;
    let sent: Vec<Bytes> = (0..50u8).map(|i| Bytes::from(vec![i; 100 * usize::from(i) + 1])).collect();
    let mut client = server.h1().await?;
    let request = server.post("/", pieces(stream::iter(sent.clone())));
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.headers()[header::TRANSFER_ENCODING], "chunked");
    let back = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(back, sent.concat());
    Ok(())
}

pub async fn upgrade() -> Result<()> {
    let server = Server::start(|mut request| async move {
        assert_eq!(request.headers()[header::UPGRADE], "shouting");
        let upgraded = hyper::upgrade::on(&mut request);
        start(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            let mut line = [0; 5];
            while stream.read_exact(&mut line).await.is_ok() {
                line.make_ascii_uppercase();
                stream.write_all(&line).await.unwrap();
            }
        });
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "shouting");
        Ok(response.body(full("")).unwrap())
    })
    .await?;
    let mut client = server.h1().await?;
    let request = Request::get("/").header(header::HOST, HOST).header(header::CONNECTION, "upgrade");
    let request = request.header(header::UPGRADE, "shouting").body(full("")).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    for word in ["hello", "again"] {
        stream.write_all(word.as_bytes()).await?;
        let mut back = [0; 5];
        stream.read_exact(&mut back).await?;
        assert_eq!(back, *word.to_uppercase().as_bytes());
    }
    Ok(())
}

/// A handler that never answers; what comes in when it begins, and when it is dropped.
async fn silent() -> Result<(Server, mpsc::UnboundedReceiver<&'static str>)> {
    let (tell, told) = mpsc::unbounded_channel();
    let server = Server::start(move |_| {
        let tell = tell.clone();
        async move {
            let (dropped, heard) = Tells::new();
            let _ = tell.send("begun");
            start(async move {
                let _ = heard.await;
                let _ = tell.send("dropped");
            });
            std::future::pending::<()>().await;
            drop(dropped);
            answer("never")
        }
    })
    .await?;
    Ok((server, told))
}

pub async fn cancelled_request() -> Result<()> {
    let (server, mut told) = silent().await?;
    let mut client = server.h1().await?;
    let mut response = Box::pin(client.send_request(server.get("/")));
    tokio::select! {
        biased;
        _ = &mut response => panic!("it never answers"),
        begun = told.recv() => assert_eq!(begun, Some("begun")),
    }
    drop(response);
    assert_eq!(told.recv().await, Some("dropped"));
    assert!(client.ready().await.unwrap_err().is_closed(), "HTTP/1 can only end the connection");
    Ok(())
}

pub async fn dropped_connection() -> Result<()> {
    let (server, mut told) = silent().await?;
    let mut stream = server.connect().await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: server\r\n\r\n").await?;
    assert_eq!(told.recv().await, Some("begun"));
    drop(stream);
    assert_eq!(told.recv().await, Some("dropped"));
    Ok(())
}

/// A server of one connection that answers with half of a body, and waits to be told how it is to end.
pub async fn half_a_body(
    end: impl FnOnce(TcpStream) + Send + 'static,
) -> Result<(Server, Arc<Mutex<Option<Tells>>>)> {
    let (listener, server) = Server::listen().await?;
    let (tells, told) = Tells::new();
    start(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await? > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await?;
        let _ = told.await;
        end(stream);
        Result::Ok(())
    });
    Ok((server, Arc::new(Mutex::new(Some(tells)))))
}

pub async fn incomplete_body() -> Result<()> {
    let (server, end) = half_a_body(drop).await?;
    let mut client = server.h1().await?;
    let mut body = client.send_request(server.get("/")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    drop(end.lock().unwrap().take());
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(io_kind(&error), Some(ErrorKind::UnexpectedEof), "{error:?}");
    Ok(())
}

pub async fn reset_in_a_body() -> Result<()> {
    let (server, end) = half_a_body(|stream| stream.set_zero_linger().unwrap()).await?;
    let mut client = server.h1().await?;
    let mut body = client.send_request(server.get("/")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    drop(end.lock().unwrap().take());
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
    Ok(())
}
