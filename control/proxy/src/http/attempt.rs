//! A request at servers: one after the other, for as long as nothing of it can have had an effect.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::Release;
use super::edit::{self, Known};
use super::outgoing::Progress;
use super::record::Trace;
use super::repeat::{copy, has_odd_body, is_repeatable};
use super::{Answer, Client, Outgoing, Refusal, headers, upgrade};
use crate::affinity;
use crate::assign::{Asker, Assigned, Nobody};
use crate::patience::Patience;
use crate::pool::{Lease, Pool, Server, ServerId};
use crate::settings::{Http, Key, Route, ServerTimeouts};
use crate::stats::count;
use crate::upstream::{self, Connection, Kept};

/// What an attempt needs to know.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a Client,
    pub(super) pool: &'a Arc<Pool>,
    pub(super) http: &'a Http,
    pub(super) route: &'a Route,
    /// What headers are told of the request.
    pub(super) known: &'a Known<'a>,
    pub(super) trace: &'a Trace,
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
    /// Gives a request to servers until one has answered.
    ///
    /// What can be done at once is not part of what waits: the future has a request once, not at each stage
    /// of its making.
    pub(super) fn run(
        self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answer>, Refusal>> {
        let key = self.key(&request);
        let own = affinity::take(&self.client.core, self.pool, request.headers_mut());
        let asked = upgrade::take(&mut request);
        let takes_interim = request.version() >= Version::HTTP_11;
        let progress = Rc::new(Progress::default());
        let limit = self.client.frontend.timeouts.body;
        let request = request.map(|body| match body.is_end_stream() {
            true => Outgoing::none(progress.clone()),
            false => Outgoing::of(body, limit, progress.clone(), self.client.stage.clone()),
        });
        let prepared = self.prepared(request, asked.is_some());
        async move { self.ask(prepared?, takes_interim, key, own, asked, progress).await }
    }

    async fn ask(
        self,
        mut request: Request<Outgoing>,
        takes_interim: bool,
        key: Option<u64>,
        own: Option<ServerId>,
        asked: Option<OnUpgrade>,
        progress: Rc<Progress>,
    ) -> Result<Response<Answer>, Refusal> {
        let (pool, started) = (self.pool, Instant::now());
        pool.budget.earn(pool.settings.retry_budget);
        let asker = Asker { core: &self.client.core, pool, key, own };
        let mut tried = Vec::new();
        let interim = &self.client.interim;
        let exchange = match takes_interim {
            true => Some(poll_fn(|context| Poll::Ready(interim.open(context))).await),
            false => None,
        };
        loop {
            let Assigned { newer, place, lease } = match asker.assign(&tried).await {
                Ok(assigned) => assigned,
                Err(Nobody::Usable) if !tried.is_empty() => return Err(Refusal::FAILED),
                Err(nobody) => {
                    nobody.count(&pool.stats);
                    return Err(Refusal::BUSY);
                }
            };
            let pool = newer.as_ref().unwrap_or(pool);
            let server = &pool.servers[place];
            let connection = match self.connection(pool, server).await {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::debug!(server = server.settings.name, %error, "no connection");
                    if self.gives_up(server, &mut tried) {
                        return Err(Refusal::FAILED);
                    }
                    continue;
                }
            };
            let used = connection.used;
            if let Some(exchange) = &exchange {
                exchange.listen(&mut request, |headers| _ = headers::strip(headers));
            }
            match self.send(connection, request, pool, server, lease, &progress).await {
                // It speaks another protocol from now on, which nobody asked for.
                Ok(response)
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS && asked.is_none() =>
                {
                    count(&server.counters().failed);
                    return Err(Refusal::FAILED);
                }
                Ok(mut response) => {
                    self.trace.answered(pool, server, response.status());
                    server.counters().times.add(started.elapsed());
                    if own != Some(server.id) {
                        affinity::give(&self.client.core, pool, server, response.headers_mut());
                    }
                    for edits in [&self.http.response_headers, &self.route.response_headers] {
                        edit::apply(edits, response.headers_mut(), self.known);
                    }
                    return Ok(upgrade::join(asked, response, self.client));
                }
                // It was closed while it was kept: no fault of the server's.
                Err(Failure::Untouched(back) | Failure::Repeatable(back)) if used => request = back,
                Err(Failure::Untouched(back) | Failure::Repeatable(back)) => {
                    if self.gives_up(server, &mut tried) {
                        return Err(Refusal::FAILED);
                    }
                    request = back;
                }
                Err(Failure::Late) => {
                    count(&server.counters().failed);
                    return Err(Refusal::LATE);
                }
                Err(_) if progress.late.get() => return Err(Refusal::SLOW),
                Err(_) if progress.broken.get() => return Err(Refusal::BAD),
                Err(Failure::Lost) => {
                    count(&server.counters().failed);
                    return Err(Refusal::FAILED);
                }
            }
        }
    }

    /// Notes that a server has failed; whether that was the last try.
    fn gives_up(&self, server: &Server, tried: &mut Vec<ServerId>) -> bool {
        count(&server.counters().failed);
        tried.push(server.id);
        let over = tried.len() > self.pool.settings.retries as usize || !self.pool.budget.spend();
        if !over {
            self.trace.retried(self.pool);
        }
        over
    }

    /// What chooses the server, if the pool goes by it.
    fn key(&self, request: &Request<Incoming>) -> Option<u64> {
        let text =
            |name| request.headers().get(name).map(|value: &header::HeaderValue| value.as_bytes());
        let hashed = match &self.pool.settings.key {
            Key::Source => {
                return Some(
                    self.client.core.hash(self.client.origin.ends.client.ip().to_canonical()),
                );
            }
            Key::Header(name) => text(name)?,
            Key::Cookie(name) => affinity::cookie(text(&header::COOKIE)?, name)?,
        };
        Some(self.client.core.hash(hashed))
    }

    fn kept(&self, pool: &Pool) -> &Rc<Kept> {
        match pool.settings.send_proxy {
            Some(_) => &self.client.own,
            None => &self.client.core.kept,
        }
    }

    async fn connection(
        &self,
        pool: &Pool,
        server: &Arc<Server>,
    ) -> Result<Connection, upstream::Unreachable> {
        let ServerTimeouts { keep_alive, connect, .. } = pool.settings.timeouts;
        while let Some(mut kept) = self.kept(pool).take(server, keep_alive) {
            if let Ok(Ok(())) = timeout(connect, kept.sender.ready()).await {
                return Ok(kept);
            }
        }
        // Boxed: most requests find a connection, and all would have to carry the room for making one.
        Box::pin(upstream::open(pool, server, &self.client.origin)).await
    }

    /// Sends it at once, and waits for the answer.
    fn send(
        &self,
        connection: Connection,
        request: Request<Outgoing>,
        pool: &Pool,
        server: &Arc<Server>,
        lease: Lease,
        progress: &Rc<Progress>,
    ) -> impl Future<Output = Result<Response<Answer>, Failure>> {
        let Connection { mut sender, task, used } = connection;
        // A kept connection may be closed by the server just now, without an answer.
        let repeatable = used && is_repeatable(&request);
        let again = repeatable.then(|| Box::new(copy(&request, progress)));
        let kept = (!has_odd_body(&request)).then(|| self.kept(pool).clone());
        let timeouts = pool.settings.timeouts;
        progress.moved.set(Instant::now());
        let answer = sender.try_send_request(request);
        async move {
            let answer = tokio::select! {
                answer = answer => answer,
                () = silence(progress, timeouts.response) => {
                    return Err(Failure::Late);
                }
            };
            let mut response = match answer {
                Ok(response) => response,
                Err(mut error) => return Err(failure(&mut error, again)),
            };
            if response.headers().contains_key(header::TRANSFER_ENCODING) {
                // It means nothing beside chunks, and would be believed without them (RFC 9112 section 6.3).
                response.headers_mut().remove(header::CONTENT_LENGTH);
            }
            // One that speaks HTTP/1.0 understands no chunks, which the next request may have.
            let kept = kept.filter(|_| response.version() != Version::HTTP_10);
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let wanted = headers::strip(response.headers_mut());
                // It tells which protocol it wants (RFC 9110 section 15.5.22).
                if let Some(wanted) = wanted
                    && response.status() == StatusCode::UPGRADE_REQUIRED
                {
                    headers::ask_upgrade(response.headers_mut(), wanted);
                }
            }
            *response.version_mut() = Version::HTTP_11;
            let release = Release { kept, server: server.clone(), sender, task };
            let stage = self.client.stage.clone();
            Ok(response.map(|incoming| {
                let patience = Patience::of(timeouts.body);
                Answer::of(incoming, patience, progress.clone(), release, lease, stage)
            }))
        }
    }
}

fn failure(
    error: &mut TrySendError<Request<Outgoing>>,
    again: Option<Box<Request<Outgoing>>>,
) -> Failure {
    match (error.take_message(), again) {
        (Some(back), _) => Failure::Untouched(back),
        (None, Some(copy)) if !error.error().is_timeout() => Failure::Repeatable(*copy),
        (None, _) => Failure::Lost,
    }
}

/// Until nothing has moved for so long, for all that the client does.
async fn silence(progress: &Progress, limit: Duration) {
    loop {
        let end = progress.patience_ends(limit);
        if Instant::now() >= end {
            return;
        }
        sleep_until(end).await;
    }
}
