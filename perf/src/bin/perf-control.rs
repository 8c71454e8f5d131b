//! Speed and size of control: probes, plans, and an L4 node with a thousand services.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use perf::checks::{Load, Question};
use perf::cpu;
use perf::figure::{Asked, Figure, table};
use perf::large::{Large, SERVICES, Sets, line_length};
use perf::node::{Node, Programs};
use perf::rounds::Spread;
use perf::target::{Server, Speech};

/// Measures control.
#[derive(Parser)]
struct Flags {
    /// The program palier-dataplane.
    #[arg(long)]
    dataplane: PathBuf,
    /// The program palier-control.
    #[arg(long)]
    control: PathBuf,
    /// File that the figures are appended to.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each kind of probe is measured for in a round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Directory for files of their own: on tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    state_dir: PathBuf,
    /// Only figures whose name has this in it: `probes`, `plan`, `node`.
    #[arg(long, default_value = "")]
    only: String,
}

/// CPU of what is measured, and of what it speaks with.
const CPUS: [usize; 2] = [0, 1];
/// More probes a second than a core can make.
const TOO_MANY: Load = Load { per_second: 20_000, interval: Duration::from_secs(2) };
/// The same by TLS, with time enough for each.
const TOO_MANY_TLS: Load = Load { per_second: 5_000, interval: Duration::from_secs(10) };
/// Probes a second that a core has to be able to make.
const ENOUGH: Load = Load { per_second: 10_000, interval: Duration::from_secs(2) };

/// Probes of one kind.
struct Case {
    name: &'static str,
    question: Question,
    speech: Speech,
    load: Load,
    /// Probes a second of CPU time.
    asked: Option<Asked>,
}

impl Case {
    const fn new(name: &'static str, question: Question, speech: Speech, load: Load) -> Self {
        Self { name, question, speech, load, asked: None }
    }
}

const CASES: [Case; 5] = [
    Case {
        asked: Some(Asked::AtLeast(ENOUGH.per_second as f64)),
        ..Case::new("HTTP probes", Question::Http, Speech::Plain, TOO_MANY)
    },
    Case::new("HTTP probes, 10 k/s offered", Question::Http, Speech::Plain, ENOUGH),
    Case::new("HTTP probes, own source ports", Question::HttpFromBlock, Speech::Plain, TOO_MANY),
    Case::new("TCP probes", Question::Tcp, Speech::Silence, TOO_MANY),
    Case::new("HTTPS probes", Question::Https, Speech::Tls, TOO_MANY_TLS),
];

/// Which L7 nodes the services have; milliseconds that a plan and its application may take.
const SETS: [(Sets, &str, f64); 2] =
    [(Sets::One, "one set", 200.0), (Sets::Different, "different sets", 4000.0)];
/// Bytes that control may have.
const MEMORY: f64 = 100e6;

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    let folder = tempfile::tempdir_in(&flags.state_dir)?;
    let mut figures = Vec::new();
    if "probes".contains(&flags.only) {
        figures.extend(probes(&flags, folder.path())?);
    }
    for (sets, name, limit) in SETS {
        if "plan".contains(&flags.only) {
            figures.extend(plan(&flags, folder.path(), sets, name)?);
        }
        if "node".contains(&flags.only) {
            figures.extend(node(&flags, sets, name, limit)?);
        }
    }
    print!("{}", table(&figures));
    if let Some(file) = &flags.figures {
        figures.iter().try_for_each(|figure| figure.append_to(file))?;
    }
    Ok(())
}

