//! An HTTP/1.1 request, in the clear or by TLS.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::pin::pin;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{HeaderMap, Request, Response, http as spec};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use regex::Regex;

use super::{Context, Failure, tls};
use crate::{Admin, BodyMatch, Http, Outcome, Report, Target, connection, reason};

/// How much of a body is looked at.
const MAX_BODY: usize = 64 * 1024;

/// How large a response's head may be.
const MAX_HEAD: usize = 64 * 1024;

/// By this header, together with a drain status, an L7 node says what it wants to be.
const STATE_HEADER: &str = "palier-state";

pub(super) async fn run(
    http: &Http,
    target: &Target,
    context: &Context,
) -> Result<Report, Failure> {
    let request = request(http, target)?;
    let stream = connection::tcp(target, &context.ports).await?;
    match &http.tls {
        None => exchange(http, request, TokioIo::new(stream), context).await,
        // Boxed: a plain request's state is a third of this one's.
        Some(settings) => {
            Box::pin(async {
                let stream = tls::handshake(settings, target, stream, context).await?;
                exchange(http, request, TokioIo::new(stream), context).await
            })
            .await
        }
    }
}

fn request(http: &Http, target: &Target) -> Result<Request<Empty<Bytes>>, Failure> {
    Request::builder()
        .method(http.method.as_str())
        .uri(http.path.as_str())
        .header(HOST, host(http, target))
        .header(USER_AGENT, "palier")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|e: spec::Error| Failure::Check(format!("no such request: {e}")))
}

/// RFC 9112, section 3.2: the authority without the scheme's own port.
fn host(http: &Http, target: &Target) -> String {
    if let Some(host) = &http.host {
        return host.clone();
    }
    let default_port = if http.tls.is_some() { 443 } else { 80 };
    match (target.address, target.port) {
        (IpAddr::V4(address), port) if port == default_port => address.to_string(),
        (IpAddr::V6(address), port) if port == default_port => format!("[{address}]"),
        (IpAddr::V4(address), port) => format!("{address}:{port}"),
        (IpAddr::V6(address), port) => format!("[{address}]:{port}"),
    }
}

async fn exchange<S: Read + Write + Unpin>(
    http: &Http,
    request: Request<Empty<Bytes>>,
    stream: S,
    context: &Context,
) -> Result<Report, Failure> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        judge(http, response, context).await
    };
    let mut answer = pin!(answer);
    // The connection needs polling for the answer to come, and its end is not yet the answer's: what
    // was received is still to be read.
    tokio::select! {
        biased;
        report = &mut answer => report,
        _end = connection => answer.await,
    }
}

async fn judge(
    http: &Http,
    response: Response<Incoming>,
    context: &Context,
) -> Result<Report, Failure> {
    let status = response.status().as_u16();
    let mut report = Report::new(Outcome::Failed, format!("HTTP {status}"));
    report.admin = Some(Admin::Ready);
    if http.status.contains(status) {
        report.outcome = Outcome::Passed;
        if let Some(wanted) = &http.body
            && !matches(wanted, &beginning(response.into_body()).await?, context)?
        {
            report.outcome = Outcome::Failed;
            report.reason.push_str(", body lacks ");
            report.reason.push_str(&reason::quote(pattern(wanted).as_bytes()));
        }
    } else if http.drain_status.contains(status) {
        report.outcome = Outcome::Refused;
        if let Some(admin) = wanted_state(response.headers()) {
            report.admin = Some(admin);
            report.reason.push_str(match admin {
                Admin::Ready => "",
                Admin::Drain => ", wants to drain",
                Admin::Maintenance => ", wants maintenance",
            });
        }
    }
    Ok(report)
}

fn wanted_state(headers: &HeaderMap) -> Option<Admin> {
    let value = headers.get(STATE_HEADER)?.as_bytes();
    if value.eq_ignore_ascii_case(b"drain") {
        Some(Admin::Drain)
    } else if value.eq_ignore_ascii_case(b"maintenance") {
        Some(Admin::Maintenance)
    } else {
        None
    }
}

/// The first bytes of a body, or all if they are few. What follows is not waited for.
async fn beginning(mut body: Incoming) -> Result<Vec<u8>, Failure> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(MAX_BODY);
    let mut bytes = Vec::with_capacity(expected.min(MAX_BODY));
    while bytes.len() < MAX_BODY {
        let Some(frame) = body.frame().await else { break };
        if let Ok(data) = frame?.into_data() {
            let room = MAX_BODY - bytes.len();
            bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
        }
    }
    Ok(bytes)
}

fn matches(wanted: &BodyMatch, body: &[u8], context: &Context) -> Result<bool, Failure> {
    let text = String::from_utf8_lossy(body);
    match wanted {
        BodyMatch::Contains(characters) => Ok(text.contains(characters)),
        BodyMatch::Regex(pattern) => Ok(context.regexes.get(pattern)?.is_match(&text)),
    }
}

fn pattern(wanted: &BodyMatch) -> &str {
    match wanted {
        BodyMatch::Contains(text) | BodyMatch::Regex(text) => text,
    }
}

/// Regular expressions by their text: compiling one costs more than a probe.
#[derive(Debug, Default)]
pub(super) struct Regexes(Mutex<HashMap<String, Regex>>);

impl Regexes {
    fn get(&self, pattern: &str) -> Result<Regex, Failure> {
        let mut compiled = self.0.lock();
        if let Some(regex) = compiled.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = Regex::new(pattern).map_err(|e| Failure::Check(e.to_string()))?;
        compiled.insert(pattern.to_owned(), regex.clone());
        Ok(regex)
    }

    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }
}

/// What went wrong with a connection that is to carry HTTP, in an operator's words.
pub(super) fn reason_of(error: &hyper::Error) -> String {
    if error.is_parse_too_large() {
        return "the response's head is too large".to_owned();
    }
    if error.is_parse() {
        return "the answer is not HTTP".to_owned();
    }
    if error.is_incomplete_message() {
        return "connection closed early".to_owned();
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) => reason::of_io(io),
        None => error.to_string(),
    }
}
