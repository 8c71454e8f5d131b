//! The way to the kernel and back, of one worker on one port.
//!
//! Each class of packets has a queue and a limit of its own, so a flood of one never starves
//! another. The exception port may have fewer queues than there are workers: the others reach it
//! by bounded rings through the worker that has a queue.

use std::collections::VecDeque;
use std::sync::Arc;

use capsule::{Burst, Packet, RxQueue, TxQueue};
use crossbeam::queue::ArrayQueue;
use forward::{Class, Counter, Counters, Limiter};

use crate::capture::Losses;

/// Packets of one class that wait for the exception port.
const WAITING: usize = 128;
/// Packets that wait for another worker to take them to the exception port.
pub(crate) const RING: usize = 256;
/// Packets for the kernel in one turn of the loop: each is a system call on a tap.
const TURN: usize = 16;

/// A ring of packets from one worker to the one that has the exception port's queue.
pub(crate) type Ring = Arc<ArrayQueue<(Packet, Class)>>;

/// How a worker reaches the exception port.
pub(crate) enum Link {
    /// It has a queue of it, and takes along what comes from the rings.
    Queue {
        /// What the kernel sends.
        receive: RxQueue,
        /// What the kernel gets.
        transmit: TxQueue,
        /// Other workers' packets.
        rings: Vec<Ring>,
    },
    /// Another worker has.
    Ring(Ring),
    /// There is no exception port.
    None,
}

/// A worker's exception path.
pub(crate) struct Exception {
    link: Link,
    classes: [Queue; Class::ALL.len()],
    /// On its way from the queues to the port; empty between two turns.
    leaving: Burst,
    workers: u32,
}

struct Queue {
    packets: VecDeque<Packet>,
    limit: Limiter,
}

impl Exception {
    /// With the default limits, of which this worker has its share.
    pub(crate) fn new(link: Link, workers: u32) -> Self {
        let limits = api::Limits::default();
        let classes = Class::ALL.map(|class| Queue {
            packets: VecDeque::with_capacity(WAITING),
            limit: Limiter::new(class.rate(&limits), sharers(class, workers)),
        });
        Self { link, classes, leaving: Burst::new(), workers }
    }

    /// Takes over a Snapshot's limits.
    pub(crate) fn limit(&mut self, limits: &api::Limits) {
        for (queue, class) in self.classes.iter_mut().zip(Class::ALL) {
            queue.limit.set_rate(class.rate(limits), sharers(class, self.workers));
        }
    }

    /// Puts a packet into its class's queue, or drops it and counts why.
    pub(crate) fn punt(&mut self, packet: Packet, class: Class, millis: u64, losses: Losses<'_>) {
        if let Link::None = self.link {
            return losses.drop(packet, Counter::NoException);
        }
        let queue = &mut self.classes[class as usize];
        if queue.packets.len() >= WAITING || !queue.limit.take(millis) {
            return losses.drop(packet, class.limited());
        }
        queue.packets.push_back(packet);
    }

    /// Moves what waits towards the kernel, the most urgent class first.
    pub(crate) fn send(&mut self, counters: &Counters) {
        match &mut self.link {
            Link::Queue { transmit, rings, .. } => {
                let mut others = rings.iter().filter_map(|ring| ring.pop());
                let mut classes = [Class::Other; TURN];
                for class in &mut classes {
                    let waiting = take(&mut self.classes).or_else(|| others.next());
                    let Some((packet, its)) = waiting else { break };
                    *class = its;
                    let pushed = self.leaving.push(packet);
                    debug_assert!(pushed.is_ok(), "a turn is shorter than a burst");
                }
                if self.leaving.is_empty() {
                    return;
                }
                let offered = usize::from(self.leaving.len());
                let unjoined = transmit.unjoined();
                transmit.send(&mut self.leaving);
                counters.add(Counter::Unjoined, transmit.unjoined() - unjoined);
                let taken = offered - usize::from(self.leaving.len());
                for class in &classes[..taken] {
                    counters.add(class.given(), 1);
                }
                // An interface that is down takes nothing: what waited for it would only grow old.
                counters.add(Counter::ExceptionFull, self.leaving.len().into());
                self.leaving.clear();
            }
            Link::Ring(ring) => {
                while let Some((packet, class)) = take(&mut self.classes) {
                    let room = match class {
                        Class::Neighbor | Class::Routing => RING,
                        // The rest is for what is urgent.
                        Class::Errors | Class::Management | Class::Other => RING / 2,
                    };
                    if ring.len() >= room || ring.push((packet, class)).is_err() {
                        counters.add(Counter::ExceptionFull, 1);
                    }
                }
            }
            Link::None => {}
        }
    }

    /// Adds to the burst what the kernel sends.
    pub(crate) fn receive(&mut self, burst: &mut Burst) {
        if let Link::Queue { receive, .. } = &mut self.link {
            receive.receive(burst);
        }
    }

    /// Whether packets wait here.
    pub(crate) fn is_busy(&self) -> bool {
        let rings = match &self.link {
            Link::Queue { rings, .. } => rings.iter().any(|ring| !ring.is_empty()),
            Link::Ring(_) | Link::None => false,
        };
        rings || self.classes.iter().any(|q| !q.packets.is_empty())
    }
}

/// How many workers share the limit of a class: ARP, and the one connection of a router or an operator, come
/// to one worker alone.
fn sharers(class: Class, workers: u32) -> u32 {
    match class {
        Class::Neighbor | Class::Routing | Class::Management => 1,
        Class::Errors | Class::Other => workers,
    }
}

fn take(classes: &mut [Queue]) -> Option<(Packet, Class)> {
    classes
        .iter_mut()
        .zip(Class::ALL)
        .find_map(|(queue, class)| Some((queue.packets.pop_front()?, class)))
}