/// What control computes, on this thread.
fn plan(flags: &Flags, folder: &Path, sets: Sets, name: &str) -> io::Result<Vec<Figure>> {
    let file = folder.join("site.toml");
    sets.write_to(&file, &folder.join("ready"))?;
    let [mut reading, mut planning] = [const { Vec::new() }; 2];
    let mut length = 0;
    for _ in 0..flags.rounds {
        let start = cpu::time();
        let mut large = Large::read(&file)?;
        reading.push((cpu::time() - start).as_secs_f64() * 1e3);
        let mut plan = large.plan(None);
        for drain in [true, false] {
            large.drain(drain);
            let start = cpu::time();
            plan = large.plan(Some(&plan));
            planning.push((cpu::time() - start).as_secs_f64() * 1e3);
        }
        length = line_length(&plan.snapshot);
    }
    let figure = |what: &str, unit, values: Vec<f64>| {
        Figure::new("control", format!("{what}, {name}"), unit, Spread::of(values))
    };
    Ok(vec![
        figure("site file read", "ms of CPU", reading),
        figure("plan", "ms of CPU", planning),
        figure("Snapshot as a line", "MB", vec![length as f64 / 1e6]),
    ])
}

/// What a node takes for a change, from an operator's word until every worker has it.
fn node(flags: &Flags, sets: Sets, name: &str, limit: f64) -> io::Result<Vec<Figure>> {
    let programs = Programs { dataplane: flags.dataplane.clone(), control: flags.control.clone() };
    let folder = tempfile::tempdir_in(&flags.state_dir)?;
    let start = Instant::now();
    let node = Node::start(&programs, folder.path(), sets, CPUS)?;
    eprintln!("{SERVICES} services, {name}: in force after {:?}", start.elapsed());
    let before = node.packets()?;
    let (mut cpu, mut elapsed) = (Vec::new(), Vec::new());
    for _ in 0..flags.rounds {
        for drain in [true, false] {
            let taken = node.drain(drain)?;
            eprintln!("  {}: {taken:?}", if drain { "drain" } else { "ready" });
            cpu.push(taken.cpu.as_secs_f64() * 1e3);
            elapsed.push(taken.elapsed.as_secs_f64() * 1e3);
        }
    }
    let after = node.packets()?;
    let memory = node.memory()?;
    let forwarded = after.forwarded - before.forwarded;
    eprintln!("  {forwarded} packets forwarded meanwhile; memory {memory:?}");
    let once = |value: f64| Spread { median: value, least: value, greatest: value };
    let figure =
        |what: &str, unit, spread| Figure::new("control", format!("{what}, {name}"), unit, spread);
    let lost = (after.lost - before.lost) as f64;
    let [resident, peak] = [memory.resident, memory.peak].map(|bytes| once(bytes as f64 / 1e6));
    Ok(vec![
        figure("plan + apply", "ms of CPU", Spread::of(cpu)).asked(Some(Asked::AtMost(limit))),
        figure("time until it is in force", "ms", Spread::of(elapsed)),
        figure("packets lost by it", "packets", once(lost)).asked(Some(Asked::AtMost(0.0))),
        figure("control's memory", "MB", resident),
        figure("at its peak", "MB", peak).asked(Some(Asked::AtMost(MEMORY / 1e6))),
    ])
}

fn probes(flags: &Flags, folder: &Path) -> io::Result<Vec<Figure>> {
    let [monitor, server] = CPUS;
    let start = |speech| Server::start(speech, server, folder);
    let servers = [start(Speech::Plain)?, start(Speech::Silence)?, start(Speech::Tls)?];
    let mut rates = CASES.map(|_| Vec::new());
    for round in 0..flags.rounds {
        eprintln!("round {} of {}", round + 1, flags.rounds);
        let mut order: Vec<_> = CASES.iter().zip(&mut rates).collect();
        // To and fro, so that none has the same neighbor each time.
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        for (case, rates) in order {
            let server = match case.speech {
                Speech::Plain => &servers[0],
                Speech::Silence => &servers[1],
                Speech::Tls => &servers[2],
            };
            let time = Duration::from_secs(flags.seconds);
            let outcome = case.question.ask(server, case.load, monitor, time)?;
            let rate = outcome.probes as f64 / outcome.time.as_secs_f64();
            eprintln!("  {}: {:?} each, {rate:.0}/s", case.name, outcome.each);
            rates.push(1.0 / outcome.each.as_secs_f64());
        }
    }
    let figures = CASES.iter().zip(rates).map(|(case, rates)| {
        Figure::new("control", case.name, "/s of CPU", Spread::of(rates)).asked(case.asked)
    });
    Ok(figures.collect())
}
