//! Real servers over loopback, with real certificates.

mod callers;
mod exchange;
mod gossip;
mod identity;
mod refused;
mod replay;
mod site;
