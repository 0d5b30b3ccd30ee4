//! hyper-util's client, which keeps connections for later requests.

use super::peers::*;
use super::*;
use http_body_util::BodyExt;
use hyper_util::client::legacy;
use std::io::{ErrorKind, Result};
use std::sync::Arc;
use tokio::sync::Barrier;

type Client = legacy::Client<Connector, Body>;

fn builder() -> legacy::Builder {
    let mut builder = legacy::Client::builder(Executor::new());
    builder.timer(Timer::new()).pool_timer(Timer::new());
    builder
}

fn client() -> Client {
    builder().build(Connector::new())
}

pub async fn reuses_connections() -> Result<()> {
    let server = Server::start(|request| async move { answer(request.uri().path().to_owned()) }).await?;
    let client = client();
    for path in ["/one", "/two", "/three", "/four"] {
        assert_eq!(text(client.request(server.get(path)).await.unwrap()).await?, path);
    }
    assert_eq!(server.accepted(), 1);
    Ok(())
}

pub async fn opens_as_many_as_needed() -> Result<()> {
    let barrier = Arc::new(Barrier::new(5));
    let server = Server::start(move |_| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            answer("together")
        }
    })
    .await?;
    let client = client();
    for _ in 0..2 {
        let requests = (0..5).map(|_| client.request(server.get("/")));
        for response in futures::future::join_all(requests).await {
            assert_eq!(text(response.unwrap()).await?, "together");
        }
    }
    assert_eq!(server.accepted(), 5);
    Ok(())
}

/// The server closes each connection after an answer, and does not say so.
pub async fn replaces_a_dead_one() -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (listener, server) = Server::listen().await?;
    start(async move {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await?;
            let mut request = [0; 4096];
            assert!(AsyncReadExt::read(&mut stream, &mut request).await? > 0);
            AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
                .await?;
        }
        Result::Ok(())
    });
    let client = client();
    for _ in 0..3 {
        assert_eq!(text(client.request(server.get("/")).await.unwrap()).await?, "hello");
    }
    Ok(())
}

pub async fn refused() -> Result<()> {
    let (listener, server) = Server::listen().await?;
    drop(listener);
    let error = client().request(server.get("/")).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionRefused), "{error:?}");
    Ok(())
}

pub async fn one_connection_with_h2() -> Result<()> {
    let barrier = Arc::new(Barrier::new(8));
    let server = Server::start(move |_| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            answer("together")
        }
    })
    .await?;
    let client: Client = builder().http2_only(true).build(Connector::new());
    let requests = (0..8).map(|_| {
        let mut request = server.get("/");
        request.headers_mut().remove("host");
        client.request(request)
    });
    for response in futures::future::join_all(requests).await {
        assert_eq!(text(response.unwrap()).await?, "together");
    }
    assert_eq!(server.accepted(), 1);
    Ok(())
}

pub async fn reset_in_a_body() -> Result<()> {
    let (server, end) = h1::half_a_body(|stream| stream.set_zero_linger().unwrap()).await?;
    let mut body = client().request(server.get("/")).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    drop(end.lock().unwrap().take());
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionReset), "{error:?}");
    Ok(())
}
