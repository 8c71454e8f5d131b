use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Protocol, Snapshot, Stats};

/// One line back: an object with one key, which says what it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// To `hello`.
    Hello(Greeting),
    /// To `snapshot`. `null` if none was applied yet.
    Snapshot(Option<Box<InForce>>),
    /// To `apply`: this generation is in force. Every worker runs with it but one that hangs, which its
    /// `heartbeat_ms` and `generation` in `stats` tell.
    Applied {
        /// Its number.
        generation: u64,
    },
    /// To `restart`: the process is about to end.
    Restarting {
        /// BFD sessions that the next process goes on with.
        sessions: usize,
    },
    /// To `apply` and `restart`: nothing has changed.
    Refused {
        /// Everything that is wrong with the Snapshot, or in the way.
        reasons: Vec<String>,
    },
    /// To `stats`.
    Stats(Box<Stats>),
    /// To `heartbeats`.
    Heartbeats(Heartbeats),
    /// To `explain`.
    Explain(Box<Explanation>),
    /// To `flows`.
    Flows(Flows),
    /// To `capture`.
    Capture {
        /// The packets, in the order of their passing a worker.
        packets: Vec<Captured>,
        /// How many more matched while they did not fit.
        missed: u64,
    },
    /// The line was not understood, or could not be done.
    Error(String),
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// [`crate::VERSION`].
    pub protocol: u32,
    /// Version of the flow hash, rows and Maglev: two nodes of a site must agree.
    pub hash: u32,
    /// Release of the program.
    pub program: String,
    /// CLOCK_BOOTTIME at the start of the process, in milliseconds.
    pub started_ms: u64,
}

/// The Snapshot in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its generation.
    pub generation: u64,
    /// Without its hash key: applying it again keeps the one in force.
    pub snapshot: Snapshot,
    /// Tells whether two nodes have the same key, without telling the key.
    pub key_fingerprint: String,
}

/// Whether the workers turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeats {
    /// Generation in force; absent before the first Snapshot.
    pub generation: Option<u64>,
    /// Each worker.
    pub workers: Vec<Heartbeat>,
    /// Each BFD session of the Snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bfd: Vec<BfdStatus>,
}

/// A worker's sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// CPU it is pinned to.
    pub cpu: usize,
    /// Milliseconds since it last turned its loop. Fresh also while it sleeps.
    pub heartbeat_ms: u64,
    /// Generation it runs with; absent before its first Snapshot.
    pub generation: Option<u64>,
}

/// A BFD session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BfdStatus {
    /// The router's name.
    pub router: String,
    /// The router's address.
    pub remote: IpAddr,
    /// bfd.SessionState.
    pub state: BfdState,
    /// Why it is not Up, or last was not, in words.
    pub diagnostic: String,
    /// Since when it is in this state: CLOCK_BOOTTIME in milliseconds.
    pub since_ms: u64,
    /// How often it has fallen from Up.
    pub losses: u64,
    /// The interval at which it sends, as negotiated, in milliseconds.
    pub interval_ms: u64,
    /// How long the router may be silent, as negotiated, in milliseconds; 0 if nothing is heard of it.
    pub detection_ms: u64,
    /// It does not send, as a worker shows no sign of life.
    pub held: bool,
    /// The router's operator holds the session down: that says nothing of the path (RFC 5882).
    pub remote_admin_down: bool,
}

/// State of a BFD session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BfdState {
    /// The router is not heard.
    #[default]
    Down,
    /// The router is heard; whether it hears us is not known.
    Init,
    /// Both hear each other.
    Up,
}

/// Where a flow goes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// In words.
    pub why: String,
    /// The service that takes it.
    pub service: Option<String>,
    /// Its flow hash, 16 hexadecimal digits.
    pub hash: Option<String>,
    /// Row of the service's Maglev table.
    pub row: Option<u32>,
    /// Owner of that row.
    pub row_owner: Option<String>,
    /// The connection, if one is known.
    pub known: Option<Whereabouts>,
    /// The node that its next packet goes to.
    pub node: Option<String>,
    /// Outer destination.
    pub node_address: Option<IpAddr>,
    /// Whether the node's link address is known.
    pub reachable: Option<bool>,
}

/// A known connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Workers in whose tables it is. More than one: it has moved between them (siblings).
    pub workers: Vec<usize>,
    /// Its node.
    pub node: String,
    /// Connection state.
    pub state: String,
    /// Milliseconds since its last packet.
    pub age_ms: u64,
}

/// A page of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// The connections.
    pub flows: Vec<Flow>,
    /// Cursor of the next page; absent on the last.
    pub next: Option<u64>,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Flow hash, 16 hexadecimal digits.
    pub hash: String,
    /// Worker in whose table it is.
    pub worker: usize,
    /// Its service.
    pub service: String,
    /// Its node.
    pub node: String,
    /// Connection state.
    pub state: String,
    /// Milliseconds since its last packet.
    pub age_ms: u64,
    /// With `--flow-details`: addresses and ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuple: Option<Tuple>,
}

/// Addresses and ports of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuple {
    /// The client.
    pub source: IpAddr,
    /// Its port.
    pub source_port: u16,
    /// The VIP.
    pub destination: IpAddr,
    /// Its port.
    pub destination_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

/// A packet that passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// When: nanoseconds since 1970.
    pub time_ns: u64,
    /// Worker that had it.
    pub worker: usize,
    /// What became of it: the counter's name.
    pub reason: String,
    /// Length of the frame as it came.
    pub length: u32,
    /// Its first bytes as they came, base64.
    pub data: String,
}
