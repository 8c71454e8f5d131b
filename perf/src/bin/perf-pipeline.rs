//! Nanoseconds that the forwarder takes for a packet: parse, hash, lookup, encapsulate, with
//! counters, cells and connection state; the making of the packets measured apart and subtracted.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use forward::Counter;
use perf::bench::{Bench, Pick, generate};
use perf::figure::{Asked, Figure, short};
use perf::frame::Mbuf;
use perf::rounds::Spread;
use perf::traffic::{Family, Random, Template};

/// Measures the forwarder on synthetic bursts.
#[derive(Parser)]
struct Flags {
    /// File that the figures are appended to.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Packets of a case in a round.
    #[arg(long, default_value_t = 2_000_000)]
    packets: u64,
    /// Numbers of flows.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000, 10_000_000])]
    flows: Vec<u32>,
    /// Only cases whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
}

/// Frames in use, over and over: they stay in the second-level cache.
const FRAMES: usize = 1024;
/// The most that is asked of a flood: insertions that evict.
const FLOOD_NS: f64 = 60.0;
/// The most that IPv6 may take, in packets of IPv4.
const IPV6_RATIO: f64 = 1.4;

/// What is done with packets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every flow is known.
    Hits,
    /// Every packet is a new flow's, and there is room for it.
    Inserts,
    /// Every packet is a new flow's, and the table is full of known ones.
    Flood,
    /// No flow is looked for: its row alone says where it goes.
    NoTable,
}

/// One thing that is measured.
struct Case {
    kind: Kind,
    family: Family,
    flows: u32,
    bench: Bench,
    pick: Pick,
    times: Vec<f64>,
}

impl Case {
    fn name(kind: Kind, family: Family) -> String {
        let family = match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let what = match kind {
            Kind::Hits => "hits",
            Kind::Inserts => "inserts",
            Kind::Flood => "flood, evicting",
            Kind::NoTable => "no table",
        };
        format!("{family} {what}")
    }

    /// Makes everything that is there before the packets that count.
    fn new(kind: Kind, family: Family, flows: u32, frames: &mut [Mbuf]) -> std::io::Result<Self> {
        let capacity = NonZeroU32::new(flows).filter(|_| kind != Kind::NoTable);
        let mut bench = Bench::new(capacity)?;
        let number = u64::from(flows);
        let mut fill = |template: &Template, packets: u64| {
            bench.run(packets, template, &mut Pick::Next(0), frames);
        };
        let pick = match kind {
            Kind::Hits => {
                fill(&Template::ack(family), number);
                fill(&Template::ack(family), number);
                Pick::Random(Random::new(), number)
            }
            Kind::Flood => {
                fill(&Template::ack(family), number);
                fill(&Template::ack(family), number);
                // The places above the rated load are the flood's own before it evicts.
                fill(&Template::syn(family), number * 4);
                Pick::Next(number * 4)
            }
            // Its memory is there before it counts.
            Kind::Inserts => {
                fill(&Template::syn(family), number);
                Pick::Next(0)
            }
            Kind::NoTable => Pick::Random(Random::new(), number),
        };
        Ok(Self { kind, family, flows, bench, pick, times: Vec::new() })
    }

    /// Measures once more.
    fn round(&mut self, packets: u64, frames: &mut [Mbuf]) {
        let (template, packets) = match self.kind {
            Kind::Hits | Kind::NoTable => (Template::ack(self.family), packets),
            Kind::Flood => (Template::syn(self.family), packets),
            Kind::Inserts => (Template::syn(self.family), self.flows.into()),
        };
        let repeat = match self.kind {
            Kind::Inserts => (2_000_000 / packets).clamp(1, 500),
            Kind::Hits | Kind::NoTable | Kind::Flood => 1,
        };
        let mut time = Duration::ZERO;
        let making = generate(packets * repeat, &template, &mut self.pick.clone(), frames);
        for _ in 0..repeat {
            if self.kind == Kind::Inserts {
                self.bench.later(Duration::from_secs(1000));
                assert_eq!(self.bench.connections(), 0, "the flows of the round before are gone");
            }
            time += self.bench.run(packets, &template, &mut self.pick, frames);
        }
        let done = (packets * repeat) as f64;
        self.times.push((time.as_secs_f64() - making.as_secs_f64()) / done * 1e9);
    }

