//! A request at servers: one after the other, for as long as nothing of it can have had an effect.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::{Request, Response, StatusCode, Uri, Version, header, request};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, sleep_until};

use super::body::Release;
use super::{Answer, Client, Outgoing, Refusal, headers, route, upgrade};
use crate::pool::{Lease, Pool, Server};
use crate::settings::Key;
use crate::upstream::{self, Connection, Kept};

/// What an attempt needs to know.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) pool: &'a Arc<Pool>,
    /// What the client says of clients is believed.
    pub(super) trusted: bool,
}

/// How a try at a server ended without an answer.
enum Failure {
    /// It had nothing of the request.
    Untouched(Request<Outgoing>),
    /// It may have had; but the request asks for nothing that must not be done twice, and is here again.
    Repeatable(Request<Outgoing>),
    /// It may have had.
    Lost,
    Late,
}

impl Attempt<'_> {
    pub(super) async fn run(
        self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Answer>, Refusal> {
        let key = self.key(&request);
        let asked = upgrade::take(&mut request);
        let moved = Rc::new(Cell::new(Instant::now()));
        let (mut head, body) = request.into_parts();
        let body = match body.is_end_stream() {
            true => Outgoing::none(moved.clone()),
            false => Outgoing::of(body, moved.clone()),
        };
        self.prepare(&mut head)?;
        let mut request = Request::from_parts(head, body);

        let mut tried = Vec::new();
        loop {
            let Some(place) = self.client.core.choose(self.pool, &tried, key) else {
                return Err(if tried.is_empty() { Refusal::BUSY } else { Refusal::FAILED });
            };
            let server = &self.pool.servers[place];
            let lease = server.take();
            let connection = match self.connection(server).await {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::debug!(server = server.settings.name, %error, "no connection");
                    server.counters.failed.fetch_add(1, Relaxed);
                    tried.push(place);
                    if tried.len() > self.pool.settings.retries as usize {
                        return Err(Refusal::FAILED);
                    }
                    continue;
                }
            };
            let used = connection.used;
            match self.send(connection, request, server, lease, &moved, asked.as_ref()).await {
                Ok(response) => return Ok(upgrade::join(asked, response, self.client)),
                // It was closed while it was kept: no fault of the server's.
                Err(Failure::Untouched(back) | Failure::Repeatable(back)) if used => request = back,
                Err(Failure::Untouched(back) | Failure::Repeatable(back))
                    if tried.len() < self.pool.settings.retries as usize =>
                {
                    server.counters.failed.fetch_add(1, Relaxed);
                    tried.push(place);
                    request = back;
                }
                Err(Failure::Late) => {
                    server.counters.failed.fetch_add(1, Relaxed);
                    return Err(Refusal::LATE);
                }
                Err(Failure::Untouched(_) | Failure::Repeatable(_) | Failure::Lost) => {
                    server.counters.failed.fetch_add(1, Relaxed);
                    return Err(Refusal::FAILED);
                }
            }
        }
    }

    /// What chooses the server, if the pool goes by it.
    fn key(&self, request: &Request<Incoming>) -> Option<u64> {
        let text =
            |name| request.headers().get(name).map(|value: &header::HeaderValue| value.as_bytes());
        let hashed = match &self.pool.settings.key {
            Key::Source => {
                return Some(self.client.core.hash(self.client.ends.client.ip().to_canonical()));
            }
            Key::Header(name) => text(name)?,
            Key::Cookie(name) => cookie(text(&header::COOKIE)?, name)?,
        };
        Some(self.client.core.hash(hashed))
    }

    /// The header as the server gets it.
    fn prepare(&self, head: &mut request::Parts) -> Result<(), Refusal> {
        let protocol = headers::strip(&mut head.headers);
        if let Some(protocol) = protocol {
            headers::ask_upgrade(&mut head.headers, protocol);
        }
        let Client { ends, tls, .. } = self.client;
        headers::forwarded(&mut head.headers, ends.client.ip(), tls.is_some(), self.trusted);
        head.version = Version::HTTP_11;
        if head.uri.authority().is_some() {
            let path = route::path_and_query(&head.uri);
            head.uri = path.parse::<Uri>().map_err(|_| Refusal::BAD)?;
        }
        Ok(())
    }

    fn kept(&self) -> &Rc<Kept> {
        match self.pool.settings.send_proxy {
            Some(_) => &self.client.own,
            None => &self.client.core.kept,
        }
    }

    async fn connection(&self, server: &Arc<Server>) -> Result<Connection, upstream::Unreachable> {
        let keep_alive = self.pool.settings.timeouts.keep_alive;
        while let Some(mut kept) = self.kept().take(server, keep_alive) {
            if kept.sender.ready().await.is_ok() {
                return Ok(kept);
            }
        }
        let Client { ends, tls, .. } = self.client;
        upstream::open(self.pool, server, *ends, tls.as_ref()).await
    }

    async fn send(
        &self,
        connection: Connection,
        request: Request<Outgoing>,
        server: &Arc<Server>,
        lease: Lease,
        moved: &Rc<Cell<Instant>>,
        asked: Option<&OnUpgrade>,
    ) -> Result<Response<Answer>, Failure> {
        let Connection { mut sender, used } = connection;
        // A kept connection may be closed by the server just now, without an answer.
        let again =
            (used && asked.is_none() && is_repeatable(&request)).then(|| copy(&request, moved));
        moved.set(Instant::now());
        let answer = tokio::select! {
            answer = sender.try_send_request(request) => answer,
            () = silence(moved, self.pool.settings.timeouts.response) => return Err(Failure::Late),
        };
        let mut response = match answer {
            Ok(response) => response,
            Err(mut error) => return Err(failure(&mut error, again)),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            headers::strip(response.headers_mut());
        }
        *response.version_mut() = Version::HTTP_11;
        let release = Release { kept: self.kept().clone(), server: server.clone(), sender };
        let stage = self.client.stage.clone();
        Ok(response.map(|incoming| Answer::of(incoming, release, lease, stage)))
    }
}

fn failure(
    error: &mut TrySendError<Request<Outgoing>>,
    again: Option<Request<Outgoing>>,
) -> Failure {
    match (error.take_message(), again) {
        (Some(back), _) => Failure::Untouched(back),
        (None, Some(copy)) if !error.error().is_timeout() => Failure::Repeatable(copy),
        (None, _) => Failure::Lost,
    }
}

/// Whether a request may be sent twice: it changes nothing (RFC 9110 section 9.2.2), and is here as a whole.
fn is_repeatable(request: &Request<Outgoing>) -> bool {
    request.method().is_idempotent() && request.body().is_end_stream()
}

fn copy(request: &Request<Outgoing>, moved: &Rc<Cell<Instant>>) -> Request<Outgoing> {
    let mut copy = Request::new(Outgoing::none(moved.clone()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Until nothing has moved for so long.
async fn silence(moved: &Cell<Instant>, limit: Duration) {
    loop {
        let end = moved.get() + limit;
        if Instant::now() >= end {
            return;
        }
        sleep_until(end).await;
    }
}

/// The value of a cookie in a `Cookie` header (RFC 6265 section 4.2).
fn cookie<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut pairs = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let header = b"a=1; sid=x=y ; bsid=2";
        assert_eq!(cookie(header, "sid"), Some(&b"x=y"[..]));
        assert_eq!(cookie(header, "id"), None);
        assert_eq!(cookie(header, "a"), Some(&b"1"[..]));
    }
}
