//! What is said to palier-control: plain serde types, nothing else.
//!
//! Two doors, one manner: a JSON request a line, a JSON reply a line, in order. [`Request`] comes by
//! the admin socket from `palierctl`; [`PeerRequest`] by mutual TLS from the site's other nodes.
//!
//! ```sh
//! echo '{"status": {}}' | socat - UNIX-CONNECT:/run/palier/control-l4.sock
//! ```

mod dns;
mod l7;
mod peer;
mod request;
mod router;
mod state;
mod status;

/// What holds of a node, the worst of all that is said of it: what the dataplane is told.
pub use api::State as Effective;
pub use dns::{
    ChallengeStatus, CheckOfAddress, DnsNodeStatus, DnsStatus, ForcedStatus, ListenStatus,
    MemberOfResolver, ResolverStatus, ZoneStatus,
};
pub use l7::{
    FrontendStatus, Histogram, InterfaceStatus, L7Status, OwnStatus, PoolStatus, ServerStatus,
    TunnelStatus,
};
pub use peer::{PeerReply, PeerRequest, PeerStatus, Table, Tables};
pub use request::{Change, Failed, Reply, Request};
pub use router::{BfdSessionStatus, KeptBack, RouteStatus, RouterStatus, SessionStatus};
pub use state::{Entry, Said, States};
pub use status::{
    CheckStatus, DataplaneStatus, FileStatus, GateStatus, MemberStatus, NodeStatus, Refusal,
    ServiceStatus, Status, VipStatus,
};

/// Version of both protocols. It rises when a message changes in a way that the other side would
/// misread.
pub const VERSION: u32 = 1;
