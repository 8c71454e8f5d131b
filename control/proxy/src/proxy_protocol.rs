//! The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): who the client is, in front of
//! what it sends. Strict: a header that is not exactly what the text says is refused, for whatever comes
//! of a guess is a client's address that somebody made up.

mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

pub use v2::{Extras, Tls};

/// Longest header that is taken: version 2 may say 65,535 bytes, and nobody has that much to say.
pub const MAX: usize = 4096;

/// Which version is spoken to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Text.
    V1,
    /// Binary, with TLVs.
    V2,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is of this client, to this address of ours.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
    /// The connection is the proxy's own, as of a health check: who it is from, the socket knows
    /// (`LOCAL`, `UNKNOWN`, and families that we do not listen to).
    Local,
}

/// A header that was read, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it says.
    pub header: Header,
    /// Its bytes: the client's begin after it.
    pub length: usize,
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Bad {
    /// It begins with neither version's signature.
    #[error("no PROXY header")]
    Absent,
    /// It is longer than [`MAX`], or a line of version 1 than 107 bytes.
    #[error("the PROXY header is too long")]
    TooLong,
    /// Its text is not the protocol's.
    #[error("malformed PROXY header of version 1")]
    V1,
    /// Its bytes are not the protocol's.
    #[error("malformed PROXY header of version 2")]
    V2,
    /// Its CRC32c TLV does not match.
    #[error("the PROXY header's checksum is wrong")]
    Checksum,
}

/// The header at the start of `bytes`; nothing if more bytes are needed to tell.
///
/// # Errors
/// They are the start of no header.
pub fn parse(bytes: &[u8]) -> Result<Option<Read>, Bad> {
    match bytes.first() {
        None => Ok(None),
        Some(&first) if first == v2::SIGNATURE[0] => v2::parse(bytes),
        Some(_) => v1::parse(bytes),
    }
}

/// The header for a server: of this client's connection, or, without one, of our own.
///
/// Addresses of two families cannot be told by either version: IPv4 is written as mapped into IPv6 then.
pub fn build(
    version: Version,
    ends: Option<(SocketAddr, SocketAddr)>,
    extras: &Extras<'_>,
) -> Vec<u8> {
    let ends = ends.map(of_one_family);
    match version {
        Version::V1 => v1::build(ends),
        Version::V2 => v2::build(ends, extras),
    }
}

/// Both as IPv4 if they are (mapped ones, too), else both as IPv6.
fn of_one_family((source, destination): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    let [from, to] = [source, destination].map(|end| (end.ip().to_canonical(), end.port()));
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    };
    if from.0.is_ipv4() && to.0.is_ipv4() {
        (from.into(), to.into())
    } else {
        ((mapped(from.0), from.1).into(), (mapped(to.0), to.1).into())
    }
}

#[cfg(test)]
mod tests;
