//! `palier-lab-demo`: the lab at work, with a table every second.
//!
//! Real HTTP and HTTPS, over IPv4 and IPv6, pass client, routers, `palier-dataplane`, tunnel, proxy and
//! nginx, and return past the L4 nodes. `palier-control` beside each dataplane checks the L7 nodes and announces the VIPs by
//! BGP to the routers, which run BIRD. The servers are restarted one by one, an
//! operator drains an L7 node, and an L4 node is killed, which no
//! request must notice; another L7 node is cut off the network, which only the connections that it had
//! may notice. The exit code is 0 only if requests were answered and no other failed.
//!
//! `--sites 2` shows another thing: two sites, a name that leads to one of them, and what becomes of clients when
//! that one fails.

mod histogram;
mod load;
mod script;
mod sites;
mod table;
mod tally;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use lab::{Bfd, Lab, VIP, VIP6, Wire};
use load::Load;
use script::Script;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use table::Moment;
use tally::Tally;

/// The lab at work: HTTP from a client through routers and L4 nodes to L7 nodes and straight back.
#[derive(Parser)]
#[command(name = "palier-lab-demo", version)]
struct Args {
    /// End after this time (30s, 5m) instead of on Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// Sites: with 2 or more each is a small lab of its own, and clients find them by DNS.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = up_to(1, 4))]
    sites: u8,
    /// L4 nodes. With 0 a router spreads requests over the L7 nodes itself.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(0, 8))]
    l4: u8,
    /// L7 nodes.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = up_to(1, 100))]
    l7: u8,
    /// What the L4 nodes receive from and send on.
    #[arg(long, value_name = "DRIVER", default_value = "tap")]
    wire: Driver,
}

#[derive(Clone, Copy, ValueEnum)]
enum Driver {
    /// DPDK's net_tap
    Tap,
    /// DPDK's net_af_packet
    AfPacket,
}

fn up_to(least: i64, most: i64) -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(least..=most)
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text[..text.len() - unit.len()].parse::<u64>().ok();
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let total = number.zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds));
    total.map(Duration::from_secs).ok_or_else(|| "write 30s, 5m or 1h".into())
}

/// Servers behind the L7 nodes.
const SERVERS: usize = 2;
/// A table each so often.
const TICK: Duration = Duration::from_secs(1);
/// How much of what happened stays on the screen.
const NEWS: usize = 5;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut signals = Signals::new([SIGINT, SIGTERM]).expect("these can be caught");
    let (stop, stopped) = mpsc::channel();
    thread::spawn(move || {
        signals.forever().next();
        // Once nobody waits, the program is ending anyway.
        let _ = stop.send(());
    });

    if args.sites > 1 {
        return sites::run(args.sites.into(), args.time, &stopped);
    }
    let wire = match args.wire {
        Driver::Tap => Wire::Tap,
        Driver::AfPacket => Wire::AfPacket,
    };
    let lab = Lab::new().l4(args.l4.into()).l7(args.l7.into()).wire(wire).without_signals();
    let lab = if args.l4 > 0 { lab.routers(2).bfd(Bfd::CALM).servers(SERVERS) } else { lab };
    let lab = match lab.try_start() {
        Ok(lab) => lab,
        Err(error) => {
            eprintln!("palier-lab-demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    introduce(&lab, args.wire);
    let notes = notes(&lab);
    print!("{notes}");
    let all = run(&lab, args.time, &notes, &stopped);
    println!("in all: {all}");
    if all.apart > 0 {
        println!(
            "apart: {} requests failed on connections to a node in the moment it was cut off",
            all.apart
        );
    }
    if let Some(failure) = &all.failure {
        println!("first failure: {failure}");
    }
    if all.answered > 0 && all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what is about to be seen.
fn introduce(lab: &Lab, wire: Driver) {
    let driver = match wire {
        Driver::Tap => "net_tap",
        Driver::AfPacket => "net_af_packet",
    };
    println!(
        "client -> internet router -> {} routers (BIRD, ECMP) -> {} L4 nodes (palier-dataplane over \
         DPDK's {driver}) -> IP in IP -> {} L7 nodes (palier-control: decapsulation, proxy) -> {} servers \
         (nginx, by the PROXY protocol); answers go from the L7 nodes straight to the client\n\
         palier-control on the L4 nodes checks the L7 nodes, and announces the VIPs by BGP, with BFD\n\
         HTTP and HTTPS to the VIPs {VIP} and {VIP6}; the servers are restarted one by one, an L7 node is \
         drained, an L4 node killed, an L7 node cut off, by turns\nsite file: {}\n",
        lab.routers().len(),
        lab.l4s().len(),
        lab.l7s().len(),
        lab.backends().len(),
        lab.site_path().display(),
    );
}

/// What the dataplanes warned of as they started, a line each.
fn notes(lab: &Lab) -> String {
    let mut notes = String::new();
    for node in lab.l4s() {
        let log = std::fs::read_to_string(node.log()).unwrap_or_default();
        for (_, text) in log.lines().filter_map(|line| line.split_once(" WARN ")) {
            notes += &format!("note of {}: {}\n", node.name(), text.trim());
        }
    }
    notes
}

fn run(lab: &Lab, time: Option<Duration>, notes: &str, stopped: &mpsc::Receiver<()>) -> Tally {
    let load = Load::start(lab.client(), !lab.backends().is_empty());
    let start = Instant::now();
    let mut script = Script::new(lab);
    let mut all = Tally::default();
    let (mut earlier, mut last) = (Moment::now(lab), start);
    let mut news = Vec::new();
    for tick in 1_u64.. {
        let wait = (start + TICK * u32::try_from(tick).unwrap_or(u32::MAX))
            .saturating_duration_since(Instant::now());
        match stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
        let elapsed = start.elapsed().as_secs();
        if let Some(told) = script.play(lab) {
            news.push(format!("{elapsed:>4} s  {told}"));
            if !io::stdout().is_terminal() {
                println!("{elapsed:>4} s  {told}");
            }
        }
        let (seen, now, at) = (load.take(), Moment::now(lab), Instant::now());
        let table = now.table(lab, &earlier, at - last);
        let second = Tally::of(seen, &script);
        let below = format!("{}\n{notes}", news[news.len().saturating_sub(NEWS)..].join("\n"));
        show(&format!("{elapsed:>4} s  {second}\n{table}"), &below);
        all.merge(second);
        (earlier, last) = (now, at);
        if time.is_some_and(|time| start.elapsed() >= time) {
            break;
        }
    }
    all.merge(Tally::of(load.finish(), &script));
    all
}

/// On a terminal, the table stays where it is, with the notes below, as what was printed before is
/// wiped; elsewhere, one follows the other.
fn show(table: &str, notes: &str) {
    let mut out = io::stdout().lock();
    let (begin, end) = if out.is_terminal() { ("\x1b[H\x1b[J", notes) } else { ("", "") };
    // Nobody reads any more: the exit code still tells.
    let _ = write!(out, "{begin}{table}\n{end}");
}
