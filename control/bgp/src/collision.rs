//! Two connections of one neighbor: which one stays (RFC 4271, 6.8). Pure.

use std::net::Ipv4Addr;

use crate::fsm::State;
use crate::peer::Side;

/// BGP identifiers and autonomous systems of both ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) own: (Ipv4Addr, u32),
    pub(crate) peer: (Ipv4Addr, u32),
}

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survivor {
    /// The one whose OPEN has come; the other is not so far that it matters yet.
    This,
    /// The same, and the other ends.
    ThisOverOther,
    /// The same: the router has forgotten the other, which is established here (RFC 4724, 4.2).
    ThisAfterRestart,
    /// The other.
    Other,
}

/// Decides when the OPEN of `this` side has come, and the other side is in a state.
pub(crate) fn survivor(this: Side, other: State, ends: Ends) -> Survivor {
    match other {
        State::Idle | State::Connect | State::Active | State::OpenSent => Survivor::This,
        State::Established => Survivor::ThisAfterRestart,
        State::OpenConfirm => {
            // The end with the higher identifier keeps what it has opened; RFC 6286, 2.3: where they are
            // equal, the one with the higher autonomous system.
            let keeps = if ends.own > ends.peer { Side::Ours } else { Side::Theirs };
            if keeps == this { Survivor::ThisOverOther } else { Survivor::Other }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const HIGH: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    #[test]
    fn the_end_with_the_higher_identifier_keeps_its_own() {
        let ends = |own, peer| Ends { own: (own, 65_001), peer: (peer, 65_000) };
        let decide = |this, ends| survivor(this, State::OpenConfirm, ends);
        assert_eq!(decide(Side::Ours, ends(HIGH, LOW)), Survivor::ThisOverOther);
        assert_eq!(decide(Side::Theirs, ends(HIGH, LOW)), Survivor::Other);
        assert_eq!(decide(Side::Ours, ends(LOW, HIGH)), Survivor::Other);
        assert_eq!(decide(Side::Theirs, ends(LOW, HIGH)), Survivor::ThisOverOther);
        // As numbers, not as texts.
        let (nine, ten) = (Ipv4Addr::new(9, 0, 0, 0), Ipv4Addr::new(10, 0, 0, 0));
        assert_eq!(decide(Side::Ours, ends(ten, nine)), Survivor::ThisOverOther);
    }

    #[test]
    fn of_equal_identifiers_the_higher_autonomous_system_keeps_its_own() {
        let ends = |own, peer| Ends { own: (LOW, own), peer: (LOW, peer) };
        assert_eq!(survivor(Side::Ours, State::OpenConfirm, ends(2, 1)), Survivor::ThisOverOther);
        assert_eq!(survivor(Side::Ours, State::OpenConfirm, ends(1, 2)), Survivor::Other);
    }

    #[test]
    fn what_is_not_past_its_open_is_no_collision_yet() {
        let ends = Ends { own: (LOW, 1), peer: (HIGH, 2) };
        for other in [State::Idle, State::Connect, State::Active, State::OpenSent] {
            assert_eq!(survivor(Side::Ours, other, ends), Survivor::This);
            assert_eq!(survivor(Side::Theirs, other, ends), Survivor::This);
        }
        let restarted = survivor(Side::Theirs, State::Established, ends);
        assert_eq!(restarted, Survivor::ThisAfterRestart);
    }
}
