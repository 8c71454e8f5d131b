use std::collections::VecDeque;

/// Packets whose next hop has no link address yet: a few, for a short time.
pub(crate) struct Waiting<P> {
    packets: VecDeque<(P, usize, u64)>,
    due: bool,
}

impl<P> Waiting<P> {
    /// Most packets that wait.
    const ROOM: usize = 256;
    /// How long one waits, in milliseconds: what a neighbor takes to answer the second question.
    const PATIENCE: u64 = 2_000;

    pub(crate) fn new() -> Self {
        Self { packets: VecDeque::with_capacity(Self::ROOM), due: false }
    }

    /// Keeps a packet that came from a port; gives it back if too many wait. `until`: when a packet
    /// that has waited before is given up; else it is [`Self::PATIENCE`] from now.
    pub(crate) fn hold(
        &mut self,
        packet: P,
        port: usize,
        millis: u64,
        until: Option<u64>,
    ) -> Option<P> {
        if self.packets.len() >= Self::ROOM {
            return Some(packet);
        }
        self.packets.push_back((packet, port, until.unwrap_or(millis + Self::PATIENCE)));
        None
    }

    /// The ways to the nodes have changed: all may try again.
    pub(crate) fn wake(&mut self) {
        self.due = !self.packets.is_empty();
    }

    /// What may try again, once after each [`Self::wake`]: packet, port, and until when.
    pub(crate) fn take_due(&mut self) -> Option<VecDeque<(P, usize, u64)>> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        Some(std::mem::take(&mut self.packets))
    }

    /// Takes out a packet that has waited for too long.
    pub(crate) fn expired(&mut self, millis: u64) -> Option<P> {
        let (.., until) = self.packets.front()?;
        if *until > millis {
            return None;
        }
        self.packets.pop_front().map(|(packet, ..)| packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_wait_in_order_for_their_time_and_no_more_than_there_is_room() {
        let mut waiting = Waiting::new();
        for i in 0..Waiting::<usize>::ROOM {
            assert_eq!(waiting.hold(i, 0, i as u64, None), None);
        }
        assert_eq!(waiting.hold(999, 0, 0, None), Some(999));
        assert_eq!(waiting.expired(Waiting::<usize>::PATIENCE - 1), None);
        assert_eq!(waiting.expired(Waiting::<usize>::PATIENCE), Some(0));
        assert_eq!(waiting.expired(Waiting::<usize>::PATIENCE), None);
    }

    #[test]
    fn a_change_lets_all_try_once() {
        let mut waiting = Waiting::new();
        waiting.hold('a', 1, 0, None);
        assert!(waiting.take_due().is_none());
        waiting.wake();
        assert_eq!(waiting.take_due().map(|due| due.len()), Some(1));
        assert!(waiting.take_due().is_none());
    }
}
