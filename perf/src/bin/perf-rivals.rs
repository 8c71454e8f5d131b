//! Rates of palier-dataplane and testpmd on the same port and packets, by turns.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use perf::figure::{Asked, Figure, table};
use perf::rival::{Place, Rival};
use perf::rounds::Spread;
use perf::traffic::{Family, Template};

/// Compares palier-dataplane with dpdk-testpmd.
#[derive(Parser)]
struct Flags {
    /// The program palier-dataplane.
    #[arg(long)]
    dataplane: PathBuf,
    /// File that the figures are appended to.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each process is measured for in a round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Flows of the packets.
    #[arg(long, default_value_t = 1000)]
    flows: u64,
    /// Directory for files of their own: on tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    state_dir: PathBuf,
}

/// What is compared, with the least share of it that palier has to reach.
const RIVALS: [(Rival, &str, Option<f64>); 4] = [
    (Rival::Palier, "palier-dataplane", None),
    (Rival::Testpmd("io"), "testpmd io", None),
    (Rival::Testpmd("macswap"), "testpmd macswap", Some(0.55)),
    (Rival::Testpmd("5tswap"), "testpmd 5tswap", Some(0.75)),
];

fn main() -> std::io::Result<()> {
    let flags = Flags::parse();
    let directory = tempfile::tempdir_in(&flags.state_dir)?;
    let place = Place {
        dataplane: flags.dataplane,
        directory: directory.path().to_path_buf(),
        cores: [0, 1],
    };
    place.prepare(&Template::ack(Family::V4), flags.flows)?;
    let mut rates = RIVALS.map(|_| Vec::new());
    for round in 0..flags.rounds {
        eprintln!("round {} of {}", round + 1, flags.rounds);
        for (i, (rival, name, _)) in RIVALS.into_iter().enumerate() {
            let rate = place.rate(rival, Duration::from_secs(flags.seconds))? / 1e6;
            eprintln!("  {name}: {rate:.1} Mpps");
            rates[i].push(rate);
        }
    }

    let mut figures = Vec::new();
    for ((_, name, _), rates) in RIVALS.iter().zip(&rates) {
        let spread = Spread::of(rates.iter().copied());
        figures.push(Figure::new("processes", *name, "Mpps", spread).with_flows(flags.flows));
    }
    for ((_, name, least), theirs) in RIVALS.iter().zip(&rates).skip(1) {
        let ratios = rates[0].iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
        figures.push(
            Figure::new("processes", format!("palier in {name}"), "", Spread::of(ratios))
                .with_flows(flags.flows)
                .asked(least.map(Asked::AtLeast)),
        );
    }
    print!("{}", table(&figures));
    if let Some(file) = &flags.figures {
        figures.iter().try_for_each(|figure| figure.append_to(file))?;
    }
    Ok(())
}
