//! axum's `Router`: served by axum's own crate there, by `sim::net::hyper::serve` here.

use super::peers::{Body, Server, Tells, full, text};
use super::*;
use ::axum::Router;
use ::axum::extract::{Json, Path, State};
use ::axum::http::{HeaderMap, Request, StatusCode, header};
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::{get, post};
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

fn client() -> Client<Connector, Body> {
    Client::builder(Executor::new()).build(Connector::new())
}

/// Serves a router until the end of the test.
async fn serve(router: Router) -> Result<Server> {
    let (listener, server) = Server::listen().await?;
    start(serve_axum(listener, router, std::future::pending()));
    Ok(server)
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Added {
    by: u64,
    to: u64,
}

async fn add(State(sum): State<Arc<AtomicU64>>, Path(by): Path<u64>) -> Json<Added> {
    Json(Added { by, to: sum.fetch_add(by, Ordering::Relaxed) + by })
}

async fn check(headers: HeaderMap, Json(added): Json<Added>) -> Response {
    match headers.get("x-who") {
        Some(who) if added.to >= added.by => (StatusCode::ACCEPTED, [("x-who", who.clone())]).into_response(),
        _ => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

pub async fn routes() -> Result<()> {
    let router = Router::new()
        .route("/add/{by}", post(add))
        .route("/check", post(check))
        .with_state(Arc::new(AtomicU64::new(10)));
    let server = serve(router).await?;
    let client = client();
    for (by, to) in [(1, 11), (2, 13)] {
        let added = client.request(server.post(&format!("/add/{by}"), full(""))).await.unwrap();
        assert_eq!(added.headers()[header::CONTENT_TYPE], "application/json");
        assert!(added.headers().contains_key(header::DATE));
        assert_eq!(serde_json::from_str::<Added>(&text(added).await?)?, Added { by, to });
    }
    let ask = |path: &str, who: Option<&str>, body: &'static str| {
        let mut request = server.post(path, full(body));
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        who.map(|who| headers.insert("x-who", who.parse().unwrap()));
        client.request(request)
    };
    let accepted = ask("/check", Some("me"), r#"{"by":1,"to":2}"#).await.unwrap();
    assert_eq!(
        (accepted.status(), &accepted.headers()["x-who"]),
        (StatusCode::ACCEPTED, &"me".parse().unwrap())
    );
    for (path, body, status) in [
        ("/check", r#"{"by":1,"to":2}"#, StatusCode::UNPROCESSABLE_ENTITY),
        ("/check", "{", StatusCode::BAD_REQUEST),
        ("/add/one", "", StatusCode::BAD_REQUEST),
        ("/nowhere", "", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(path, None, body).await.unwrap().status(), status, "{path}");
    }
    let wrong_method = client.request(server.get("/check")).await.unwrap();
    assert_eq!(wrong_method.status(), StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}

/// A body that the handler makes while the client reads it.
pub async fn streams() -> Result<()> {
    let more = Arc::new(Notify::new());
    let waits = more.clone();
    let counting = move || {
        let waits = waits.clone();
        let numbers = stream::iter(0..4).then(move |n| {
            let waits = waits.clone();
            async move {
                waits.notified().await;
                Ok::<_, std::convert::Infallible>(format!("{n}"))
            }
        });
        std::future::ready(::axum::body::Body::from_stream(numbers))
    };
    let server = serve(Router::new().route("/count", get(counting))).await?;
    let mut body = client().request(server.get("/count")).await.unwrap().into_body();
    for n in 0..4 {
        more.notify_one();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), n.to_string());
    }
    assert!(body.frame().await.is_none());
    Ok(())
}

pub async fn graceful_shutdown() -> Result<()> {
    let (begun, has_begun) = Tells::new();
    let begun = Arc::new(std::sync::Mutex::new(Some(begun)));
    let go_on = Arc::new(Notify::new());
    let waits = go_on.clone();
    let handler = move || {
        drop(begun.lock().unwrap().take());
        let waits = waits.clone();
        async move {
            waits.notified().await;
            "finished"
        }
    };
    let router = Router::new().route("/", get(handler));
    let (listener, server) = Server::listen().await?;
    let (stop, stopped) = Tells::new();
    let (ended, has_ended) = oneshot::channel();
    start(async move {
        let stopped = async { stopped.await.unwrap() };
        let _ = ended.send(serve_axum(listener, router, stopped).await);
    });
    let answer = spawn(client().request(server.get("/")));
    has_begun.await.unwrap();
    drop(stop);
    loop {
        match server.connect().await {
            // The server has not been told yet, or the listener was closed when this was in its queue.
            Ok(mut stream) => assert_eq!(AsyncReadExt::read(&mut stream, &mut [0]).await.unwrap_or(0), 0),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => break assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
    }
    go_on.notify_one();
    assert_eq!(text(answer.await.unwrap().unwrap()).await?, "finished");
    has_ended.await.unwrap()
}

pub async fn upgrade() -> Result<()> {
    let handler = |mut request: Request<::axum::body::Body>| async move {
        let upgraded = hyper::upgrade::on(&mut request);
        start(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            let mut word = [0; 5];
            stream.read_exact(&mut word).await.unwrap();
            word.reverse();
            stream.write_all(&word).await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, "mirror")])
    };
    let server = serve(Router::new().route("/", get(handler))).await?;
    let mut request = server.get("/");
    request.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
    request.headers_mut().insert(header::UPGRADE, "mirror".parse().unwrap());
    let response = client().request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"hello").await?;
    let mut back = [0; 5];
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"olleh");
    Ok(())
}
