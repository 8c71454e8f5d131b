//! Requests: each goes to a server of the pool that its route names, and its answer back.

mod answer;
mod attempt;
mod edit;
mod headers;
mod host;
mod outgoing;
mod own;
mod prepare;
mod record;
mod repeat;
pub(crate) mod route;
mod upgrade;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::sleep;

pub(crate) use self::answer::Answer;
use self::attempt::Attempt;
use self::edit::Known;
pub(crate) use self::outgoing::Outgoing;
use self::own::Refusal;
use self::record::{Open, Told, Trace};
use self::route::Asked;
use crate::core::{Core, State};
use crate::interim::Interim;
use crate::pool::Pool;
use crate::settings::{Action, Frontend, Http, Mode, Route};
use crate::stage::{Phase, Stage};
use crate::stream::Guarded;
use crate::upstream::{Kept, Origin, Secured, Stream};

/// A client, for as long as it is connected.
pub(crate) struct Client {
    pub(crate) core: Rc<Core>,
    /// As it was when the client came.
    pub(crate) frontend: Arc<Frontend>,
    /// The settings of the last request. They stay those of a client whose address is no more in the file: its
    /// routes name pools by their places.
    state: RefCell<Arc<State>>,
    /// The address that it came to, of the frontend's.
    listening: SocketAddr,
    pub(crate) origin: Origin,
    /// Requests so far.
    requests: Cell<u64>,
    stage: Stage,
    interim: Interim,
    /// Connections to servers that were told who it is.
    own: Rc<Kept>,
}

impl Client {
    pub(crate) fn new(
        core: Rc<Core>,
        frontend: Arc<Frontend>,
        listening: SocketAddr,
        origin: Origin,
    ) -> Self {
        let (requests, stage, interim, own) = Default::default();
        let state = RefCell::new(core.state());
        Self { core, frontend, state, listening, origin, requests, stage, interim, own }
    }

    /// Serves its requests until it or we have enough.
    pub(crate) fn serve<S>(self, stream: S) -> impl Future<Output = ()>
    where
        S: Stream + 'static,
    {
        let Frontend { timeouts, limits, .. } = *self.frontend;
        let stream = Guarded::new(stream, self.stage.clone(), self.interim.clone(), timeouts);
        let leaving = self.core.leaving();
        let client = Rc::new(self);
        // Boxed, since hyper has room for one also while there is none.
        let service = service_fn(move |request| Box::pin(Self::serve_one(client.clone(), request)));
        let connection = http1::Builder::new()
            .half_close(false)
            .max_headers(limits.count)
            .max_header_size(limits.bytes)
            .header_read_timeout(None) // `Guarded` has it
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        async move {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                biased;
                // Clients that hang up are no news.
                _ = connection.as_mut() => return,
                () = leaving => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }

    async fn serve_one(
        self: Rc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        self.stage.set(Phase::Serving);
        self.stage.set_unread(!request.body().is_end_stream());
        self.requests.set(self.requests.get() + 1);
        // The settings of this moment, which may be others than when the client came.
        let state = self.state();
        let Some(door) = state.door(self.listening) else {
            return Ok(self.refusal(Refusal::NOWHERE, &[]));
        };
        let frontend = &door.frontend;
        let Mode::Http(http) = &frontend.mode else {
            return Ok(self.refusal(Refusal::NOWHERE, &[]));
        };
        let client = self.origin.ends.client.ip();
        let tls = self.origin.tls.as_ref().map(Secured::version);
        let told = |log| Told::of(&request, log, frontend, client, tls);
        let told = state.log.as_ref().map(told);
        // Checks are many, and tell nothing: they are no requests.
        let is_check = http.health_uri.as_deref() == Some(request.uri().path());
        let stats = (!is_check).then(|| door.stats.clone());
        let id = self.unique_id();
        let open = Open::new(stats, told, id.as_deref());
        let answered = match self.decide(&mut request, &state, http) {
            Ok(Decision::Answer(response)) => Ok(*response),
            Ok(Decision::Ask(way)) => {
                let asking = self.ask(request, way, http, id.as_deref(), &open.trace);
                match frontend.timeouts.total {
                    None => asking.await,
                    Some(total) => within(total, asking).await,
                }
            }
            Err(why) => Err(why),
        };
        let mut response = answered.unwrap_or_else(|why| self.refusal(why, &door.pages));
        if let Some(record) = open.answered(response.status()) {
            response = response.map(|body| body.noted(record));
        }
        if self.core.is_closing() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response)
    }

