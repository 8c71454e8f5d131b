//! What comes all the time while a test does something: new connections, and datagrams.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lab::{Connection, Lab};

use crate::{Echo, SOON, URLS, VIPS};

/// Pause between two connections: a client has 28,000 ports, each of use again after a minute.
const PAUSE: Duration = Duration::from_millis(10);

/// Node -> how often it served.
type Nodes = BTreeMap<String, u64>;

/// New connections, and datagrams of one flow, to the VIP of each family. Every single one is to be
/// answered.
#[derive(Debug)]
pub struct Steady {
    ending: Arc<AtomicBool>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    served: Arc<AtomicU64>,
    thread: JoinHandle<Result<Nodes, String>>,
}

impl Steady {
    /// Starts it.
    pub fn start(lab: &Lab) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let connections = URLS.into_iter().map(|url| {
            let namespace = lab.client().namespace().clone();
            let served: Arc<AtomicU64> = Arc::default();
            let (ending, count) = (Arc::clone(&ending), Arc::clone(&served));
            let thread = thread::spawn(move || {
                namespace.enter(|| {
                    serve(&ending, &count, || {
                        let answer = Connection::to(url).and_then(|mut c| c.get("/"));
                        answer.map(|answer| answer.node).map_err(|e| format!("{url}: {e}"))
                    })
                })
            });
            Line { served, thread }
        });
        let datagrams = VIPS.into_iter().map(|vip| datagrams(lab, vip, Arc::clone(&ending)));
        let lines = connections.chain(datagrams).collect();
        Self { ending, lines }
    }

    /// Returns once `count` further ones of each kind were answered, all of which were sent after
    /// this was called.
    ///
    /// # Panics
    /// They do not go on; `after` says in the message after what.
    pub fn go_on(&self, count: u64, after: &str) {
        let before: Vec<u64> = self.lines.iter().map(|line| line.served.load(Relaxed)).collect();
        lab::wait_until(&format!("all goes on after {after}"), SOON, || {
            let on = |(line, before): (&Line, &u64)| {
                line.thread.is_finished() || line.served.load(Relaxed) > before + count
            };
            self.lines.iter().zip(&before).all(on)
        });
        // The thread's result has the reason; it is told at the end.
        let broken = self.lines.iter().filter(|line| line.thread.is_finished()).count();
        assert_eq!(broken, 0, "connections or datagrams were lost after {after}");
    }

    /// Ends it, and tells which nodes served how many connections.
    ///
    /// # Panics
    /// Something was not answered.
    pub fn finish_whole(self) -> Nodes {
        self.ending.store(true, Relaxed);
        let mut nodes = Nodes::new();
        for line in self.lines {
            let served = line.thread.join().expect("its thread ends well");
            for (node, count) in served.unwrap_or_else(|failure| panic!("{failure}")) {
                *nodes.entry(node).or_default() += count;
            }
        }
        nodes
    }
}

fn datagrams(lab: &Lab, vip: IpAddr, ending: Arc<AtomicBool>) -> Line {
    let flow = Echo::open(lab, vip);
    let served: Arc<AtomicU64> = Arc::default();
    let count = Arc::clone(&served);
    let thread = thread::spawn(move || {
        let mut number: u64 = 0;
        serve(&ending, &count, || {
            number += 1;
            let data = number.to_be_bytes();
            flow.send(&data);
            let (node, back) = flow.try_answer().map_err(|e| format!("datagram to {vip}: {e}"))?;
            if back == data { Ok(node) } else { Err(format!("{vip}: {back:?} for {data:?}")) }
        })
    });
    Line { served, thread }
}

fn serve(
    ending: &AtomicBool,
    served: &AtomicU64,
    mut one: impl FnMut() -> Result<String, String>,
) -> Result<Nodes, String> {
    let mut nodes = Nodes::new();
    while !ending.load(Relaxed) {
        let node = one().inspect_err(|failure| eprintln!("not answered: {failure}"))?;
        *nodes.entry(node).or_default() += 1;
        served.fetch_add(1, Relaxed);
        thread::park_timeout(PAUSE);
    }
    Ok(nodes)
}
