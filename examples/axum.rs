//! axum on simulated sockets: a service on two machines, a client with a pool and retries, and a partition.
//!
//! A counter is kept on a primary and a backup. The primary answers when the backup has the new count too, so that no
//! count that a client has seen is lost, whatever happens to the network in between. What clients must take care of is
//! the other half: an answer that did not come may have been carried out, so they repeat a request under the same key.
//!
//! `cargo run --example axum`; in a project of your own:
//!
//! ```toml
//! [dev-dependencies]
//! sim = { version = "0.1", features = ["hyper"] }
//! axum = { version = "0.8", default-features = false, features = ["json"] }
//! hyper-util = { version = "0.1", default-features = false, features = ["client-legacy", "http1"] }
//! ```

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use hyper_util::client::legacy::Client;
use sim::net::hyper::{SimConnector, SimExecutor, SimTimer, serve};
use sim::prelude::*;
use sim::time::{sleep, timeout};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

// ---- the service, which does not know that it is tested but for its imports ----

/// The count after each request, by the request's key.
type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

#[derive(Clone)]
struct Primary {
    counts: Counts,
    http: Http,
}

/// Counts, once for a key.
async fn count(State(primary): State<Primary>, Path(key): Path<String>) -> Result<Json<u64>, StatusCode> {
    let count = {
        let mut counts = primary.counts.lock().unwrap();
        let next = counts.len() as u64 + 1;
        *counts.entry(key.clone()).or_insert(next)
    };
    let uri = format!("http://backup/counts/{key}/{count}");
    let request = Request::put(uri).body(Body::empty()).map_err(|_| StatusCode::BAD_REQUEST)?;
    match primary.http.ask(request).await {
        Some(_) => Ok(Json(count)),
        None => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn primary() -> std::io::Result<()> {
    let state = Primary { counts: Counts::default(), http: Http::new() };
    let router = Router::new().route("/count/{key}", post(count)).with_state(state);
    serve(TcpListener::bind("0.0.0.0:80").await?, router).await
}

async fn backup() -> std::io::Result<()> {
    let keep = |State(counts): State<Counts>, Path((key, count)): Path<(String, u64)>| async move {
        counts.lock().unwrap().insert(key, count);
    };
    let last = |State(counts): State<Counts>| async move {
        Json(counts.lock().unwrap().values().max().copied().unwrap_or(0))
    };
    let router = Router::new().route("/counts/{key}/{count}", put(keep)).route("/last", get(last));
    serve(TcpListener::bind("0.0.0.0:80").await?, router.with_state(Counts::default())).await
}

/// A client with a pool of connections. What is not answered in time, or not with success, is no answer.
#[derive(Clone)]
struct Http(Client<SimConnector, Body>);

impl Http {
    fn new() -> Self {
        Http(Client::builder(SimExecutor::new()).pool_timer(SimTimer::new()).build(SimConnector::new()))
    }

    async fn ask(&self, request: Request<Body>) -> Option<String> {
        let answer = async {
            let response = self.0.request(request).await.ok()?;
            let success = response.status().is_success();
            let body = to_bytes(Body::new(response.into_body()), 1 << 16).await.ok()?;
            success.then(|| String::from_utf8_lossy(&body).into_owned())
        };
        // Giving up closes the connection: after a partition the next attempt makes a fresh one.
        timeout(Duration::from_millis(200), answer).await.ok()?
    }

    /// Repeats a request until it is answered; how often it took.
    async fn insist(&self, request: impl Fn() -> Request<Body>) -> (String, u32) {
        let mut attempts = 1;
        loop {
            if let Some(answer) = self.ask(request()).await {
                return (answer, attempts);
            }
            attempts += 1;
            sleep(Duration::from_millis(sim::rand::range(50..150))).await;
        }
    }
}

// ---- the test ----

async fn no_count_is_lost(sim: Sim) -> u32 {
    sim.node("backup").run(backup);
    sim.node("primary").run(primary);
    let cut = sim.partition(["primary"], ["backup"]);
    sim.after(Duration::from_millis(700), move || drop(cut));

    let client = sim.node("client").spawn(async {
        let http = Http::new();
        let mut all_attempts = 0;
        for n in 1..=20 {
            let request = || Request::post(format!("http://primary/count/{n}")).body(Body::empty()).unwrap();
            let (count, attempts) = http.insist(request).await;
            assert_eq!(count, n.to_string(), "counted twice, or not at all");
            all_attempts += attempts;
            let request = || Request::get("http://backup/last").body(Body::empty()).unwrap();
            assert_eq!(http.insist(request).await.0, count, "the backup does not have what was answered");
        }
        all_attempts
    });
    client.await.unwrap()
}

fn main() {
    let report = sim::sweep(0..200).run(no_count_is_lost);
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let outcome = sim::Builder::new().seed(7).run(no_count_is_lost);
    let attempts = outcome.result.unwrap();
    assert!(attempts > 20, "the partition was not noticed");
    println!("20 counts took {attempts} attempts in {:?}; 200 seeds pass", outcome.now);
    println!("trace {:016x}", report.trace);
}
