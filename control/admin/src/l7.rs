//! How an L7 node is.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use api::State as Effective;
use health::Admin;
use serde::{Deserialize, Serialize};

use crate::{CheckStatus, Entry, FileStatus};

/// How an L7 node is, as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct L7Status {
    /// Name of the site.
    pub site: String,
    /// Name of this node.
    pub node: String,
    /// Its role: `l7`.
    pub role: String,
    /// Release of control.
    pub program: String,
    /// Its process id.
    pub pid: u32,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// What an operator should look at, the worst first. Empty when all is well.
    pub alarms: Vec<String>,
    /// The site file.
    pub file: FileStatus,
    /// What the node tells of itself.
    pub own: OwnStatus,
    /// How it takes packets out of tunnels, if it does.
    pub tunnel: Option<TunnelStatus>,
    /// Connections of clients that are open.
    pub connections: u64,
    /// Where clients come.
    pub frontends: Vec<FrontendStatus>,
    /// Where their requests go.
    pub pools: Vec<PoolStatus>,
    /// What control counts: `probes`, `reloads_refused`, ...
    pub counters: BTreeMap<String, u64>,
}

/// What a node tells of itself by its health URIs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnStatus {
    /// What holds: the worst of all that follows.
    pub state: Admin,
    /// What an operator said of it, if anyone did.
    pub operator: Option<Entry>,
    /// What its own checks say against it: `check file /etc/lb/disable: it exists`.
    pub disabled: Vec<String>,
    /// How far it has come with going away, if it goes.
    pub leaving: Option<String>,
}

/// How a node takes packets out of tunnels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunnelStatus {
    /// Where they arrive.
    pub interfaces: Vec<InterfaceStatus>,
    /// VIPs that are on `lo`.
    pub vips: Vec<String>,
    /// Routes whose clients are told to leave room: `default via 192.0.2.129: advmss 1440`.
    pub routes: Vec<String>,
    /// What is not as it should be.
    pub problems: Vec<String>,
}

/// An interface on which tunnelled packets arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Where the decapsulator meets packets (`tcx`); absent if it does not.
    pub hook: Option<String>,
    /// What it counts: `decap_4in4`, `drop_source`, ...
    pub counters: BTreeMap<String, u64>,
}

/// A place where clients come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendStatus {
    /// Its name.
    pub name: String,
    /// Name of its service.
    pub service: String,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Connections that are open.
    pub open: u32,
    /// Most that may be.
    pub max_connections: Option<u32>,
    /// What it counts.
    pub counters: BTreeMap<String, u64>,
    /// From a request's header to the end of its answer.
    pub times: Histogram,
}

/// How often which time was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Upper bounds of the buckets in milliseconds; a last one has none.
    pub bounds_ms: Vec<u64>,
    /// How many are in each.
    pub counts: Vec<u64>,
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

/// Servers that serve the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// How many of its servers take new requests.
    pub usable: u32,
    /// How many have to.
    pub quorum: u32,
    /// What it counts.
    pub counters: BTreeMap<String, u64>,
    /// Requests that wait for a server.
    pub waiting: u32,
    /// They.
    pub servers: Vec<ServerStatus>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: String,
    /// Where it is; absent while its name has no address.
    pub address: Option<SocketAddr>,
    /// What holds: the worst of all that follows.
    pub state: Effective,
    /// Why, if it is not up.
    pub reason: String,
    /// Weight that counts: configured times the agent's.
    pub weight: u32,
    /// What it asked for itself.
    pub agent: Admin,
    /// What an operator wants.
    pub operator: Admin,
    /// Percent of its weight that an operator wants it to have.
    pub operator_weight: u16,
    /// Requests that it has now.
    pub busy: u32,
    /// Each check.
    pub checks: Vec<CheckStatus>,
    /// What is counted of it.
    pub counters: BTreeMap<String, u64>,
    /// From a request's header to that of its answer.
    pub times: Histogram,
}
