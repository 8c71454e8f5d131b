//! The L7 proxy beside HAProxy and nginx, by turns: CPU time of requests, memory of connections, and how long
//! answers take.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use nix::sys::resource::{Resource, setrlimit};
use perf::client::Body;
use perf::cpu;
use perf::figure::{Asked, Figure, table};
use perf::load::Clients;
use perf::proxies::{Place, Rival, Subject, network};
use perf::rounds::Spread;

/// Compares palier's proxy with HAProxy and nginx.
#[derive(Parser)]
struct Flags {
    /// The program palier-control.
    #[arg(long)]
    control: PathBuf,
    /// File that the figures are appended to.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Rounds, of which the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that each is measured for in a round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Directory for files of their own: on tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    state_dir: PathBuf,
    /// Only cases whose name has this in it, as `small`; `memory`, `p99`.
    #[arg(long, default_value = "")]
    only: String,
    /// No access logs: what is asked is asked with them.
    #[arg(long)]
    without_log: bool,
}

const PART: &str = "proxy";
/// CPU of the proxies, and of their clients and server.
const CPUS: [usize; 2] = [0, 1];
/// What is not counted of each case.
const WARM: Duration = Duration::from_millis(300);
/// Connections that are at rest.
const RESTING: usize = 1000;
/// What a process may have open: all these, and as many to the server.
const FILES: u64 = 16384;
/// Connections of requests at a pace.
const PACED: usize = 64;
/// So many times longer than CPU time is measured how long answers take: the kernel's own threads stop a proxy
/// for milliseconds, some times a second, and in one round more often than in another.
const LONGER: u32 = 4;

/// Requests of one kind.
struct Case {
    name: &'static str,
    tls: bool,
    body: Body,
    connections: usize,
    close: bool,
    /// Most CPU time of palier, as a multiple of HAProxy's.
    asked: Option<f64>,
}

const SMALL: Case = Case {
    name: "small, keep-alive",
    tls: false,
    body: Body::Small,
    connections: 64,
    close: false,
    asked: Some(1.2),
};
const CASES: [Case; 5] = [
    SMALL,
    Case { name: "new connections", close: true, connections: 32, asked: None, ..SMALL },
    Case { name: "TLS, keep-alive", tls: true, asked: Some(1.1), ..SMALL },
    Case {
        name: "TLS, full handshakes",
        tls: true,
        close: true,
        connections: 32,
        asked: Some(0.8),
        ..SMALL
    },
    Case { name: "1 MiB", body: Body::Large, connections: 8, asked: Some(0.8), ..SMALL },
];

fn main() -> io::Result<()> {
    let flags = Flags::parse();
    setrlimit(Resource::RLIMIT_NOFILE, FILES, FILES)?;
    network()?;
    cpu::pin(CPUS[1])?;
    let folder = tempfile::tempdir_in(&flags.state_dir)?;
    let place = Place::prepare(folder.path(), &flags.control, !flags.without_log, CPUS)?;
    let mut figures = Vec::new();
    let mut peak = None;
    for case in CASES.iter().filter(|case| case.name.contains(&flags.only)) {
        figures.extend(requests(&flags, &place, case, &mut peak)?);
    }
    if "memory".contains(&flags.only) {
        figures.extend(memory(&flags, &place)?);
    }
    if "p99".contains(&flags.only) {
        let peak = match peak {
            Some(peak) => peak,
            None => measure(&flags, &place, Rival::HaProxy, &SMALL)?.per_second,
        };
        figures.extend(latency(&flags, &place, peak / 2.0)?);
    }
    print!("{}", table(&figures));
    match &flags.figures {
        Some(file) => figures.iter().try_for_each(|figure| figure.append_to(file)),
        None => Ok(()),
    }
}

/// What a proxy did.
struct Done {
    /// CPU time of a request, in microseconds.
    micros: f64,
    per_second: f64,
}

/// Every rival in every round, each time in another order; what came out, rival by rival.
fn by_turns<T>(
    rounds: usize,
    mut one: impl FnMut(Rival) -> io::Result<T>,
) -> io::Result<[Vec<T>; 3]> {
    let mut all = Rival::ALL.map(|_| Vec::new());
    for round in 0..rounds {
        let mut order: Vec<_> = Rival::ALL.into_iter().zip(&mut all).collect();
        order.rotate_left(round % Rival::ALL.len());
        for (rival, values) in order {
            values.push(one(rival)?);
        }
    }
    Ok(all)
}

fn requests(
    flags: &Flags,
    place: &Place,
    case: &Case,
    peak: &mut Option<f64>,
) -> io::Result<Vec<Figure>> {
    let done = by_turns(flags.rounds, |rival| measure(flags, place, rival, case))?;
    if case.name == SMALL.name {
        *peak = Some(Spread::of(done[1].iter().map(|done| done.per_second)).median);
    }
    let micros = done.map(|done| done.into_iter().map(|done| done.micros).collect());
    Ok(compared(case.name, "us of CPU", &micros, case.asked))
}

