use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Prefix, Protocol, Snapshot};

/// Most flows in one reply to [`Request::Flows`].
pub const MAX_PAGE: u32 = 10_000;
/// Most packets in one reply to [`Request::Capture`].
pub const MAX_CAPTURE: u32 = 1_000;
/// Longest [`Restart::pause_ms`].
pub const MAX_PAUSE: u32 = 60_000;

/// One line to the dataplane: `{"stats": {}}`, `{"apply": SNAPSHOT, "force": false}`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Versions and start time. The first line of a careful client.
    Hello,
    /// The Snapshot in force.
    Snapshot,
    /// Replace the Snapshot.
    Apply(Box<Apply>),
    /// Counters of everything.
    Stats,
    /// Whether the workers turn: little, for a watchdog.
    Heartbeats,
    /// Where a flow goes, and why.
    Explain(ExplainQuery),
    /// The connections that are known, page by page.
    Flows(FlowsQuery),
    /// Packets as they pass.
    Capture(CaptureFilter),
    /// End, to be started anew by whoever watches over the process, without routers noticing.
    Restart(Restart),
}

/// A planned end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// How long it may take until the next process forwards, in milliseconds, up to [`MAX_PAUSE`]:
    /// routers with BFD are asked to bear a silence of that long.
    pub pause_ms: u32,
    /// CLOCK_BOOTTIME in milliseconds after which it shall not begin: whoever asked has given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after_ms: Option<u64>,
}

/// A Snapshot to put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// It.
    pub snapshot: Snapshot,
    /// Accept a change of the hash key too, which moves every flow.
    pub force: bool,
}

/// The flow in question, as the client's packets carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// The client.
    pub source: IpAddr,
    /// Its port.
    pub source_port: u16,
    /// The VIP.
    pub destination: IpAddr,
    /// Its port.
    pub destination_port: u16,
    /// TCP if not said.
    #[serde(default = "tcp")]
    pub protocol: Protocol,
}

/// Which page of the connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowsQuery {
    /// [`crate::Flows::next`] of the page before; 0 for the first.
    pub cursor: u64,
    /// Most flows to return, up to [`MAX_PAGE`].
    pub limit: Option<u32>,
    /// Only those of this service.
    pub service: Option<String>,
    /// Only those of this node.
    pub node: Option<String>,
}

/// Which packets to show. What is not said matches all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureFilter {
    /// Return once so many have passed, up to [`MAX_CAPTURE`].
    pub packets: u32,
    /// Return after so many milliseconds with what there is, up to 60 s.
    pub timeout_ms: u32,
    /// Only packets that were dropped.
    pub dropped: bool,
    /// Only packets with this verdict: the counter's name.
    pub reason: Option<String>,
    /// Source address.
    pub source: Option<Prefix>,
    /// Destination address.
    pub destination: Option<Prefix>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
    /// Bytes kept of each packet.
    pub snap_length: u16,
}

impl Default for CaptureFilter {
    fn default() -> Self {
        Self {
            packets: 100,
            timeout_ms: 1_000,
            dropped: false,
            reason: None,
            source: None,
            destination: None,
            source_port: None,
            destination_port: None,
            snap_length: 256,
        }
    }
}

/// A line that is not a request.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// Not JSON, or not of a request's shape.
    #[error("not a request: {0}")]
    Malformed(#[from] serde_json::Error),
    /// No request, or more than one.
    #[error(
        "a line is one of {{\"hello\": {{}}}}, {{\"snapshot\": {{}}}}, \
         {{\"apply\": SNAPSHOT, \"force\": false}}, {{\"stats\": {{}}}}, {{\"heartbeats\": {{}}}}, {{\"explain\": FLOW}}, \
         {{\"flows\": {{}}}}, {{\"capture\": {{}}}}, \
         {{\"restart\": {{\"pause_ms\": 5000}}}}"
    )]
    NotOne,
}

/// `S` is the Snapshot, or a reference to it: it is large.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<S> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hello: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apply: Option<S>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    force: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heartbeats: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<ExplainQuery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<FlowsQuery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<CaptureFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart: Option<Restart>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

