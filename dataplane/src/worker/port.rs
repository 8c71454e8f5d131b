use capsule::{Burst, Packet, RxQueue, TxQueue};
use forward::{Counter, Counters, Wire};

use crate::exception::Exception;

/// A port, as one worker uses it.
pub(crate) struct WorkerPort {
    /// How its packets look.
    pub(crate) wire: Wire,
    /// Absent if the port has fewer queues than there are workers.
    pub(crate) receive: Option<RxQueue>,
    pub(crate) transmit: TxQueue,
    pub(crate) exception: Exception,
    /// What leaves by it in this turn.
    pub(super) leaving: Burst,
}

impl WorkerPort {
    pub(crate) fn new(
        wire: Wire,
        receive: Option<RxQueue>,
        transmit: TxQueue,
        exception: Exception,
    ) -> Self {
        Self { wire, receive, transmit, exception, leaving: Burst::new() }
    }

    /// Adds a packet to those that leave in this turn; sends them if there is no room.
    pub(super) fn add(&mut self, packet: Packet, counters: &Counters) {
        if let Err(packet) = self.leaving.push(packet) {
            self.flush(counters);
            let pushed = self.leaving.push(packet);
            debug_assert!(pushed.is_ok(), "a flushed burst has room");
        }
    }

    /// Sends what the ring takes and drops the rest: a worker that waited would lose more at its
    /// receive queue.
    pub(super) fn flush(&mut self, counters: &Counters) {
        if self.leaving.is_empty() {
            return;
        }
        let unjoined = self.transmit.unjoined();
        self.transmit.send(&mut self.leaving);
        counters.add(Counter::Unjoined, self.transmit.unjoined() - unjoined);
        if !self.leaving.is_empty() {
            counters.add(Counter::TransmitFull, self.leaving.len().into());
            self.leaving.clear();
        }
    }
}
