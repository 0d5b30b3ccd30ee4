//! tonic without its transport: a service written as its generator writes it, and a client on hyper-util's.

use super::peers::Server;
use super::*;
use ::axum::Router;
use ::tonic::body::Body;
use ::tonic::client::Grpc as Caller;
use ::tonic::codegen::{BoxFuture, Service, http};
use ::tonic::server::{Grpc, ServerStreamingService, StreamingService, UnaryService};
use ::tonic::{Code, Request, Response, Status, Streaming};
use futures::stream::{self, BoxStream, StreamExt};
use hyper_util::client::legacy::Client;
use std::convert::Infallible;
use std::io::Result;
use std::task::{Context, Poll};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    value: u64,
}

fn number(value: u64) -> Number {
    Number { value }
}

/// The methods of the service.
#[derive(Clone)]
struct Double;

impl UnaryService<Number> for Double {
    type Response = Number;
    type Future = BoxFuture<Response<Number>, Status>;

    fn call(&mut self, request: Request<Number>) -> Self::Future {
        Box::pin(async move {
            let who = request.metadata().get("x-who").cloned();
            let doubled = request.get_ref().value.checked_mul(2);
            let mut response =
                Response::new(number(doubled.ok_or(Status::out_of_range("too much to double"))?));
            if let Some(who) = who {
                response.metadata_mut().insert("x-who", who);
            }
            Ok(response)
        })
    }
}

struct CountTo;

impl ServerStreamingService<Number> for CountTo {
    type Response = Number;
    type ResponseStream = BoxStream<'static, std::result::Result<Number, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Number>) -> Self::Future {
        let numbers = stream::iter(1..=request.get_ref().value).map(|n| Ok(number(n)));
        Box::pin(async { Ok(Response::new(numbers.boxed())) })
    }
}

struct Sums;

impl StreamingService<Number> for Sums {
    type Response = Number;
    type ResponseStream = BoxStream<'static, std::result::Result<Number, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Number>>) -> Self::Future {
        let sums = request.into_inner().scan(0, |sum, received| {
            *sum += received.as_ref().map_or(0, |number| number.value);
            std::future::ready(Some(received.map(|_| number(*sum))))
        });
        Box::pin(async { Ok(Response::new(sums.boxed())) })
    }
}

/// What routes calls to the methods, as `tonic-build` makes it.
#[derive(Clone)]
struct Numbers;

impl Service<http::Request<::axum::body::Body>> for Numbers {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<::axum::body::Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Number, Number>::default());
            Ok(match request.uri().path() {
                "/Numbers/Double" => grpc.unary(Double, request).await,
                "/Numbers/CountTo" => grpc.server_streaming(CountTo, request).await,
                "/Numbers/Sums" => grpc.streaming(Sums, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

type Channel = Client<Connector, Body>;

/// A client of the service.
async fn connected() -> Result<(Server, Caller<Channel>)> {
    let (listener, server) = Server::listen().await?;
    let router = Router::new().fallback_service(Numbers);
    start(serve_axum(listener, router, std::future::pending()));
    let channel = Client::builder(Executor::new()).http2_only(true).build(Connector::new());
    let origin = server.uri("/").parse().unwrap();
    Ok((server, Caller::with_origin(channel, origin)))
}

async fn ask(
    caller: &mut Caller<Channel>,
    method: &'static str,
    request: Request<Number>,
) -> std::result::Result<Response<Number>, Status> {
    caller.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(method);
    caller.unary(request, path, ProstCodec::<Number, Number>::default()).await
}

pub async fn unary() -> Result<()> {
    let (_server, mut caller) = connected().await?;
    let mut request = Request::new(number(21));
    request.metadata_mut().insert("x-who", "me".parse().unwrap());
    let response = ask(&mut caller, "/Numbers/Double", request).await.unwrap();
    assert_eq!(response.metadata().get("x-who").unwrap(), "me");
    assert_eq!(response.into_inner(), number(42));
    Ok(())
}

pub async fn status() -> Result<()> {
    let (_server, mut caller) = connected().await?;
    let status = ask(&mut caller, "/Numbers/Double", Request::new(number(u64::MAX))).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::OutOfRange, "too much to double"));
    let status = ask(&mut caller, "/Numbers/Halve", Request::new(number(1))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    Ok(())
}

pub async fn streaming() -> Result<()> {
    let (_server, mut caller) = connected().await?;
    let codec = ProstCodec::<Number, Number>::default;
    caller.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/Numbers/CountTo");
    let counted = caller.server_streaming(Request::new(number(1000)), path, codec()).await.unwrap();
    let counted: Vec<_> = counted.into_inner().map(|n| n.unwrap().value).collect().await;
    assert_eq!(counted, (1..=1000).collect::<Vec<_>>());

    // Each number is sent when the sum of those before it has come.
    let (send, receive) = futures::channel::mpsc::unbounded();
    caller.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/Numbers/Sums");
    send.unbounded_send(number(1)).unwrap();
    let mut sums = caller.streaming(Request::new(receive), path, codec()).await.unwrap().into_inner();
    for (next, sum) in [(2, 1), (3, 3), (4, 6)] {
        assert_eq!(sums.next().await.unwrap().unwrap(), number(sum));
        send.unbounded_send(number(next)).unwrap();
    }
    drop(send);
    assert_eq!(sums.next().await.unwrap().unwrap(), number(10));
    assert!(sums.next().await.is_none());
    Ok(())
}

pub async fn many_calls_share_a_connection() -> Result<()> {
    let (_server, caller) = connected().await?;
    let calls = (0..50).map(|n| {
        let mut caller = caller.clone();
        async move {
            let doubled = ask(&mut caller, "/Numbers/Double", Request::new(number(n))).await;
            assert_eq!(doubled.unwrap().into_inner(), number(2 * n));
        }
    });
    futures::future::join_all(calls).await;
    Ok(())
}
