//! Which of two connections to one neighbor stays (RFC 4271 6.8, 6286 2.3, 4724 4.2).
//!
//! Pure. Asked when the OPEN of a connection has come, before anything else is done about it: whoever
//! reads on meanwhile may take the peer's KEEPALIVE for an error.

use std::net::Ipv4Addr;

use crate::status::SessionState;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// They did.
    Incoming,
    /// We did.
    Outgoing,
}

/// A speaker, as it is compared. The AS decides between equal identifiers, which two ASes may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// BGP identifier, as a number.
    pub id: Ipv4Addr,
    /// AS.
    pub asn: u32,
}

/// The connection that was there before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Other {
    /// Who opened it.
    pub direction: Direction,
    /// How far it has come.
    pub state: SessionState,
    /// The new one was opened before it was established, or at about that time.
    pub simultaneous: bool,
    /// They restart gracefully, as was agreed on it.
    pub restarts: bool,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No collision yet: the other one has no OPEN.
    Both,
    /// The new one ends, with Cease.
    CloseNew,
    /// The other one ends, with Cease.
    CloseOther,
    /// They restarted, so the other one is dead: it ends without a NOTIFICATION.
    Replace,
}

/// Decides about a connection on which an OPEN has just come.
pub(crate) fn settle(new: Direction, other: Other, ours: Rank, theirs: Rank) -> Verdict {
    match other.state {
        SessionState::Idle
        | SessionState::Connect
        | SessionState::Active
        | SessionState::OpenSent => Verdict::Both,
        // They gave the older one up: nobody opens two.
        SessionState::OpenConfirm if new == other.direction => Verdict::CloseOther,
        SessionState::OpenConfirm => by_rank(new, ours, theirs),
        // The peer may not have got that far on it, and then decides by rank: so must we. If each
        // went by what it has established, they would close one each.
        SessionState::Established if other.simultaneous && new != other.direction => {
            by_rank(new, ours, theirs)
        }
        SessionState::Established if other.simultaneous => Verdict::CloseNew,
        SessionState::Established if new == Direction::Incoming && other.restarts => {
            Verdict::Replace
        }
        SessionState::Established => Verdict::CloseNew,
    }
}

/// The connection that the higher one opened stays.
fn by_rank(new: Direction, ours: Rank, theirs: Rank) -> Verdict {
    let kept = if ours > theirs { Direction::Outgoing } else { Direction::Incoming };
    if new == kept { Verdict::CloseOther } else { Verdict::CloseNew }
}

#[cfg(test)]
mod tests {
    use super::Direction::{Incoming, Outgoing};
    use super::SessionState::{Active, Connect, Established, Idle, OpenConfirm, OpenSent};
    use super::Verdict::{Both, CloseNew, CloseOther, Replace};
    use super::*;

    fn rank(id: u8, asn: u32) -> Rank {
        Rank { id: Ipv4Addr::new(10, 0, 0, id), asn }
    }

    fn other(direction: Direction, state: SessionState) -> Other {
        Other { direction, state, simultaneous: false, restarts: false }
    }

    #[test]
    fn the_connection_of_the_higher_identifier_stays() {
        for (new, ours, theirs, verdict) in [
            (Incoming, rank(2, 1), rank(1, 2), CloseNew),
            (Outgoing, rank(2, 1), rank(1, 2), CloseOther),
            (Incoming, rank(1, 2), rank(2, 1), CloseOther),
            (Outgoing, rank(1, 2), rank(2, 1), CloseNew),
            // RFC 6286: equal identifiers, the higher AS.
            (Incoming, rank(1, 70000), rank(1, 2), CloseNew),
            (Incoming, rank(1, 2), rank(1, 70000), CloseOther),
        ] {
            let before = if new == Incoming { Outgoing } else { Incoming };
            let confirming = other(before, OpenConfirm);
            let just_up =
                Other { simultaneous: true, restarts: true, ..other(before, Established) };
            for other in [confirming, just_up] {
                assert_eq!(settle(new, other, ours, theirs), verdict, "{new:?} {ours:?} {other:?}");
            }
        }
    }

    #[test]
    fn identifiers_are_compared_as_numbers() {
        let (ours, theirs) = (Ipv4Addr::new(9, 255, 0, 0), Ipv4Addr::new(10, 0, 0, 0));
        let rank = |id| Rank { id, asn: 1 };
        let verdict = settle(Incoming, other(Outgoing, OpenConfirm), rank(ours), rank(theirs));
        assert_eq!(verdict, CloseOther);
    }

    #[test]
    fn there_is_no_collision_before_both_have_an_open() {
        for state in [Idle, Connect, Active, OpenSent] {
            let verdict = settle(Incoming, other(Outgoing, state), rank(1, 1), rank(2, 2));
            assert_eq!(verdict, Both, "{state:?}");
        }
    }

    #[test]
    fn an_established_session_stays_unless_they_restarted() {
        for new in [Incoming, Outgoing] {
            for before in [Incoming, Outgoing] {
                for (restarts, verdict) in
                    [(false, CloseNew), (true, if new == Incoming { Replace } else { CloseNew })]
                {
                    let other = Other { restarts, ..other(before, Established) };
                    assert_eq!(settle(new, other, rank(1, 1), rank(2, 2)), verdict);
                    assert_eq!(settle(new, other, rank(2, 2), rank(1, 1)), verdict);
                }
            }
        }
    }

    #[test]
    fn a_second_connection_of_the_same_side_replaces_the_first() {
        let verdict = settle(Incoming, other(Incoming, OpenConfirm), rank(2, 2), rank(1, 1));
        assert_eq!(verdict, CloseOther);
    }
}
