//! Time to build a Maglev table, and memory of the connection table.

use std::hint::black_box;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use forward::connection::{Geometry, Identity, TableFile};
use forward::{Counter, HASH_VERSION, Hasher, Maglev, Tick};
use perf::bench::{Bench, Pick};
use perf::figure::{Asked, Figure, table};
use perf::frame::Mbuf;
use perf::rounds::Spread;
use perf::traffic::{Family, Template};

/// Measures the tables.
#[derive(Parser)]
struct Flags {
    /// File that the figures are appended to.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Directory for connection tables: on tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    state_dir: PathBuf,
}

const ROUNDS: usize = 21;
const ROWS: u32 = 65_537;
const NODES: u16 = 100;
const MILLION: NonZeroU32 = NonZeroU32::new(1_000_000).expect("it is not 0");
const TWO_MILLION: NonZeroU32 = NonZeroU32::new(2_000_000).expect("it is not 0");

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let flags = Flags::parse();
    let [one, two] = [MILLION, TWO_MILLION].map(|n| file_length(&flags.state_dir, n));
    let per_flow = (two? - one.as_ref().copied().unwrap_or_default()) as f64 / 1e6;
    let beside = one? as f64 - per_flow * 1e6;
    let evicted = evicted()?;
    let once = |value| Spread { median: value, least: value, greatest: value };
    let figures = [
        Figure::new("tables", "Maglev, 65537 rows x 100 nodes", "ms", maglev())
            .asked(Some(Asked::AtMost(2.0))),
        Figure::new("tables", "connection table, per flow", "bytes", once(per_flow))
            .asked(Some(Asked::AtMost(24.0))),
        Figure::new("tables", "its file: header and names", "bytes", once(beside)),
        Figure::new("tables", "live flows evicted at rated capacity", "flows", once(evicted))
            .with_flows(1_000_000)
            .asked(Some(Asked::AtMost(0.0))),
    ];
    print!("{}", table(&figures));
    if let Some(file) = &flags.figures {
        figures.iter().try_for_each(|figure| figure.append_to(file))?;
    }
    Ok(())
}

/// Milliseconds to build a table.
fn maglev() -> Spread {
    let hasher = Hasher::new([7; 16]);
    let names: Vec<_> = (1..=NODES).map(|index| format!("l7-{index}")).collect();
    let nodes: Vec<_> =
        names.iter().zip(1..).map(|(name, index)| (name.as_str(), index, 1)).collect();
    Spread::of((0..ROUNDS).map(|_| {
        let start = Instant::now();
        black_box(Maglev::build(&hasher, ROWS, black_box(&nodes)));
        start.elapsed().as_secs_f64() * 1e3
    }))
}

/// Length of the file with a table for so many connections.
fn file_length(directory: &Path, connections: NonZeroU32) -> Outcome<u64> {
    let directory = tempfile::tempdir_in(directory)?;
    let geometry = Geometry { capacity: connections, workers: NonZeroU16::MIN, details: false };
    let identity = Identity::of_this_boot(HASH_VERSION, 0)?;
    let _open = TableFile::open(directory.path(), &geometry, &identity, Tick::new(1))?;
    let files = std::fs::read_dir(directory.path())?;
    files.map(|file| Ok(file?.metadata()?.len())).sum()
}

/// How many of a million flows, each of two packets, a table for a million has lost.
fn evicted() -> Outcome<f64> {
    let mut bench = Bench::new(Some(MILLION))?;
    let frames = &mut Mbuf::pool(32)?;
    let template = Template::ack(Family::V4);
    for flow in (0..u64::from(MILLION.get())).step_by(32) {
        for _ in 0..2 {
            bench.run(32, &template, &mut Pick::Next(flow), frames);
        }
    }
    assert_eq!(bench.count(Counter::NewFlow), 1_000_000, "every flow was recorded");
    let missing = 1_000_000 - bench.connections();
    let evicted = [Counter::EvictedOnce, Counter::EvictedOpen, Counter::EvictedClosing];
    Ok(evicted.map(|counter| bench.count(counter)).iter().sum::<u64>().max(missing as u64) as f64)
}
