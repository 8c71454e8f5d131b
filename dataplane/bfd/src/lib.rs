//! Bidirectional Forwarding Detection over a single hop (RFC 5880, RFC 5881): asynchronous mode.
//!
//! No sockets, no threads, no clock: a [`Session`] is given packets and the time, and says what to send
//! and when it wants to be asked again.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! let interval = Duration::from_millis(100);
//! let policy = bfd::Policy::new(interval, 3).unwrap();
//! let now = Instant::now();
//! let mut session = bfd::Session::new(policy, 7.try_into().unwrap(), 1, now);
//! let packet = session.turn(now).expect("the first packet goes at once");
//! assert_eq!(packet.state, bfd::State::Down);
//! // Slow start: the next one in 750 ms to a second.
//! assert!(session.next_turn() >= now + Duration::from_millis(750));
//! ```
//!
//! Left out, as no router asks for it on a link to a load balancer: authentication (packets that carry
//! it are refused), the echo function (we advertise that we take none), demand mode (a peer that asks
//! for it is sent packets all the same, which it ignores), and multihop sessions (RFC 5883).

mod packet;
mod session;

pub use packet::{Diagnostic, LEN, Malformed, Packet, State};
pub use session::{BadPolicy, Policy, Refused, Saved, Session};

/// UDP port that single-hop sessions are on (RFC 5881 section 4).
pub const PORT: u16 = 3784;
/// TTL or hop limit of every packet, sent and accepted: what passed a router has less (RFC 5881 section 5).
pub const TTL: u8 = 255;
/// Source ports of sessions (RFC 5881 section 4).
pub const SOURCE_PORTS: std::ops::RangeInclusive<u16> = 49152..=65535;
