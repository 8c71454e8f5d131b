//! What a packet does to a connection: pure, one `match`.
//!
//! A load balancer with direct return sees the client's half only, so the states are few:
//! ```text
//!             SYN                 data                  FIN, RST
//!  unknown ---------> embryonic ---------> open ---------------------> closing
//!     |   \______________________________/  ^ data                      |  ^ data, FIN
//!     |      data (scheduled, not dropped)  '-'                         |  '-'
//!     '<----------------------------------------------------------------'
//!                          SYN, or idle for too long
//! ```

use crate::Tick;

use super::entry::{Entry, State};

/// What a packet means to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// TCP SYN without ACK: somebody wants a connection.
    Syn,
    /// TCP without SYN, FIN or RST, or a SYN with ACK.
    Data,
    /// TCP FIN.
    Fin,
    /// TCP RST.
    Rst,
    /// UDP.
    Udp,
    /// An ICMP error that quotes a packet of the flow.
    Error,
}

impl Signal {
    /// Every signal, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Syn, Self::Data, Self::Fin, Self::Rst, Self::Udp, Self::Error];
}

/// What becomes of the packet and of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the entry's node. The entry is to be stored anew, or stays as it is.
    Follow(Option<Entry>),
    /// To the node that Maglev chooses.
    Schedule {
        /// The state in which the flow is to be recorded, if at all.
        record: Option<State>,
    },
}

/// After how many ticks without a packet an entry is as good as unknown, by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle([u32; State::ALL.len()]);

impl Idle {
    /// Never: for moving entries from table to table.
    pub(super) const NEVER: Self = Self([i32::MAX as u32; State::ALL.len()]);

    /// Ages are told apart up to half of what the short tick counts (24 days): this much, 3 days, is
    /// for the sweep to come by, or for a process to come back.
    pub(super) const MARGIN: u32 = 1 << (Tick::SHORT_BITS - 4);
    const MAX: u32 = (1 << (Tick::SHORT_BITS - 1)) - Self::MARGIN;

    /// From the Snapshot. Times above 21 days are taken as 21 days.
    pub fn new(times: &api::IdleTimes) -> Self {
        let api::IdleTimes { embryonic, open, closing, udp } = *times;
        let ticks = |seconds: u32| {
            u64::from(seconds).saturating_mul(1000).div_ceil(Tick::MILLIS).min(Self::MAX.into())
                as u32
        };
        Self([ticks(embryonic), ticks(open), ticks(closing), ticks(udp)])
    }

    /// The idle time of a state.
    #[inline]
    pub fn ticks(&self, state: State) -> u32 {
        self.0[state as usize]
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self::new(&api::IdleTimes::default())
    }
}

/// What a packet that says `signal` does, given what is known of its connection.
#[inline]
pub fn step(known: Option<Entry>, signal: Signal, now: Tick, idle: &Idle) -> Step {
    let Some(entry) = known.filter(|entry| !entry.expired(now, idle)) else {
        return Step::Schedule { record: recorded_as(signal) };
    };
    match rule(entry.state, signal) {
        Rule::Follow => Step::Follow(None),
        Rule::Alive(state) => {
            let alive = Entry { state, once: false, seen: entry.seen.max(now), ..entry };
            Step::Follow((alive != entry).then_some(alive))
        }
        Rule::Reset => {
            let closing = Entry { state: State::Closing, ..entry };
            Step::Follow((!closing.expired(now, idle)).then_some(closing))
        }
        Rule::Anew => Step::Schedule { record: recorded_as(signal) },
    }
}

/// What a flow is recorded as whose first packet this is. RST and errors record nothing.
fn recorded_as(signal: Signal) -> Option<State> {
    match signal {
        Signal::Syn => Some(State::Embryonic),
        Signal::Data => Some(State::Open),
        Signal::Fin => Some(State::Closing),
        Signal::Udp => Some(State::Udp),
        Signal::Rst | Signal::Error => None,
    }
}

/// What a packet of a known connection does to its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Nothing.
    Follow,
    /// It is a sign of life, and leads to this state. Stored only if that says something new: a flow's
    /// line is written once a tick, not once a packet.
    Alive(State),
    /// It closes the connection but is no sign of life: anybody can send an RST. Were the flow idle
    /// for so long that it expired on the spot, a forged one could end what the node keeps up: then
    /// the entry stays as it is.
    Reset,
    /// It begins another connection.
    Anew,
}

