//! Tier 3: accepts clients' connections on the VIPs, and passes their requests to servers.

pub mod balance;
pub mod proxy_protocol;
