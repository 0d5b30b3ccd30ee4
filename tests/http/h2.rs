//! HTTP/2: many requests on one connection.

use super::peers::*;
use super::*;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::Response;
use std::io::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Barrier, mpsc};

const WINDOW: u32 = 64 << 10;

pub async fn multiplexing() -> Result<()> {
    // Nobody is answered before all have asked.
    const REQUESTS: usize = 20;
    let barrier = Arc::new(Barrier::new(REQUESTS));
    let server = Server::start(move |request| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            answer(request.uri().path().to_owned())
        }
    })
    .await?;
    let client = server.h2(WINDOW).await?;
    let requests = (0..REQUESTS).map(|i| {
        let (mut client, path) = (client.clone(), format!("/{i}"));
        let request = server.get(&path);
        async move {
            client.ready().await.unwrap();
            assert_eq!(text(client.send_request(request).await.unwrap()).await.unwrap(), path);
        }
    });
    futures::future::join_all(requests).await;
    assert_eq!(server.accepted(), 1);
    Ok(())
}

pub async fn flow_control() -> Result<()> {
    const PIECE: usize = 16 << 10;
    const PIECES: usize = 256;
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let server = Server::start(move |request| {
        let counter = counter.clone();
        async move {
            if request.uri().path() == "/small" {
                return answer("small");
            }
            let body = stream::iter(0..PIECES).map(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
                Bytes::from(vec![7; PIECE])
            });
            Ok(Response::new(pieces(body)))
        }
    })
    .await?;
    let mut client = server.h2(WINDOW).await?;
    let large = client.send_request(server.get("/large")).await.unwrap();
    for _ in 0..50 {
        let small = client.send_request(server.get("/small")).await.unwrap();
        assert_eq!(text(small).await?, "small", "the other stream is not held up");
    }
    // The window, what the server keeps ready to be sent, and the piece that it has in its hand.
    let bound = (WINDOW as usize + (64 << 10)) / PIECE + 2;
    let so_far = made.load(Ordering::Relaxed);
    assert!((WINDOW as usize / PIECE..=bound).contains(&so_far), "{so_far} pieces made, nothing read");
    let body = large.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), PIECE * PIECES);
    assert_eq!(made.load(Ordering::Relaxed), PIECES);
    Ok(())
}

pub async fn cancelled_stream() -> Result<()> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |request| {
        let tell = tell.clone();
        async move {
            if request.uri().path() == "/next" {
                return answer("next");
            }
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
    let mut client = server.h2(WINDOW).await?;
    let mut response = Box::pin(client.send_request(server.get("/")));
    tokio::select! {
        biased;
        _ = &mut response => panic!("it never answers"),
        begun = told.recv() => assert_eq!(begun, Some("begun")),
    }
    drop(response);
    assert_eq!(told.recv().await, Some("dropped"));
    let next = client.send_request(server.get("/next")).await.unwrap();
    assert_eq!(text(next).await?, "next", "only the stream is reset");
    assert_eq!(server.accepted(), 1);
    Ok(())
}

pub async fn echo_of_a_large_body() -> Result<()> {
    let server = Server::start(|request| async { Ok(Response::new(relayed(request.into_body()))) }).await?;
    let mut client = server.h2(WINDOW).await?;
    let sent: Vec<u8> = (0..1 << 20).map(|i: u32| (i / 7) as u8).collect();
    let pieces = pieces(stream::iter(sent.chunks(10_000).map(Bytes::copy_from_slice).collect::<Vec<_>>()));
    let response = client.send_request(server.post("/", pieces)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), sent);
    Ok(())
}

/// The server resets the stream when its body fails.
pub async fn reset_in_a_body() -> Result<()> {
    let server = Server::start(|_| async {
        let frames =
            [Ok(hyper::body::Frame::data(Bytes::from("hello"))), Err(std::io::Error::other("no more"))];
        // The end of the body must not overtake its begin.
        let frames = stream::iter(frames).then(|frame| async {
            tokio::task::yield_now().await;
            frame
        });
        Ok(Response::new(BodyExt::boxed(http_body_util::StreamBody::new(frames))))
    })
    .await?;
    let mut client = server.h2(WINDOW).await?;
    let mut body = client.send_request(server.get("/")).await.unwrap().into_body();
    let error = loop {
        match body.frame().await.expect("an error before the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(!error.is_incomplete_message() && !error.is_closed(), "{error:?}");
    assert!(error.to_string().contains("error reading a body"), "{error}");
    Ok(())
}
