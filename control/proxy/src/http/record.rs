//! What is noted of a request until its answer has gone.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime};

use http::{Request, StatusCode, Version, header};
use hyper::body::Incoming;

use crate::access_log::{Entry, Log};
use crate::pool::{Pool, Server};
use crate::settings::Frontend;
use crate::stats::{OfFrontend, count};

/// What the way of a request leaves behind.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) server: RefCell<Option<(Arc<Pool>, Arc<Server>)>>,
    /// When the server's answer began.
    pub(super) answered: Cell<Option<Instant>>,
    pub(super) retries: Cell<u32>,
}

/// A request, until its answer has gone: then it is counted, and told to the log.
#[derive(Debug)]
pub(super) struct Record {
    started: Instant,
    status: StatusCode,
    stats: Arc<OfFrontend>,
    /// Bytes of the answer's body so far.
    pub(super) bytes: u64,
    /// Nothing more comes.
    pub(super) complete: bool,
    told: Option<Box<Told>>,
}

/// What the log is told.
#[derive(Debug)]
pub(super) struct Told {
    log: Arc<Log>,
    at: SystemTime,
    frontend: Arc<Frontend>,
    client: IpAddr,
    host: String,
    method: http::Method,
    path: String,
    protocol: &'static str,
    referer: Option<String>,
    agent: Option<String>,
    tls: Option<&'static str>,
    id: Option<String>,
    trace: Trace,
}

impl Told {
    /// What a request says; its trace and name follow.
    pub(super) fn of(
        request: &Request<Incoming>,
        log: &Arc<Log>,
        frontend: &Arc<Frontend>,
        client: IpAddr,
        tls: Option<&'static str>,
    ) -> Box<Self> {
        let text = |name| {
            let value = request.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Box::new(Self {
            log: log.clone(),
            at: SystemTime::now(),
            frontend: frontend.clone(),
            client,
            host: text(header::HOST).unwrap_or_default(),
            method: request.method().clone(),
            path: request.uri().to_string(),
            protocol: if request.version() == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" },
            referer: text(header::REFERER),
            agent: text(header::USER_AGENT),
            tls,
            id: None,
            trace: Trace::default(),
        })
    }
}

/// A request that has no answer yet. If it goes without one its client has hung up, and that is noted.
pub(super) struct Open {
    started: Instant,
    /// Nothing if it is not to be noted.
    stats: Option<Arc<OfFrontend>>,
    told: Option<Box<Told>>,
    pub(super) trace: Trace,
}

impl Open {
    /// One that begins now, with its name.
    pub(super) fn new(
        stats: Option<Arc<OfFrontend>>,
        mut told: Option<Box<Told>>,
        id: Option<&str>,
    ) -> Self {
        if let Some(told) = &mut told {
            told.id = id.map(str::to_owned);
        }
        Self { started: Instant::now(), stats, told, trace: Trace::default() }
    }

    /// Its answer begins.
    pub(super) fn answered(mut self, status: StatusCode) -> Option<Record> {
        self.record(status)
    }

    fn record(&mut self, status: StatusCode) -> Option<Record> {
        let stats = self.stats.take()?;
        let mut told = self.told.take();
        if let Some(told) = &mut told {
            told.trace = std::mem::take(&mut self.trace);
        }
        Some(Record { started: self.started, status, stats, bytes: 0, complete: false, told })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // nginx's number for it: the standard has none, as nobody is there to read it.
        if let Ok(status) = StatusCode::from_u16(499) {
            self.record(status);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let total = self.started.elapsed();
        self.stats.classes.add(self.status);
        self.stats.times.add(total);
        self.stats.bytes_out.fetch_add(self.bytes, Relaxed);
        let Some(told) = &self.told else { return };
        let server = told.trace.server.borrow();
        let us = |time: std::time::Duration| time.as_micros() as u64;
        let answered = told.trace.answered.get();
        told.log.write(&Entry {
            time: humantime::format_rfc3339_millis(told.at).to_string(),
            at: told.at,
            client: told.client,
            frontend: &told.frontend.name,
            host: &told.host,
            method: told.method.as_str(),
            path: &told.path,
            protocol: told.protocol,
            status: self.status.as_u16(),
            bytes: self.bytes,
            total_us: us(total),
            server_us: answered.map(|at| us(at.saturating_duration_since(self.started))),
            pool: server.as_ref().map(|(pool, _)| pool.settings.name.as_str()),
            server: server.as_ref().map(|(_, server)| server.settings.name.as_str()),
            retries: told.trace.retries.get(),
            id: told.id.as_deref(),
            tls: told.tls,
            referer: told.referer.as_deref(),
            agent: told.agent.as_deref(),
            complete: self.complete,
        });
    }
}

impl Trace {
    /// A server has answered.
    pub(super) fn answered(&self, pool: &Arc<Pool>, server: &Arc<Server>, status: StatusCode) {
        let now = Instant::now();
        self.answered.set(Some(now));
        server.counters().classes.add(status);
        *self.server.borrow_mut() = Some((pool.clone(), server.clone()));
    }

    /// Another one is tried.
    pub(super) fn retried(&self, pool: &Pool) {
        self.retries.set(self.retries.get() + 1);
        count(&pool.stats.retries);
    }
}