impl Request {
    /// The request on this line.
    ///
    /// # Errors
    /// It is not JSON, has unknown keys, or is not exactly one request.
    pub fn parse(line: &str) -> Result<Self, BadRequest> {
        let line: Line<Snapshot> = serde_json::from_str(line)?;
        let Line {
            hello,
            snapshot,
            apply,
            force,
            stats,
            heartbeats,
            explain,
            flows,
            capture,
            restart,
        } = line;
        if force && apply.is_none() {
            return Err(BadRequest::NotOne);
        }
        let mut found = [
            hello.map(|_| Self::Hello),
            snapshot.map(|_| Self::Snapshot),
            apply.map(|snapshot| Self::Apply(Box::new(Apply { snapshot, force }))),
            stats.map(|_| Self::Stats),
            heartbeats.map(|_| Self::Heartbeats),
            explain.map(Self::Explain),
            flows.map(Self::Flows),
            capture.map(Self::Capture),
            restart.map(Self::Restart),
        ]
        .into_iter()
        .flatten();
        match (found.next(), found.next()) {
            (Some(request), None) => Ok(request),
            _ => Err(BadRequest::NotOne),
        }
    }

    /// The line that says it, without its newline.
    pub fn to_line(&self) -> String {
        let mut line = Line::EMPTY;
        match self {
            Self::Hello => line.hello = Some(Empty {}),
            Self::Snapshot => line.snapshot = Some(Empty {}),
            Self::Apply(apply) => return apply_line(&apply.snapshot, apply.force),
            Self::Stats => line.stats = Some(Empty {}),
            Self::Heartbeats => line.heartbeats = Some(Empty {}),
            Self::Explain(query) => line.explain = Some(*query),
            Self::Flows(query) => line.flows = Some(query.clone()),
            Self::Capture(filter) => line.capture = Some(filter.clone()),
            Self::Restart(restart) => line.restart = Some(*restart),
        }
        line.to_text()
    }
}

/// The line of [`Request::Apply`] for a Snapshot that stays where it is.
pub fn apply_line(snapshot: &Snapshot, force: bool) -> String {
    Line { apply: Some(snapshot), force, ..Line::EMPTY }.to_text()
}

impl Line<&Snapshot> {
    const EMPTY: Self = Self {
        hello: None,
        snapshot: None,
        apply: None,
        force: false,
        stats: None,
        heartbeats: None,
        explain: None,
        flows: None,
        capture: None,
        restart: None,
    };

    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a request has no map with keys that are not strings")
    }
}

fn tcp() -> Protocol {
    Protocol::Tcp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_their_line() {
        let snapshot = Snapshot {
            generation: 7,
            hash_key: Some(crate::HashKey::new([1; 16])),
            addresses: vec!["192.0.2.132".parse().unwrap()],
            tunnel_sources: vec!["192.0.2.64/26".parse().unwrap()],
            nodes: vec![],
            services: vec![],
            routers: vec![],
            management: vec![],
            bfd: vec![crate::BfdSession {
                router: "r1".into(),
                local: "fe80::2".parse().unwrap(),
                remote: "fe80::1".parse().unwrap(),
                interface: Some("palier0".into()),
                interval_ms: 100,
                multiplier: 3,
            }],
            limits: crate::Limits::default(),
            idle: crate::IdleTimes::default(),
        };
        for request in [
            Request::Hello,
            Request::Snapshot,
            Request::Apply(Box::new(Apply { snapshot, force: true })),
            Request::Stats,
            Request::Heartbeats,
            Request::Flows(FlowsQuery::default()),
            Request::Restart(Restart { pause_ms: 5_000, not_after_ms: Some(7) }),
            Request::Capture(CaptureFilter { dropped: true, ..CaptureFilter::default() }),
        ] {
            assert_eq!(Request::parse(&request.to_line()).unwrap(), request);
        }
    }

    #[test]
    fn a_line_is_exactly_one_request() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"stats": {}, "hello": {}}"#,
            r#"{"force": true}"#,
            r#"{"stats": {"all": true}}"#,
            r#"{"reboot": {}}"#,
        ] {
            assert!(Request::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Request::parse(r#" {"stats": {}} "#).unwrap(), Request::Stats);
    }
}
