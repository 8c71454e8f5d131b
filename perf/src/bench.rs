//! The forwarder as a worker drives it, and the time it takes for a packet.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forward::connection::Table;
use forward::{BURST, Cells, Counter, Counters, Forwarder, Here, Paths, Tables, Tick, Verdict};

use crate::cpu;
use crate::frame::{Empty, Mbuf};
use crate::site::{WIRE, tables};
use crate::traffic::{Random, Template};

/// Bursts between two looks at the clock: as many as a worker's turns.
const CLOCK: u32 = 8;

/// Which flow the next packet belongs to.
#[derive(Clone, Debug)]
pub enum Pick {
    /// One of so many, at random.
    Random(Random, u64),
    /// This one, then the one after.
    Next(u64),
}

impl Pick {
    #[inline]
    fn next(&mut self) -> u64 {
        match self {
            Self::Random(random, flows) => random.below(*flows),
            Self::Next(flow) => {
                *flow += 1;
                *flow - 1
            }
        }
    }
}

/// A worker's forwarder in the site, with its clock.
pub struct Bench {
    forwarder: Forwarder<Empty>,
    counters: Arc<Counters>,
    tables: Tables,
    paths: Paths,
    started: Instant,
    /// Milliseconds since boot; [`Bench::later`] moves it on.
    millis: u64,
}

impl Bench {
    /// With a table for so many flows, or without one and the Maglev table alone.
    ///
    /// # Errors
    /// There is no memory for the table.
    pub fn new(capacity: Option<NonZeroU32>) -> std::io::Result<Self> {
        let (tables, paths) = tables(capacity.is_some());
        let counters = Arc::new(Counters::new());
        let mut forwarder = Forwarder::new(Empty, counters.clone(), Arc::new(Cells::new()), 1);
        let millis = 1_000_000;
        if let Some(capacity) = capacity {
            let table = Table::anonymous(capacity, false)?;
            forwarder.connections().open(table, Vec::new());
        }
        forwarder.limit(&tables);
        Ok(Self { forwarder, counters, tables, paths, started: Instant::now(), millis })
    }

    /// How often this was counted.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// Connections in the table.
    pub fn connections(&mut self) -> usize {
        self.forwarder.connections().len()
    }

    /// Goes on after so much time, in which nothing came: flows that are too old are forgotten.
    pub fn later(&mut self, time: Duration) {
        self.millis += time.as_millis() as u64;
        let now = Tick::from_boot_ms(self.now());
        self.forwarder.sweep(&self.tables, now, usize::MAX);
    }

    fn now(&self) -> u64 {
        self.millis + self.started.elapsed().as_millis() as u64
    }

    /// Forwards so many packets, in bursts. Returns the time it took, that of making them included.
    ///
    /// # Panics
    /// One was not forwarded.
    pub fn run(
        &mut self,
        packets: u64,
        template: &Template,
        pick: &mut Pick,
        frames: &mut [Mbuf],
    ) -> Duration {
        let mut verdicts = [Verdict::Wire; BURST];
        let mut millis = self.now();
        let mut refused = 0;
        let start = cpu::time();
        for (burst, at) in bursts(packets, frames.len()).zip(1_u32..) {
            let frames = &mut frames[burst];
            make(frames, template, pick);
            if at.is_multiple_of(CLOCK) {
                millis = self.now();
            }
            let here = Here {
                tables: Some(&self.tables),
                paths: &self.paths,
                wire: WIRE,
                port: 0,
                now: Tick::from_boot_ms(millis),
                millis,
            };
            self.forwarder.forward(&here, frames, &mut verdicts);
            // One of each burst: to look at all of them is not the forwarder's work.
            let verdict = verdicts[at as usize % frames.len()];
            refused += u64::from(verdict != Verdict::Forward { port: 0 });
        }
        let time = cpu::time() - start;
        assert_eq!(refused, 0, "packets that were not forwarded");
        time
    }
}

/// Makes as many packets without forwarding them: what is to be subtracted.
pub fn generate(
    packets: u64,
    template: &Template,
    pick: &mut Pick,
    frames: &mut [Mbuf],
) -> Duration {
    let start = cpu::time();
    for burst in bursts(packets, frames.len()) {
        make(&mut frames[burst], template, pick);
    }
    cpu::time() - start
}

#[inline]
fn make(frames: &mut [Mbuf], template: &Template, pick: &mut Pick) {
    for frame in frames {
        template.write(pick.next(), frame);
    }
}

/// The places of one burst after the other in a pool of frames, over and over.
fn bursts(packets: u64, frames: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let places = frames / BURST;
    (0..packets.div_ceil(BURST as u64)).map(move |burst| {
        let first = burst as usize % places * BURST;
        let left = packets - burst * BURST as u64;
        first..first + left.min(BURST as u64) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Family;

    #[test]
    fn flows_are_known_after_their_first_packet_and_forgotten_when_they_are_old() {
        let mut frames = Mbuf::pool(64).unwrap();
        let mut bench = Bench::new(NonZeroU32::new(1000)).unwrap();
        for family in [Family::V4, Family::V6] {
            let template = Template::ack(family);
            for _ in 0..2 {
                bench.run(992, &template, &mut Pick::Next(0), &mut frames);
            }
            assert_eq!(bench.connections(), 992);
            bench.later(Duration::from_secs(86_400));
            assert_eq!(bench.connections(), 0);
        }
        assert_eq!(bench.count(Counter::NewFlow), 2 * 992);
        assert_eq!(bench.count(Counter::ConnectionHit), 2 * 992);
    }
}
