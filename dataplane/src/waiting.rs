use std::collections::{HashMap, VecDeque};

/// Packets whose next hop has no link address yet: a few, for a short time.
pub(crate) struct Waiting<P> {
    packets: VecDeque<Held<P>>,
    /// How many of them are for each node.
    of_node: HashMap<u16, usize>,
    due: bool,
}

/// A packet that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held<P> {
    pub(crate) packet: P,
    /// The node that it is for.
    pub(crate) node: u16,
    /// The port that it came from.
    pub(crate) port: usize,
    /// When it is given up, in milliseconds since boot.
    pub(crate) until: u64,
}

impl<P> Waiting<P> {
    /// Most packets that wait.
    const ROOM: usize = 256;
    /// Most that wait for one node: one that is dead must not take the place of another's first packets.
    const ROOM_OF_NODE: usize = Self::ROOM / 2;
    /// How long one waits, in milliseconds: what a neighbor takes to answer the second question.
    const PATIENCE: u64 = 2_000;

    pub(crate) fn new() -> Self {
        let packets = VecDeque::with_capacity(Self::ROOM);
        Self { packets, of_node: HashMap::new(), due: false }
    }

    /// Keeps a packet for a node that came from a port; gives it back if too many wait. `until`: when
    /// a packet that has waited before is given up; else it is [`Self::PATIENCE`] from now.
    pub(crate) fn hold(
        &mut self,
        packet: P,
        node: u16,
        port: usize,
        millis: u64,
        until: Option<u64>,
    ) -> Option<P> {
        let of_node = self.of_node.entry(node).or_default();
        if self.packets.len() >= Self::ROOM || *of_node >= Self::ROOM_OF_NODE {
            return Some(packet);
        }
        *of_node += 1;
        let until = until.unwrap_or(millis + Self::PATIENCE);
        self.packets.push_back(Held { packet, node, port, until });
        None
    }

    /// The ways to the nodes have changed: all may try again.
    pub(crate) fn wake(&mut self) {
        self.due = !self.packets.is_empty();
    }

    /// What may try again, once after each [`Self::wake`].
    pub(crate) fn take_due(&mut self) -> Option<VecDeque<Held<P>>> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        self.of_node.clear();
        Some(std::mem::take(&mut self.packets))
    }

    /// Takes out a packet that has waited for too long.
    pub(crate) fn expired(&mut self, millis: u64) -> Option<P> {
        let Held { packet, node, .. } = self.packets.pop_front_if(|held| held.until <= millis)?;
        if let Some(of_node) = self.of_node.get_mut(&node) {
            *of_node -= 1;
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: u64 = Waiting::<usize>::PATIENCE;

    #[test]
    fn packets_wait_in_order_for_their_time_and_no_more_than_there_is_room() {
        let mut waiting = Waiting::new();
        for i in 0..Waiting::<usize>::ROOM {
            assert_eq!(waiting.hold(i, i as u16 % 2, 0, i as u64, None), None);
        }
        assert_eq!(waiting.hold(999, 2, 0, 0, None), Some(999));
        assert_eq!(waiting.expired(PATIENCE - 1), None);
        assert_eq!(waiting.expired(PATIENCE), Some(0));
        assert_eq!(waiting.expired(PATIENCE), None);
    }

    #[test]
    fn one_node_has_half_of_the_places_and_gets_them_back() {
        let mut waiting = Waiting::new();
        for i in 0..Waiting::<usize>::ROOM_OF_NODE {
            assert_eq!(waiting.hold(i, 7, 0, 0, None), None);
        }
        assert_eq!(waiting.hold(999, 7, 0, 0, None), Some(999));
        assert_eq!(waiting.hold(1, 8, 0, 0, None), None);
        assert_eq!(waiting.expired(PATIENCE), Some(0));
        assert_eq!(waiting.hold(2, 7, 0, 0, None), None);
        assert_eq!(waiting.hold(999, 7, 0, 0, None), Some(999));
        waiting.wake();
        assert!(waiting.take_due().is_some());
        assert_eq!(waiting.hold(3, 7, 0, 0, None), None);
    }

    #[test]
    fn a_change_lets_all_try_once() {
        let mut waiting = Waiting::new();
        waiting.hold('a', 7, 1, 0, None);
        assert!(waiting.take_due().is_none());
        waiting.wake();
        let due = waiting.take_due().map(Vec::from);
        assert_eq!(due, Some(vec![Held { packet: 'a', node: 7, port: 1, until: PATIENCE }]));
        assert!(waiting.take_due().is_none());
    }
}
