//! `/metrics`: everything that is counted, in Prometheus' text format (version 0.0.4). Read-only, on a
//! loopback port, and only under that name: a web page elsewhere that has its own name resolve to
//! 127.0.0.1 gets nothing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use admin::{Reply, Request};
use api::Stats;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::socket::Call;
use crate::dataplane;

mod text;

/// Most scrapers at once.
const SCRAPERS: usize = 8;
/// How long the dataplane may take to tell its counters.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a scraper may take to say what it wants.
const HEADER: Duration = Duration::from_secs(5);
/// How long a scrape may take from its connection to the last byte that is read.
const WHOLE: Duration = Duration::from_secs(30);
/// User id that stands for the scraper: nobody's.
const NOBODY: u32 = u32::MAX;

/// Answers scrapers until the process ends.
pub async fn serve(listener: TcpListener, calls: mpsc::Sender<Call>, dataplane: Option<Arc<Path>>) {
    let room = Arc::new(Semaphore::new(SCRAPERS));
    loop {
        let permit = room.clone().acquire_owned().await.expect("it is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "metrics");
                sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let local = stream.local_addr();
        let (calls, dataplane) = (calls.clone(), dataplane.clone());
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let (calls, dataplane) = (calls.clone(), dataplane.clone());
                let local = local.as_ref().ok().copied();
                async move {
                    let dataplane = dataplane.as_deref();
                    Ok::<_, Infallible>(answer(&request, local, &calls, dataplane).await)
                }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            match timeout(WHOLE, serving).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "scraper lost"),
                Err(_) => tracing::debug!("a scraper did not read its answer"),
            }
            drop(permit);
        });
    }
}

async fn answer(
    request: &hyper::Request<Incoming>,
    local: Option<SocketAddr>,
    calls: &mpsc::Sender<Call>,
    dataplane: Option<&Path>,
) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| is_own(host, local)) {
        return plain(StatusCode::FORBIDDEN, "the Host header does not name this machine\n");
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {}
        (&Method::GET, _) => return plain(StatusCode::NOT_FOUND, "there is /metrics\n"),
        _ => return plain(StatusCode::METHOD_NOT_ALLOWED, "there is GET\n"),
    }
    let stats = match dataplane {
        None => None,
        Some(dataplane) => match dataplane::ask(dataplane, &api::Request::Stats, PATIENCE).await {
            Ok(api::Reply::Stats(stats)) => Some(Arc::new(*stats)),
            Ok(_) | Err(_) => None,
        },
    };
    match page(calls, stats).await {
        Some(body) => {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            response
                .headers_mut()
                .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
            response
        }
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

async fn page(calls: &mpsc::Sender<Call>, stats: Option<Arc<Stats>>) -> Option<String> {
    let (reply, answer) = oneshot::channel();
    let request = Request::Status { brief: true };
    calls.send(Call { request, uid: NOBODY, stats: stats.clone(), reply }).await.ok()?;
    match answer.await.ok()? {
        Reply::Status(status) => Some(text::render(&status, stats.as_deref())),
        Reply::L7(status) => Some(text::render_l7(&status)),
        Reply::Dns(status) => Some(text::render_dns(&status)),
        Reply::Done(_)
        | Reply::Explained(_)
        | Reply::Refused { .. }
        | Reply::Dataplane(_)
        | Reply::Error(_) => None,
    }
}

/// Whether a `Host` header names the loopback address that was connected to.
fn is_own(host: &str, local: Option<SocketAddr>) -> bool {
    let Some(local) = local else { return false };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && !port.contains(']') => (name, port.parse().ok()),
        Some(_) | None => (host, Some(80)),
    };
    let named = name.eq_ignore_ascii_case("localhost")
        || name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    named && port == Some(local.port())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

/// Whether metrics may be told there: on this machine alone.
pub fn is_allowed(address: &SocketAddr) -> bool {
    address.ip().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let local = Some("127.0.0.1:9469".parse().unwrap());
        for good in ["localhost:9469", "127.0.0.1:9469", "LOCALHOST:9469", "[::1]:9469"] {
            assert!(is_own(good, local), "{good}");
        }
        for bad in
            ["", "localhost", "localhost:80", "evil.example:9469", "127.0.0.1.evil:9469", ":9469"]
        {
            assert!(!is_own(bad, local), "{bad}");
        }
        assert!(!is_own("localhost:9469", None));
    }
}