    fn asked(&self) -> Option<Asked> {
        let limit = match (self.kind, self.flows) {
            (Kind::Hits, 1_000) => 12.0,
            (Kind::Hits, 1_000_000) => 22.0,
            (Kind::Hits, 10_000_000) => 30.0,
            (Kind::Flood, 1_000_000) => return Some(Asked::AtMost(FLOOD_NS)),
            _ => return None,
        };
        (self.family == Family::V4).then_some(Asked::AtMost(limit))
    }
}

fn main() -> std::io::Result<()> {
    let flags = Flags::parse();
    let frames = &mut Mbuf::pool(FRAMES)?;
    let mut cases = Vec::new();
    for &flows in &flags.flows {
        for kind in [Kind::Hits, Kind::Inserts, Kind::Flood, Kind::NoTable] {
            for family in [Family::V4, Family::V6] {
                let name = Case::name(kind, family);
                if name.contains(&flags.only) {
                    eprintln!("preparing {name}, {} flows", short(flows.into()));
                    cases.push(Case::new(kind, family, flows, frames)?);
                }
            }
        }
    }
    for round in 0..flags.rounds {
        eprintln!("round {} of {}", round + 1, flags.rounds);
        // To and fro, so that none has the same neighbor each time.
        if round.is_multiple_of(2) {
            cases.iter_mut().for_each(|case| case.round(flags.packets, frames));
        } else {
            cases.iter_mut().rev().for_each(|case| case.round(flags.packets, frames));
        }
    }

    let mut figures: Vec<_> = cases
        .iter()
        .map(|case| {
            let spread = Spread::of(case.times.iter().copied());
            let name = Case::name(case.kind, case.family);
            Figure::new("pipeline", name, "ns/packet", spread)
                .with_flows(case.flows.into())
                .asked(case.asked())
        })
        .collect();
    figures.extend(cases.iter().filter_map(|six| ratio(six, &cases)));
    print!("{}", perf::figure::table(&figures));
    cases.iter().for_each(check);
    if let Some(file) = &flags.figures {
        figures.iter().try_for_each(|figure| figure.append_to(file))?;
    }
    Ok(())
}

/// Hits of IPv6 in those of IPv4, round by round.
fn ratio(six: &Case, cases: &[Case]) -> Option<Figure> {
    let same =
        |four: &&Case| (four.kind, four.family, four.flows) == (Kind::Hits, Family::V4, six.flows);
    let four = cases.iter().find(same).filter(|_| six.kind == Kind::Hits)?;
    let ratios = six.times.iter().zip(&four.times).map(|(six, four)| six / four);
    (six.family == Family::V6).then(|| {
        Figure::new("pipeline", "IPv6 in IPv4, hits", "", Spread::of(ratios))
            .with_flows(six.flows.into())
            .asked(Some(Asked::AtMost(IPV6_RATIO)))
    })
}

/// What was measured is what its name says.
fn check(case: &Case) {
    let name = Case::name(case.kind, case.family);
    let count = |counter| case.bench.count(counter);
    let evicted = [Counter::EvictedOnce, Counter::EvictedOpen, Counter::EvictedClosing].map(count);
    eprintln!(
        "{name}, {} flows: {} hits, {} new flows, {} moved, evicted {evicted:?}",
        short(case.flows.into()),
        count(Counter::ConnectionHit),
        count(Counter::NewFlow),
        count(Counter::EntryMoved),
    );
    match case.kind {
        Kind::Hits => assert_eq!(count(Counter::NewFlow), u64::from(case.flows)),
        Kind::Inserts => assert_eq!(count(Counter::ConnectionHit), 0),
        Kind::Flood => assert!(count(Counter::EvictedOnce) > 0 && evicted[1] == 0),
        Kind::NoTable => assert_eq!(count(Counter::NewFlow), 0),
    }
}
