//! How soon routers know: from a check's verdict, from a forwarder's death, and of five hundred VIPs.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bgp::{Families, Neighbor, NextHops, Peer, Route, Speaker, Start, Wanted};
use clap::Parser;
use lab::{Bfd, Flags, L4, Lab, VIP, wait_until};
use perf::figure::{Asked, Figure, table};
use perf::listener::{AS, Listener};
use perf::rounds::Spread;
use perf::routes::{millis, now, stamp};
use system_tests::routes::{RouteWatch, wait_spread};
use system_tests::text;

/// Measures BGP and BFD.
#[derive(Parser)]
struct Args {
    /// File that the figures are appended to.
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Verdicts of each kind.
    #[arg(long, default_value_t = 100)]
    verdicts: usize,
    /// Deaths of a forwarder.
    #[arg(long, default_value_t = 15)]
    deaths: usize,
    /// Times that all VIPs are announced.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
}

const PART: &str = "tier 1";
const SOON: Duration = Duration::from_secs(30);
/// VIPs and routers of the third figure.
const VIPS: u16 = 500;
const ROUTERS: u8 = 4;

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut figures = verdicts(args.verdicts);
    figures.push(deaths(args.deaths));
    figures.push(many(args.rounds)?);
    print!("{}", table(&figures));
    match &args.figures {
        Some(file) => figures.iter().try_for_each(|figure| figure.append_to(file)),
        None => Ok(()),
    }
}

/// From a verdict in control's log to the kernel's route on a router.
fn verdicts(count: usize) -> Vec<Figure> {
    let lab = Lab::new().l4(1).l7(1).bgp().start();
    let l4 = lab.l4(1);
    // Checks in quick succession, so that it does not take long; what is measured begins with a verdict.
    lab.edit_site(|site| {
        let quick = "check.interval = \"50ms\"\ncheck.rise = 1\ncheck.fall = 1\n";
        let site = text::replaced(
            &site,
            text::WEB_CHECKS,
            &format!(
                "check.http = {{ path = \"/healthcheck\" }}\n{quick}check.timeout = \"50ms\"\n"
            ),
        );
        text::replaced(&site, "drain_time = \"1s\"", "drain_time = \"0s\"")
    });
    l4.reload(true);
    wait_until("the quick checks are in force", SOON, || l4.is_settled());
    let watch = RouteWatch::of(lab.router());
    let change = |refuse: bool, state: &str| {
        let hops = usize::from(!refuse);
        lab.l7(1).server().refuse(refuse);
        let vip = IpAddr::V4(VIP);
        wait_until("the route follows", SOON, || lab.router().hops(vip).len() == hops);
        let verdict = last_verdict(l4, state).expect("there was a verdict");
        let route = watch.last_change(vip).and_then(|line| stamp(&line)).expect("it was seen");
        // The other family's verdict, too, before the next.
        wait_until("both families follow", SOON, || lab.router().paths() == [hops; 2]);
        millis(verdict, route)
    };
    let (mut gone, mut back) = (Vec::new(), Vec::new());
    for _ in 0..count {
        gone.push(change(true, "state=Some(Down)"));
        back.push(change(false, "state=Some(Up)"));
    }
    let figure = |name: &str, values: &[f64], asked: f64| {
        Figure::new(PART, name, "ms", Spread::of(values.iter().copied()))
            .asked(Some(Asked::AtMost(asked)))
    };
    let p99 = |name: &str, values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let at = values[(values.len() * 99).div_ceil(100) - 1];
        figure(name, &[at], 5.0)
    };
    vec![
        figure("verdict down to route gone", &gone, 2.0),
        p99("the same, p99", &mut gone),
        figure("verdict up to route there", &back, 2.0),
        p99("the same, p99", &mut back),
    ]
}

/// When control last logged a verdict of this kind on the HTTP check of the IPv4 VIP.
fn last_verdict(l4: &L4, state: &str) -> Option<u64> {
    let check = format!("http {VIP}:80");
    let log = l4.control_printed();
    let mut lines = log.lines().rev();
    let line = lines
        .find(|line| line.contains("verdict") && line.contains(&check) && line.contains(state))?;
    stamp(line)
}

