//! Health checks: what tells whether a node may take connections.
//!
//! One engine for all tiers. A [`Probe`] is a [`Check`] (what the operator wrote) aimed at a
//! [`Target`]; the [`monitor`] runs each when it is due and gives what it [`Report`]s to a state
//! machine ([`machine`], pure), whose [`Standing`] says what is thought of the target, why, and
//! since when. Equal probes are one probe. [`quorum`] says whether what stands is enough.

mod connection;
pub mod machine;
pub mod monitor;
pub mod probe;
pub mod program;
pub mod quorum;
mod reason;
mod roster;
mod schedule;
mod settings;
mod standing;
mod words;

pub use settings::{
    Agent, BodyMatch, Check, Command, Content, Dns, FallMode, File, Http, Initial, Kind, StatusSet,
    Tcp, Timing, Tls, Udp,
};
pub use standing::{Admin, Outcome, Probe, Report, Source, Standing, State, Target};
