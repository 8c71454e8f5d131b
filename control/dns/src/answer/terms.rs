//! What an answer depends on, and what is said of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cookie::Jar;
use crate::message::{Rcode, Subnet};
use crate::name::Name;

/// What holds of all answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose cookies are believed.
    pub jar: Jar,
    /// Bytes of a UDP reply at most, and that are taken by UDP.
    pub max_udp: u16,
    /// Bytes of a UDP reply to an asker who may be another than it says: without a cookie of ours.
    pub max_nocookie: u16,
    /// Who this is, for those who ask (RFC 5001, RFC 4892).
    pub id: Option<String>,
    /// What is said to be running here (`version.bind`).
    pub version: Option<String>,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Its address.
    pub address: IpAddr,
    /// By a connection: it is who it says, and gets answers of any length.
    pub is_connected: bool,
    /// Seconds since 1970, of which the last 32 bits count.
    pub now: u32,
    /// Another number for each question: of several records another one comes first.
    pub turn: u32,
}

/// What a resolver is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub asker: IpAddr,
    /// For whom, if it says so (RFC 7871).
    pub told: Option<Subnet>,
    /// Another number for each question.
    pub turn: u32,
}

/// What resolvers say.
pub trait Resolve {
    /// Chooses addresses. What `into` has of before is gone.
    fn resolve(&self, resolver: usize, question: &Question, into: &mut Resolved);
}

/// What a resolver says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Addresses, in the order in which they are wanted.
    pub v4: Vec<Ipv4Addr>,
    /// The same.
    pub v6: Vec<Ipv6Addr>,
    /// In their place: somebody else's name.
    pub alias: Option<Name>,
    /// Seconds until it may say something else.
    pub ttl: u32,
    /// Bits of the network that the question was for: this holds for all of it. 0: for everybody.
    pub scope: u8,
}

impl Resolved {
    /// Nothing, for as long as it is wanted.
    pub(crate) fn clear(&mut self) {
        self.v4.clear();
        self.v6.clear();
        self.alias = None;
        (self.ttl, self.scope) = (u32::MAX, 0);
    }

    /// Adds an address.
    pub(crate) fn push(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.v4.push(address),
            IpAddr::V6(address) => self.v6.push(address),
        }
    }
}

/// What was answered, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub rcode: Rcode,
    /// The asker has a cookie of ours, or is connected.
    pub is_known: bool,
}