/// From SIGKILL to the kernel's route on a router, by BFD of 100 ms x 3.
fn deaths(count: usize) -> Figure {
    let lab = Lab::new().l4(2).bfd(Bfd::FAST).start();
    let l4 = lab.l4(1);
    let watch = RouteWatch::of(lab.router());
    let one = || {
        wait_until("BFD is up", SOON, || {
            let status = l4.status();
            let mut sessions = status.routers.iter().flat_map(|router| &router.sessions);
            sessions.all(|session| session.up && session.bfd.as_ref().is_some_and(|bfd| bfd.up))
        });
        wait_spread(&lab, "both nodes are there", [&[1, 2], &[1, 2]]);
        let death = now();
        l4.kill();
        wait_spread(&lab, "the dead one is gone", [&[2], &[2]]);
        let route = watch.last_change(VIP.into()).and_then(|line| stamp(&line));
        let took = millis(death, route.expect("it was seen"));
        l4.start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
        took
    };
    let values: Vec<f64> = (0..count).map(|_| one()).collect();
    Figure::new(PART, "dead forwarder to route gone, BFD 100 ms x 3", "ms", Spread::of(values))
        .asked(Some(Asked::AtMost(350.0)))
}

/// From `set` until each of several routers has read that many VIPs.
fn many(rounds: usize) -> io::Result<Figure> {
    let routers: Vec<Listener> = (1..=ROUTERS).map(Listener::start).collect::<io::Result<_>>()?;
    let speaker = Speaker::start(Start::default())?;
    let neighbors: Vec<Arc<Neighbor>> = routers.iter().map(|r| Arc::new(neighbor(r))).collect();
    let prefix = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(198, 18, high, low);
        Route { prefix: IpAddr::V4(address).into(), attributes: Arc::default() }
    };
    let all: Arc<[Route]> = (0..VIPS).map(prefix).collect();
    let set = |routes: &Arc<[Route]>| {
        let peer =
            |neighbor: &Arc<Neighbor>| Peer { neighbor: neighbor.clone(), routes: routes.clone() };
        speaker.set(Wanted { neighbors: neighbors.iter().map(peer).collect(), settled: true });
    };
    let none: Arc<[Route]> = Arc::default();
    set(&none);
    let status = speaker.status();
    wait_until("all sessions are up", SOON, || {
        let sessions = status.borrow();
        sessions.len() == routers.len()
            && sessions.iter().all(|one| one.state == bgp::SessionState::Established)
    });
    let told = |count: usize| {
        let start = Instant::now();
        while routers.iter().any(|router| router.prefixes() != count) {
            assert!(start.elapsed() < SOON, "routers know less than {count} prefixes");
            sleep(Duration::from_micros(50)); // the pace of looking
        }
        start.elapsed().as_secs_f64() * 1000.0
    };
    let mut values = Vec::new();
    for _ in 0..rounds {
        set(&all);
        values.push(told(usize::from(VIPS)));
        set(&none);
        told(0);
    }
    Ok(Figure::new(PART, "500 VIPs known to 4 routers", "ms", Spread::of(values))
        .asked(Some(Asked::AtMost(100.0))))
}

fn neighbor(router: &Listener) -> Neighbor {
    let IpAddr::V4(id) = router.address().ip() else { unreachable!("it listens on 127.0.1.x") };
    Neighbor {
        name: format!("router {id}"),
        address: id.into(),
        interface: None,
        port: router.address().port(),
        source: Some(Ipv4Addr::LOCALHOST.into()),
        local_as: 65_001,
        peer_as: AS.into(),
        router_id: Ipv4Addr::new(192, 0, 2, 132),
        next_hops: NextHops { v4: Some(Ipv4Addr::new(192, 0, 2, 132)), v6: None, link_local: None },
        families: Families { ipv4: true, ipv6: false },
        extended_next_hop: false,
        password: None,
        ttl_security: false,
        passive: false,
        hold_time: Duration::from_secs(240),
        connect_retry: Duration::from_secs(1),
        restart_time: Duration::ZERO,
    }
}