    /// The settings of this moment, if the client's address is in them.
    fn state(&self) -> Arc<State> {
        let now = self.core.state();
        let mut known = self.state.borrow_mut();
        if Arc::ptr_eq(&now, &known) {
            return now;
        }
        if now.door(self.listening).is_some() {
            *known = now;
        }
        known.clone()
    }

    /// What is to be done with a request.
    fn decide<'a>(
        &self,
        request: &mut Request<Incoming>,
        state: &'a State,
        http: &'a Http,
    ) -> Result<Decision<'a>, Refusal> {
        // After its answer bytes would go to and fro as they are: we are nobody's way to others.
        if request.method() == Method::CONNECT {
            return Err(Refusal::METHOD);
        }
        let host = host::take(request)?;
        let codings = request.headers().get_all(header::TRANSFER_ENCODING);
        if codings.iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            return Err(Refusal::CODING);
        }
        let path = request.uri().path();
        if http.health_uri.as_deref() == Some(path) {
            return Ok(Decision::Answer(self.health(http, state).into()));
        }
        let (method, headers) = (request.method(), request.headers());
        let asked = Asked { method, host: &host, path, headers };
        let Some(route) = route::find(&http.routes, asked) else { return Err(Refusal::NOWHERE) };
        let response = match &route.action {
            Action::Pool(place) => {
                let Some(pool) = state.pool(*place) else { return Err(Refusal::BUSY) };
                return Ok(Decision::Ask(Way { pool, route, host }));
            }
            Action::Answer(status, body) => self.own_answer(*status, body.clone()),
            Action::Redirect(status, target) => {
                let target = target
                    .replace("{scheme}", self.scheme())
                    .replace("{host}", &host)
                    .replace("{path}", &route::path_and_query(request.uri()));
                let mut response = self.own_answer(*status, "");
                let location = target.try_into().map_err(|_| Refusal::BAD)?;
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
        };
        Ok(Decision::Answer(response.into()))
    }

    /// Asks servers.
    async fn ask(
        &self,
        request: Request<Incoming>,
        Way { pool, route, host }: Way<'_>,
        http: &Http,
        unique_id: Option<&str>,
        trace: &Trace,
    ) -> Result<Response<Answer>, Refusal> {
        let client = self.origin.ends.client.ip().to_canonical();
        let trusted = http.trusted_proxies.iter().any(|prefix| prefix.contains(client));
        let known = &Known { client, host: &host, scheme: self.scheme(), unique_id };
        Attempt { client: self, pool, http, route, known, trace, trusted }.run(request).await
    }

    fn scheme(&self) -> &'static str {
        if self.origin.tls.is_some() { "https" } else { "http" }
    }

    /// The name of the request that is being served, if requests have names.
    fn unique_id(&self) -> Option<String> {
        Some(format!("{}-{}", self.origin.name.as_ref()?, self.requests.get()))
    }
}

/// What is to be done with a request.
enum Decision<'a> {
    /// This is the answer. Boxed, since most requests have none here.
    Answer(Box<Response<Answer>>),
    /// Servers are to be asked.
    Ask(Way<'a>),
}

/// Where a request goes.
struct Way<'a> {
    pool: &'a Arc<Pool>,
    route: &'a Route,
    host: String,
}

/// An answer that has to be over by then.
async fn within(
    limit: Duration,
    answer: impl Future<Output = Result<Response<Answer>, Refusal>>,
) -> Result<Response<Answer>, Refusal> {
    let mut deadline = Box::pin(sleep(limit));
    tokio::select! {
        answer = answer => Ok(answer?.map(|body| body.until(Some(deadline)))),
        () = deadline.as_mut() => Err(Refusal::LATE),
    }
}
