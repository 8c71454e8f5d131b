//! Golden packets: frames in by `net_pcap`, through the real program, frames out by `net_pcap`.
//!
//! What comes out is compared, byte by byte, with packets that are built from nothing; what does not
//! come out has to be counted under its reason. Nothing here needs a privilege.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod bfd;
mod case;
mod drops;
mod fragments;
mod pcap;
mod ports;
mod process;
mod refusals;
mod site;
mod spread;
mod tunnel;
mod vlan;
