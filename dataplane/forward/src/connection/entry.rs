use crate::Tick;

use super::rules::Idle;

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index of the node that has it: 1 to 1023.
    pub node: u16,
    /// Index of its service ([`TableFile::service_index`](super::TableFile::service_index)).
    pub service: u16,
    /// Tick of the last packet that counts as a sign of life.
    pub seen: Tick,
    /// How far it got.
    pub state: State,
    /// Whether only one packet was seen: the first to go under pressure.
    pub once: bool,
}

/// How far a connection got, as far as a load balancer that sees one direction can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// TCP of which nothing but SYNs was seen.
    Embryonic,
    /// TCP.
    Open,
    /// TCP after a FIN or an RST.
    Closing,
    /// UDP, which has no states.
    Udp,
}

impl State {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Embryonic, Self::Open, Self::Closing, Self::Udp];
}

/// An entry as it lies in the table: the node in bits 0-15, the service in 16-31, the tick in
/// 32-55, the state in 56-57 and [`Entry::once`] in 58. Part of the file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed(pub(super) u64);

const TICK_SHIFT: u32 = 32;
const TICK: u64 = ((1 << Tick::SHORT_BITS) - 1) << TICK_SHIFT;
const STATE_SHIFT: u32 = 56;
const ONCE: u64 = 1 << 58;
const UNUSED: u64 = !0 << 59;

impl Entry {
    #[inline]
    pub(super) fn pack(self) -> Packed {
        let Self { node, service, seen, state, once } = self;
        Packed(
            u64::from(node)
                | u64::from(service) << 16
                | u64::from(seen.short()) << TICK_SHIFT
                | (state as u64) << STATE_SHIFT
                | if once { ONCE } else { 0 },
        )
    }

    /// Whether it has been idle for longer than its state allows: then it is as good as unknown.
    #[inline]
    pub fn expired(&self, now: Tick, idle: &Idle) -> bool {
        now.number().wrapping_sub(self.seen.number()) as i32 > idle.ticks(self.state) as i32
    }
}

impl Packed {
    #[inline]
    pub(super) fn entry(self, now: Tick) -> Entry {
        Entry {
            node: self.node(),
            service: (self.0 >> 16) as u16,
            seen: Tick::new(now.number().wrapping_sub(self.age(now) as u32)),
            state: self.state(),
            once: self.once(),
        }
    }

    /// The same node's entry after a sign of life, if it is of this service and state.
    #[inline]
    pub(super) fn alive(self, service: u16, state: State, now: Tick) -> Option<Self> {
        let node = u64::from(self.node());
        let alive = (state as u64) << STATE_SHIFT | u64::from(service) << 16 | node;
        const CHANGES: u64 = TICK | ONCE;
        ((self.0 & !CHANGES) == alive).then_some(Self(alive | u64::from(now.short()) << TICK_SHIFT))
    }

    #[inline]
    pub(super) fn node(self) -> u16 {
        self.0 as u16
    }

    #[inline]
    pub(super) fn state(self) -> State {
        State::ALL[(self.0 >> STATE_SHIFT) as usize & 3]
    }

    #[inline]
    pub(super) fn once(self) -> bool {
        self.0 & ONCE != 0
    }

    /// The state's number, and 4 more if one packet was seen: less than 8.
    #[inline]
    pub(super) fn state_and_once(self) -> u8 {
        (self.0 >> STATE_SHIFT) as u8 & 7
    }

    /// Ticks since the last packet. Negative if another worker, whose clock was read a moment later
    /// than `now`, has seen one: half of the range counts as past, half as future.
    #[inline]
    pub(super) fn age(self, now: Tick) -> i32 {
        const UNUSED_BITS: u32 = i32::BITS - Tick::SHORT_BITS;
        let short = (self.0 >> TICK_SHIFT) as u32;
        ((now.short().wrapping_sub(short) << UNUSED_BITS) as i32) >> UNUSED_BITS
    }

    /// Whether [`Entry::pack`] can have made it.
    pub(super) fn well_formed(self) -> bool {
        self.0 & UNUSED == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRAP: u32 = 1 << Tick::SHORT_BITS;

    fn entry(seen: u32, state: State, once: bool) -> Entry {
        Entry { node: 1023, service: 4095, seen: Tick::new(seen), state, once }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for state in State::ALL {
            for once in [false, true] {
                let entry = entry(77, state, once);
                assert!(entry.pack().well_formed());
                assert_eq!(entry.pack().entry(Tick::new(80)), entry);
            }
        }
        assert!(!Packed(1 << 60).well_formed());
    }

    #[test]
    fn a_tick_is_understood_across_its_wrap_and_a_little_ahead_of_now() {
        for (seen, now) in
            [(0, 0), (WRAP - 2, WRAP + 3), (7 * WRAP - 1, 7 * WRAP), (9, 8), (WRAP, WRAP - 1)]
        {
            let entry = entry(seen, State::Open, false);
            assert_eq!(entry.pack().entry(Tick::new(now)), entry, "seen {seen}, now {now}");
        }
    }
}
