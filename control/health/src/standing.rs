//! What is asked of whom, what came back, and what is thought of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Check;

/// A check aimed at a target. Equal ones run once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// What is asked, and when.
    pub check: Arc<Check>,
    /// Whom.
    pub target: Target,
}

/// Whom a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The node's name: in messages, and for `{node}`.
    pub node: Arc<str>,
    /// Where the packets go: the node's own address, or a VIP through the tunnel.
    pub address: IpAddr,
    /// Port; 0 for kinds that have none.
    pub port: u16,
    /// Where they come from, if that matters: through the tunnel.
    pub source: Option<Source>,
    /// What a TCP connection begins with, whatever is asked then: a PROXY header. Agents get none.
    pub preamble: Option<Arc<[u8]>>,
}

/// Where a probe's packets come from: the dataplane knows by the port which node they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// This node's own address, of the target's family.
    pub address: IpAddr,
    /// First port of the node's block.
    pub first_port: u16,
    /// Last port of the node's block.
    pub last_port: u16,
}

/// What a probe brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether the target is well.
    pub outcome: Outcome,
    /// What the target wants to be, at once and whatever the outcome; unchanged if absent.
    pub admin: Option<Admin>,
    /// Its weight in percent of the configured one; unchanged if absent.
    pub weight: Option<u16>,
    /// Most connections that it wants (an agent's `maxconn`); unchanged if absent.
    pub max_connections: Option<u32>,
    /// Why, for an operator: `HTTP 503`, `connection refused`, `no answer within 1s`.
    pub reason: String,
}

impl Report {
    /// A report of nothing but an outcome.
    pub fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, admin: None, weight: None, max_connections: None, reason: reason.into() }
    }
}

/// Whether a target is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is.
    Passed,
    /// It answers, and refuses new connections.
    Refused,
    /// It is not.
    Failed,
    /// Nothing was learned: an agent that says nothing of health, or does not answer.
    Silent,
    /// The target was not asked: this host lacks a descriptor, memory, a port or its own address.
    /// That is no word about the target, whose state stays; at the start it has none yet.
    Unasked,
}

/// What a target wants to be, or an operator wants it to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admin {
    /// In service.
    #[default]
    Ready,
    /// No new flows; those it has stay.
    Drain,
    /// No new flows; those it has go after a while.
    Maintenance,
}

/// What the answers of one target to one check say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It takes new flows.
    Up,
    /// It refuses them.
    Drain,
    /// It does not answer as it should.
    Down,
}

/// What is thought of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Nothing yet before the first verdict.
    pub state: Option<State>,
    /// What it asked for itself.
    pub admin: Admin,
    /// Percent of the configured weight.
    pub weight: u16,
    /// Most connections that it asked for, if it did.
    pub max_connections: Option<u32>,
    /// The last report's reason.
    pub reason: String,
    /// When `state`, `admin`, `weight` or `max_connections` last changed, on the clock that the monitor was given
    /// (CLOCK_BOOTTIME).
    pub since: Duration,
    /// Answers in a row that speak against `state`, and how many would change it.
    pub against: (u32, u32),
}
