//! How many probes a monitor makes on one core.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use health::monitor::{Monitor, Settings};
use health::{Check, Http, Kind, Probe, Source, State, StatusSet, Target, Tcp, Timing, Tls};

use crate::cpu;
use crate::target::{NAME, Server};

/// Until it runs evenly: first probes are spread over one second.
const WARM_UP: Duration = Duration::from_secs(2);
/// Blocks of source ports: as many as L7 nodes could be.
const BLOCKS: u16 = 1000;
/// Ports of each.
const PORTS: u16 = 16;
const FIRST_PORT: u16 = 16_384;

/// What is asked, a new connection each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A connection and no more.
    Tcp,
    /// `GET /`.
    Http,
    /// The same, from a port of the target's block, as probes through the tunnel do.
    HttpFromBlock,
    /// `GET /` over TLS 1.3, full handshake, certificate verified.
    Https,
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Probes a second, if there is time for them.
    pub per_second: u32,
    /// From a node's probe to its next, and as long it may take: as many nodes are asked as these
    /// two make.
    pub interval: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Probes to their report.
    pub probes: u64,
    /// CPU time of the monitor's thread for one, the kernel's included.
    pub each: Duration,
    /// Wall time.
    pub time: Duration,
}

impl Question {
    fn kind(self, server: &Server) -> Kind {
        let http = |tls| {
            Kind::Http(Http {
                tls,
                method: "GET".into(),
                path: "/".into(),
                host: None,
                status: StatusSet(vec![(200, 299)]),
                drain_status: StatusSet(vec![(503, 503)]),
                body: None,
            })
        };
        match self {
            Self::Tcp => Kind::Tcp(Tcp::default()),
            Self::Http | Self::HttpFromBlock => http(None),
            Self::Https => {
                http(Some(Tls { sni: Some(NAME.into()), verify: true, ca: server.ca.clone() }))
            }
        }
    }

    /// Asks it of a server, on this CPU, for so long.
    ///
    /// # Errors
    /// A probe failed, or the system refuses a thread.
    ///
    /// # Panics
    /// The monitor did.
    pub fn ask(
        self,
        server: &Server,
        load: Load,
        cpu: usize,
        time: Duration,
    ) -> io::Result<Outcome> {
        let probes = self.probes(server, load);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let monitor = thread::Builder::new().name("monitor".into()).spawn(move || {
            cpu::pin(cpu)?;
            runtime.block_on(watch(probes, time))
        })?;
        monitor.join().expect("a monitor does not panic")
    }

    /// Probes of different nodes, all on one host.
    fn probes(self, server: &Server, load: Load) -> Vec<Probe> {
        let timing =
            Timing { interval: load.interval, timeout: load.interval, ..Timing::default() };
        let check = Arc::new(Check { kind: self.kind(server), timing });
        let source = |number: u32| {
            let first_port = FIRST_PORT + (number % u32::from(BLOCKS)) as u16 * PORTS;
            let address = server.address.ip();
            Source { address, first_port, last_port: first_port + (PORTS - 1) }
        };
        (0..load.per_second * load.interval.as_secs() as u32)
            .map(|number| {
                let target = Target {
                    node: format!("l7-{number}").into(),
                    address: server.address.ip(),
                    port: server.address.port(),
                    source: (self == Self::HttpFromBlock).then(|| source(number)),
                    preamble: None,
                };
                Probe { check: check.clone(), target }
            })
            .collect()
    }
}

async fn watch(probes: Vec<Probe>, time: Duration) -> io::Result<Outcome> {
    let (monitor, _changes) = Monitor::start(Settings::default());
    let ids = monitor.set(probes);
    tokio::time::sleep(WARM_UP).await;
    let (before, cpu, start) = (monitor.counters(), cpu::time(), Instant::now());
    tokio::time::sleep(time).await;
    let (after, cpu, time) = (monitor.counters(), cpu::time() - cpu, start.elapsed());
    if after.failed > 0 {
        let standings = monitor.standings();
        let mut all = ids.iter().filter_map(|id| standings.get(*id));
        let reason = all.find(|standing| standing.state == Some(State::Down)).map(|s| &s.reason);
        return Err(io::Error::other(format!("{} probes failed: {reason:?}", after.failed)));
    }
    let probes = after.run - before.run;
    let each = cpu.div_f64(probes.max(1) as f64);
    Ok(Outcome { probes, each, time })
}