/// A figure of each rival, and palier's as a multiple of HAProxy's in the same round.
fn compared(name: &str, unit: &str, values: &[Vec<f64>; 3], asked: Option<f64>) -> Vec<Figure> {
    let each = Rival::ALL.iter().zip(values).map(|(rival, values)| {
        let spread = Spread::of(values.iter().copied());
        Figure::new(PART, format!("{name}: {}", rival.name()), unit, spread)
    });
    let [palier, haproxy, _] = values;
    let ratios = palier.iter().zip(haproxy).map(|(ours, theirs)| ours / theirs);
    let ratio = Figure::new(PART, format!("{name}: in HAProxy's"), "", Spread::of(ratios));
    each.chain([ratio.asked(asked.map(Asked::AtMost))]).collect()
}

fn measure(flags: &Flags, place: &Place, rival: Rival, case: &Case) -> io::Result<Done> {
    let subject = place.start(rival)?;
    let question = place.question(rival, case.tls, case.body, case.close);
    let mut clients = Clients::connect(question, case.connections)?;
    clients.run(WARM)?;
    let (before, time) = (subject.cpu()?, Duration::from_secs(flags.seconds));
    let answers = clients.run(time)? as f64;
    let cpu = subject.cpu()? - before;
    let logged = subject.forget()?;
    let done = Done {
        micros: cpu.as_secs_f64() * 1e6 / answers,
        per_second: answers / time.as_secs_f64(),
    };
    let share = cpu.as_secs_f64() / time.as_secs_f64() * 100.0;
    eprintln!(
        "{}: {}: {:.1} us, {:.0}/s, {share:.0} % of its CPU, {:.0} bytes of log each",
        case.name,
        rival.name(),
        done.micros,
        done.per_second,
        logged as f64 / answers
    );
    Ok(done)
}

/// What a connection takes of memory, in three states; and the most that palier may.
const STATES: [(&str, f64); 3] =
    [("before the first byte", 12.0), ("kept alive", 22.0), ("TLS, kept alive", 30.0)];

fn memory(flags: &Flags, place: &Place) -> io::Result<Vec<Figure>> {
    let each = by_turns(flags.rounds, |rival| {
        let [silent, kept] = resting(&place.start(rival)?, place, rival, false)?;
        let [_, tls] = resting(&place.start(rival)?, place, rival, true)?;
        eprintln!("memory: {}: {silent:.1}, {kept:.1}, {tls:.1} KiB", rival.name());
        Ok([silent, kept, tls])
    })?;
    let mut figures = Vec::new();
    for (state, (name, limit)) in STATES.into_iter().enumerate() {
        for (rival, values) in Rival::ALL.into_iter().zip(&each) {
            let asked = (rival == Rival::Palier).then_some(Asked::AtMost(limit));
            let spread = Spread::of(values.iter().map(|values| values[state]));
            let name = format!("memory, {name}: {}", rival.name());
            figures.push(Figure::new(PART, name, "KiB each", spread).asked(asked));
        }
    }
    Ok(figures)
}

/// KiB of each connection, silent and after a request.
fn resting(subject: &Subject, place: &Place, rival: Rival, tls: bool) -> io::Result<[f64; 2]> {
    let question = place.question(rival, tls, Body::Small, false);
    // What is taken once, by the first.
    Clients::connect(question.clone(), 1)?.ask()?;
    let before = subject.memory()?.resident;
    let each = |subject: &Subject| -> io::Result<f64> {
        let grown = subject.memory()?.resident.saturating_sub(before);
        Ok(grown as f64 / 1024.0 / RESTING as f64)
    };
    let mut clients = Clients::connect(question, RESTING)?;
    let silent = each(subject)?;
    clients.ask()?;
    Ok([silent, each(subject)?])
}

/// The slowest answer but one in a hundred, at this pace.
fn latency(flags: &Flags, place: &Place, per_second: f64) -> io::Result<Vec<Figure>> {
    eprintln!("p99 at {per_second:.0} requests a second");
    let millis = by_turns(flags.rounds, |rival| {
        let subject = place.start(rival)?;
        let question = place.question(rival, false, Body::Small, false);
        let mut clients = Clients::connect(question, PACED)?;
        clients.paced(per_second, WARM)?;
        let time = LONGER * Duration::from_secs(flags.seconds);
        let mut times = clients.paced(per_second, time)?;
        subject.forget()?;
        times.sort();
        let at = |share: usize| times[(times.len() * share).div_ceil(100) - 1].as_secs_f64() * 1e3;
        eprintln!("p99: {}: p50 {:.3} ms, p99 {:.3} ms", rival.name(), at(50), at(99));
        Ok(at(99))
    })?;
    Ok(compared("p99 at half load", "ms", &millis, Some(1.0)))
}
