//! What control says to the dataplane, and what it answers: plain serde types, nothing else.
//!
//! The socket carries newline-delimited JSON: one [`Request`] a line, one [`Reply`] a line, in order.
//! It can be driven by hand:
//!
//! ```sh
//! echo '{"stats": {}}' | socat - UNIX-CONNECT:/run/palier/dataplane.sock
//! ```
//!
//! [`Snapshot`] is the heart: the *whole* state the dataplane shall have, never a difference, so that
//! applying it twice, or after a restart of either side, is harmless.

mod counter;
mod key;
mod prefix;
mod reply;
mod request;
mod snapshot;
mod stats;

pub use key::{BadHashKey, HashKey};
pub use prefix::{BadPrefix, Prefix};
pub use reply::{
    BfdState, BfdStatus, Captured, Explanation, Flow, Flows, Greeting, Heartbeat, Heartbeats,
    InForce, Reply, Tuple, Whereabouts,
};
pub use request::{
    Apply, BadRequest, CaptureFilter, ExplainQuery, FlowsQuery, MAX_CAPTURE, MAX_PAGE, MAX_PAUSE,
    Request, Restart, apply_line,
};
pub use snapshot::{
    BfdSession, Hash, IdleTimes, Limits, Member, Node, Ports, ProbePorts, Protocol, Rate, Release,
    Service, Snapshot, State,
};
pub use stats::{MemberStats, NodeStats, PortStats, ServiceStats, Stats, Traffic, WorkerStats};

/// Version of this protocol. It rises when a message changes in a way that the other side would misread.
pub const VERSION: u32 = 1;
