//! What two OPENs agree on, or why they do not (RFC 4271 6.2, 6286, 7607, 5492).

use std::net::Ipv4Addr;
use std::time::Duration;

use thiserror::Error;

use crate::message::{GracefulRestart, Notification, Open};
use crate::settings::{Families, Neighbor};

/// What holds for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Their AS.
    pub asn: u32,
    /// Their BGP identifier.
    pub id: Ipv4Addr,
    /// The shorter of both; zero if there are no keepalives.
    pub hold_time: Duration,
    /// Families that both offered.
    pub families: Families,
    /// Paths have four-octet ASes.
    pub four_octet_as: bool,
    /// They may ask for all routes.
    pub route_refresh: bool,
    /// Both know IPv6 next hops of IPv4 prefixes.
    pub extended_next_hop: bool,
    /// They want End-of-RIB.
    pub end_of_rib: bool,
    /// They keep our routes while we restart, since both offered graceful restart.
    pub graceful_restart: bool,
    /// They themselves restart gracefully: a connection of theirs may replace an established one.
    pub restarts: bool,
}

/// Why an OPEN is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    #[error("they are of AS {0}, which is not the one configured")]
    As(u32),
    #[error("their BGP identifier, {0}, cannot be")]
    Identifier(Ipv4Addr),
    #[error("they want a hold time of {0} s")]
    HoldTime(u16),
    #[error("they offer none of our address families: {0}")]
    Families(Families),
}

impl Refusal {
    /// The NOTIFICATION that is due.
    pub(crate) fn notification(self) -> Notification {
        match self {
            Self::As(_) => Notification::new(2, 2, &[]),
            Self::Identifier(_) => Notification::new(2, 3, &[]),
            Self::HoldTime(_) => Notification::new(2, 6, &[]),
            // RFC 5492 5: with the capabilities that were missed, here multiprotocol ones.
            Self::Families(families) => {
                let family = |afi| [1, 4, 0, afi, 0, 1];
                let mut missed = vec![];
                if families.ipv4 {
                    missed.extend(family(1));
                }
                if families.ipv6 {
                    missed.extend(family(2));
                }
                Notification::new(2, 7, &missed)
            }
        }
    }
}

impl Agreed {
    /// What we and they have in common.
    pub(super) fn on(ours: &Neighbor, theirs: &Open) -> Result<Self, Refusal> {
        // AS 0 is nobody's (RFC 7607).
        if theirs.asn != ours.peer_as || theirs.asn == 0 {
            return Err(Refusal::As(theirs.asn));
        }
        // Identifiers have to be unique within an AS only (RFC 6286).
        let same = ours.is_internal() && theirs.id == ours.router_id;
        if theirs.id.is_unspecified() || same {
            return Err(Refusal::Identifier(theirs.id));
        }
        if let 1 | 2 = theirs.hold_time {
            return Err(Refusal::HoldTime(theirs.hold_time));
        }
        let families = ours.families.intersection(theirs.families);
        if families.is_empty() {
            return Err(Refusal::Families(ours.families));
        }
        let offered = !ours.restart_time.is_zero();
        Ok(Self {
            asn: theirs.asn,
            id: theirs.id,
            hold_time: ours.hold_time.min(Duration::from_secs(theirs.hold_time.into())),
            families,
            four_octet_as: theirs.four_octet_as,
            route_refresh: theirs.route_refresh,
            extended_next_hop: ours.extended_next_hop && theirs.extended_next_hop,
            end_of_rib: theirs.graceful_restart.is_some(),
            graceful_restart: offered && theirs.graceful_restart.is_some(),
            restarts: offered
                && matches!(theirs.graceful_restart, Some(GracefulRestart { families: true })),
        })
    }

    /// A third of the hold time (RFC 4271 10).
    pub(crate) fn keepalive_time(&self) -> Duration {
        self.hold_time / 3
    }
}
