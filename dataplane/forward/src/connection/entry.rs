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

const SERVICE_SHIFT: u32 = 16;
const SERVICE: u64 = 0xffff << SERVICE_SHIFT;
const TICK_SHIFT: u32 = 32;
const TICK: u64 = ((1 << Tick::SHORT_BITS) - 1) << TICK_SHIFT;
const STATE_SHIFT: u32 = 56;
const STATE: u64 = 3 << STATE_SHIFT;
const ONCE: u64 = 1 << 58;
const UNUSED: u64 = !0 << 59;

/// A service, a state, or both, as an entry has them: what a flow that goes on is told by, in one
/// comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(u64);

impl Kind {
    /// Of no entry, with whatever else.
    pub const NONE: Self = Self(u64::MAX);

    /// A service's, whatever the state.
    pub const fn service(service: u16) -> Self {
        Self((service as u64) << SERVICE_SHIFT)
    }

    /// A state's, whatever the service.
    pub(crate) const fn state(state: State) -> Self {
        Self((state as u64) << STATE_SHIFT)
    }

    /// Both.
    #[inline]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where ticks lie whose difference shall wrap as they do.
const TOP: u32 = u64::BITS - Tick::SHORT_BITS;

/// A duration in ticks, made ready to be compared with the ages of many entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks(u64);

impl Ticks {
    pub(crate) const fn new(ticks: u32) -> Self {
        Self((ticks as u64) << TOP | ((1 << TOP) - 1))
    }
}

/// A moment, made ready for many entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// With all bits below set, so that an entry's do not borrow from it.
    on_top: u64,
    /// As an entry has it.
    seen: u64,
}

impl Now {
    pub(crate) const fn new(now: Tick) -> Self {
        Self { on_top: Ticks::new(now.short()).0, seen: (now.short() as u64) << TICK_SHIFT }
    }
}

impl Entry {
    #[inline]
    pub(super) fn pack(self) -> Packed {
        let Self { node, service, seen, state, once } = self;
        Packed(
            u64::from(node)
                | u64::from(service) << SERVICE_SHIFT
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
            service: (self.0 >> SERVICE_SHIFT) as u16,
            seen: Tick::new(now.number().wrapping_sub(self.age(now) as u32)),
            state: self.state(),
            once: self.once(),
        }
    }

    /// Whether this is what it says of service and state.
    #[inline]
    pub(super) fn is(self, kind: Kind) -> bool {
        self.0 & (SERVICE | STATE) == kind.0
    }

    /// Whether its flow was seen within so many ticks before `now`, and not after.
    #[inline]
    pub(super) fn is_recent(self, now: Now, ticks: Ticks) -> bool {
        now.on_top.wrapping_sub(self.0 << (TOP - TICK_SHIFT)) <= ticks.0
    }

    /// The entry of the same node, service and state after a sign of life, if that is news.
    #[inline]
    pub(super) fn alive(self, now: Now) -> Option<Self> {
        const CHANGES: u64 = TICK | ONCE;
        (self.0 & CHANGES != now.seen).then_some(Self(self.0 & !CHANGES | now.seen))
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
