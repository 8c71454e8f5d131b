//! Receiving and sending.

use std::sync::Arc;

use dpdk_sys as ffi;

use crate::Burst;
use crate::device::Device;

/// A receive queue. Whoever has it polls it.
#[derive(Debug)]
pub struct RxQueue {
    port: u16,
    queue: u16,
    /// Started as long as this is here.
    _device: Arc<Device>,
}

impl RxQueue {
    pub(crate) fn new(device: Arc<Device>, queue: u16) -> Self {
        Self { port: device.port(), queue, _device: device }
    }

    /// Adds to the burst what has arrived, up to what it has room for. Never waits.
    #[inline]
    pub fn receive(&mut self, burst: &mut Burst) {
        let (port, queue) = (self.port, self.queue);
        // SAFETY: the device is started and has this queue, `&mut self` keeps other threads out of it.
        let receive = |mbufs, n| unsafe { ffi::shim_rx_burst(port, queue, mbufs, n) };
        // SAFETY: it writes mbufs that are the caller's from then on, and returns their number.
        unsafe { burst.fill(receive) }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.queue
    }
}

/// A transmit queue. Whoever has it sends by it.
#[derive(Debug)]
pub struct TxQueue {
    port: u16,
    queue: u16,
    multi_segment: bool,
    unjoined: u64,
    /// Started as long as this is here.
    _device: Arc<Device>,
}

impl TxQueue {
    pub(crate) fn new(device: Arc<Device>, queue: u16, multi_segment: bool) -> Self {
        Self { port: device.port(), queue, multi_segment, unjoined: 0, _device: device }
    }

    /// Sends the burst. What the ring has no room for stays in it.
    ///
    /// If the device cannot send packets of several segments, they are made one first; those that
    /// one has no room for are freed and counted ([`unjoined`](Self::unjoined)).
    #[inline]
    pub fn send(&mut self, burst: &mut Burst) {
        if !self.multi_segment {
            self.join_segments(burst);
        }
        if burst.is_empty() {
            return;
        }
        let (port, queue) = (self.port, self.queue);
        // SAFETY: the device is started and has this queue, `&mut self` keeps other threads out of it.
        let send = |mbufs, n| unsafe { ffi::shim_tx_burst(port, queue, mbufs, n) };
        // SAFETY: it takes packets from the front, and returns their number.
        unsafe { burst.take(send) }
    }

    /// Packets freed because they lay in several segments, which the device cannot send, and were
    /// too large for one.
    pub fn unjoined(&self) -> u64 {
        self.unjoined
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.queue
    }

    /// A driver that does not offer chains may read past the end of their first segment.
    fn join_segments(&mut self, burst: &mut Burst) {
        if burst.packets().iter().all(|packet| packet.segments() == 1) {
            return;
        }
        let mut joined = Burst::new();
        for mut packet in burst.drain() {
            // A burst has room for what another held.
            if !packet.linearize() || joined.push(packet).is_err() {
                self.unjoined += 1;
            }
        }
        *burst = joined;
    }
}
