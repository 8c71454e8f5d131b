use std::time::Duration;

use crate::packet::{Diagnostic, Packet, State, micros};

/// What the other side has said last (RFC 5880 section 6.8.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote {
    /// bfd.RemoteDiscr; 0 if nothing is heard.
    pub(super) discr: u32,
    pub(super) state: State,
    pub(super) diagnostic: Diagnostic,
    pub(super) detect_mult: u8,
    pub(super) desired_min_tx: u32,
    pub(super) required_min_rx: u32,
}

impl Remote {
    /// Initial values: 1 lets us send at the rate that we like.
    pub(super) const UNKNOWN: Self = Self {
        discr: 0,
        state: State::Down,
        diagnostic: Diagnostic::NONE,
        detect_mult: 0,
        desired_min_tx: 0,
        required_min_rx: 1,
    };

    /// What this packet says.
    pub(super) fn of(packet: &Packet) -> Self {
        Self {
            discr: packet.my_discriminator.get(),
            state: packet.state,
            diagnostic: packet.diagnostic,
            detect_mult: packet.detect_mult.get(),
            desired_min_tx: packet.desired_min_tx,
            required_min_rx: packet.required_min_rx,
        }
    }

    /// How long it may be silent if it is asked to send no faster than `required_min_rx` (RFC 5880
    /// section 6.8.4); `None` if nothing is heard of it.
    pub(super) fn detection_time(&self, required_min_rx: u32) -> Option<Duration> {
        let interval = micros(self.desired_min_tx.max(required_min_rx));
        (self.discr != 0).then(|| interval * self.detect_mult.into())
    }
}
