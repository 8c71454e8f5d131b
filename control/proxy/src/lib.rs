//! Tier 3: accepts clients' connections on the VIPs, and passes their requests to servers.

pub mod proxy_protocol;