#[inline]
fn rule(state: State, signal: Signal) -> Rule {
    match (state, signal) {
        // A retransmission must not be rescheduled; a spoofed SYN must not move, age or refresh.
        (State::Embryonic | State::Open, Signal::Syn) => Rule::Follow,
        // The client uses the port again.
        (State::Closing, Signal::Syn) => Rule::Anew,

        (State::Embryonic | State::Open, Signal::Data) => Rule::Alive(State::Open),
        (State::Embryonic | State::Open, Signal::Fin) => Rule::Alive(State::Closing),
        // Half-closed downloads are acknowledged on; after a forged RST the flow goes on.
        (State::Closing, Signal::Data | Signal::Fin) => Rule::Alive(State::Closing),

        (State::Embryonic | State::Open, Signal::Rst) => Rule::Reset,
        (State::Closing, Signal::Rst) => Rule::Follow,

        (State::Udp, Signal::Udp) => Rule::Alive(State::Udp),

        (State::Embryonic | State::Open | State::Closing | State::Udp, Signal::Error) => {
            Rule::Follow
        }
        // Another protocol's flow with this hash: as rare as false matches are.
        (State::Embryonic | State::Open | State::Closing, Signal::Udp) => Rule::Follow,
        (State::Udp, Signal::Syn | Signal::Data | Signal::Fin | Signal::Rst) => Rule::Follow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Tick = Tick::new(1_000_000);
    const BEFORE: Tick = Tick::new(999_990);

    fn entry(state: State, once: bool) -> Entry {
        Entry { node: 7, service: 3, seen: BEFORE, state, once }
    }

    /// What may happen, in one letter.
    #[derive(Debug, PartialEq)]
    enum Does {
        /// Follows; nothing is stored.
        F,
        /// Follows; refreshed, seen more than once, in this state.
        R(State),
        /// Follows; closing, as old and as often seen as before.
        C,
        /// Scheduled and recorded so.
        S(State),
        /// Scheduled, not recorded.
        N,
    }
    use Does::*;
    use State::*;

    fn does(known: Option<Entry>, signal: Signal) -> Does {
        match step(known, signal, NOW, &Idle::default()) {
            Step::Schedule { record: Some(state) } => S(state),
            Step::Schedule { record: None } => N,
            Step::Follow(None) => F,
            Step::Follow(Some(new)) => {
                let old = known.expect("only a known flow is followed");
                assert_eq!((new.node, new.service), (old.node, old.service));
                if new.seen == NOW {
                    assert!(!new.once);
                    R(new.state)
                } else {
                    assert_eq!(new, Entry { state: Closing, ..old });
                    C
                }
            }
        }
    }

    #[test]
    fn every_state_and_signal() {
        //                       SYN           data         FIN          RST  UDP     error
        let unknown = [S(Embryonic), S(Open), S(Closing), N, S(Udp), N];
        let table = [
            (Embryonic, [F, R(Open), R(Closing), C, F, F]),
            (Open, [F, R(Open), R(Closing), C, F, F]),
            (Closing, [S(Embryonic), R(Closing), R(Closing), F, F, F]),
            (Udp, [F, F, F, F, R(Udp), F]),
        ];
        for (i, signal) in Signal::ALL.into_iter().enumerate() {
            assert_eq!(does(None, signal), unknown[i], "unknown, {signal:?}");
        }
        for (state, row) in table {
            for (i, signal) in Signal::ALL.into_iter().enumerate() {
                for once in [false, true] {
                    let known = entry(state, once);
                    assert_eq!(does(Some(known), signal), row[i], "{state:?} {once} {signal:?}");
                    let age = Idle::default().ticks(state) + 1;
                    let expired = Entry { seen: Tick::new(NOW.number() - age), ..known };
                    assert_eq!(does(Some(expired), signal), unknown[i], "old {state:?} {signal:?}");
                }
            }
        }
    }

    #[test]
    fn a_flow_is_known_to_the_last_tick_of_its_idle_time() {
        let idle = Idle::default();
        for state in State::ALL {
            let mut known = entry(state, false);
            known.seen = Tick::new(NOW.number() - idle.ticks(state));
            assert!(!known.expired(NOW, &idle));
            assert!(known.expired(Tick::new(NOW.number() + 1), &idle));
        }
    }

    #[test]
    fn a_second_packet_within_a_tick_is_stored_once_and_a_third_is_not() {
        let known = Entry { seen: NOW, ..entry(Udp, true) };
        let Step::Follow(Some(stored)) = step(Some(known), Signal::Udp, NOW, &Idle::default())
        else {
            panic!("the second packet is a sign of life");
        };
        assert!(!stored.once);
        assert_eq!(does(Some(stored), Signal::Udp), F);
    }

    #[test]
    fn a_forged_rst_does_not_end_a_flow_that_has_been_idle_for_long() {
        let hour_old = Entry { seen: Tick::new(NOW.number() - 14_000), ..entry(Open, false) };
        assert_eq!(does(Some(hour_old), Signal::Rst), F);
        assert_eq!(does(Some(hour_old), Signal::Data), R(Open));
    }

    #[test]
    fn an_entry_refreshed_by_a_clock_that_is_ahead_stays_so() {
        let ahead = Entry { seen: Tick::new(NOW.number() + 1), ..entry(Open, false) };
        assert_eq!(does(Some(ahead), Signal::Data), F);
    }

    #[test]
    fn no_idle_time_reaches_the_range_of_the_short_tick() {
        let longest = api::IdleTimes { open: u32::MAX, ..api::IdleTimes::default() };
        assert!(Idle::new(&longest).ticks(Open) < 1 << (Tick::SHORT_BITS - 1));
        assert_eq!(Idle::default().ticks(Embryonic), 60_000_u32.div_ceil(256));
    }
}
