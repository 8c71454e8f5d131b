//! palier-control: everything of a node that may wait.
//!
//! A change takes one straight line: site text -> [`config::Config`] -> [`plan::Plan`] -> a whole
//! Snapshot -> [`dataplane::link`]. A probe's verdict ([`health::monitor`]) and an operator's word
//! ([`states`]) enter that line at the plan; [`steer`] is the loop that walks it.

pub mod admin;
pub mod aim;
pub mod announce;
pub mod args;
pub mod census;
pub mod checks;
pub mod clock;
pub mod dataplane;
pub mod doors;
pub mod finding;
pub mod gate;
pub mod handover;
pub mod hooks;
pub mod log;
pub mod names;
mod neighbors;
pub mod notify;
pub mod peer;
pub mod peers;
pub mod plan;
pub mod reach;
pub mod reload;
pub mod respond;
pub mod serve;
pub mod signals;
pub mod site;
pub mod states;
pub mod steer;
pub mod watch;
