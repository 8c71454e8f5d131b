//! How a node that serves zones is.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{CheckStatus, FileStatus, Said};

/// How a node that serves zones is, as it sees itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsStatus {
    /// Name of the site.
    pub site: String,
    /// Name of this node.
    pub node: String,
    /// Its role: `dns`.
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
    /// Whether questions are answered.
    pub is_answering: bool,
    /// What is waited for, if something is: `a reload waits: 4 checks have not said anything`.
    pub waiting: Option<String>,
    /// Where questions come.
    pub listen: Vec<ListenStatus>,
    /// Connections that are open.
    pub connections: u64,
    /// What is served.
    pub zones: Vec<ZoneStatus>,
    /// What dynamic records say.
    pub resolvers: Vec<ResolverStatus>,
    /// What operators forced, in the order in which it counts: the last one that matches holds.
    pub forced: Vec<ForcedStatus>,
    /// Texts that are answered for ACME clients.
    pub challenges: Vec<ChallengeStatus>,
    /// The other nodes that serve zones.
    pub nodes: Vec<DnsNodeStatus>,
    /// Answers by their response codes: `noerror`, `nxdomain`, ...
    pub answers: BTreeMap<String, u64>,
    /// What else became of messages: `dropped`, `truncated`, `limited`, ...
    pub events: BTreeMap<String, u64>,
    /// What control counts: `probes`, `reloads_refused`, ...
    pub counters: BTreeMap<String, u64>,
}

/// Another node that serves zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsNodeStatus {
    /// Its name.
    pub name: String,
    /// Release of its control; absent as long as it has not answered.
    pub program: Option<String>,
    /// Milliseconds since it last answered.
    pub age_ms: Option<u64>,
    /// Why it did not answer the last question.
    pub error: Option<String>,
}

/// A place where questions come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenStatus {
    /// Where.
    pub address: SocketAddr,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
}

/// A zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Serial number of its SOA record.
    pub serial: u32,
    /// Names that have records.
    pub names: u64,
    /// Answers by their response codes: `noerror`, `nxdomain`, ...
    pub answers: BTreeMap<String, u64>,
}

/// A resolver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolverStatus {
    /// As zones name it: `multifo!web`.
    pub name: String,
    /// Whether it has what it is there for: enough that is up.
    pub is_up: bool,
    /// Seconds until that may change; absent: never.
    pub ttl: Option<u32>,
    /// What it chooses among.
    pub members: Vec<MemberOfResolver>,
}

/// One of several that a resolver chooses among.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberOfResolver {
    /// An address, a name or a datacenter.
    pub name: String,
    /// Its address, if it is one.
    pub address: Option<IpAddr>,
    /// Whether it is given.
    pub is_up: bool,
    /// Seconds until that may change; absent: never.
    pub ttl: Option<u32>,
    /// Its weight, if it has one.
    pub weight: Option<u32>,
    /// Each check.
    pub checks: Vec<CheckOfAddress>,
}

/// A check of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOfAddress {
    /// As patterns name it: `198.51.100.1/http`.
    pub name: String,
    /// What holds of it.
    pub is_up: bool,
    /// What was forced, if that is why.
    pub forced: bool,
    /// What it found itself; absent of what nobody asks.
    pub found: Option<CheckStatus>,
}

/// What an operator forced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForcedStatus {
    /// What it matches.
    pub pattern: String,
    /// What it was forced to.
    pub said: Said,
    /// Who and where, or which file.
    pub by: String,
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// How many things it matches.
    pub matches: u64,
}

/// A text that is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeStatus {
    /// Where.
    pub name: String,
    /// What.
    pub text: String,
    /// Until when: milliseconds since 1970.
    pub until_ms: u64,
}
