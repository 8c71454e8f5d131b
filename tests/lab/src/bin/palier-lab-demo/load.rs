//! The clients: HTTP over IPv4 and IPv6, on connections that are kept and on new ones.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::{Client, Connection, VIP, VIP6};

use crate::histogram::Histogram;

/// Kept connections of each family, and their pause between requests.
const KEPT: usize = 25;
const KEPT_PAUSE: Duration = Duration::from_millis(100);
/// Threads of each family that make one new connection after the other, and their pause.
const NEW: usize = 2;
const NEW_PAUSE: Duration = Duration::from_millis(20);

/// What the clients saw in some time.
pub(crate) struct Seen {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) latency: Histogram,
    /// What went wrong first.
    pub(crate) failure: Option<String>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { answered: 0, failed: 0, latency: Histogram::new(), failure: None }
    }

    pub(crate) fn merge(&mut self, later: Self) {
        self.answered += later.answered;
        self.failed += later.failed;
        self.latency.merge(&later.latency);
        self.failure = self.failure.take().or(later.failure);
    }
}

/// The clients, at work until [`Self::finish`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    ending: AtomicBool,
    seen: Mutex<Seen>,
}

impl Load {
    pub(crate) fn start(client: &Client) -> Self {
        let shared =
            Arc::new(Shared { ending: AtomicBool::new(false), seen: Mutex::new(Seen::new()) });
        // A thread is in the namespace of the thread that started it.
        let threads = client.namespace().enter(|| {
            let vips = [format!("http://{VIP}/"), format!("http://[{VIP6}]/")];
            let start = |url: &String, work: fn(&Shared, &str)| {
                let (shared, url) = (Arc::clone(&shared), url.clone());
                thread::spawn(move || work(&shared, &url))
            };
            let kept = vips.iter().flat_map(|url| (0..KEPT).map(move |_| start(url, Shared::keep)));
            let new = vips.iter().flat_map(|url| (0..NEW).map(move |_| start(url, Shared::renew)));
            kept.chain(new).collect()
        });
        Self { shared, threads }
    }

    /// What was seen since the last call.
    pub(crate) fn take(&self) -> Seen {
        std::mem::replace(&mut self.shared.seen(), Seen::new())
    }

    /// Lets each client end its request, and returns what was not taken yet.
    pub(crate) fn finish(self) -> Seen {
        self.shared.ending.store(true, Relaxed);
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                self.shared.fail("a client's thread panicked".into());
            }
        }
        std::mem::replace(&mut self.shared.seen(), Seen::new())
    }
}

impl Shared {
    /// Requests on one connection; another is opened only if it breaks, which is a failure.
    fn keep(&self, url: &str) {
        while !self.ending.load(Relaxed) {
            let outcome = Connection::to(url).and_then(|mut connection| {
                while !self.ending.load(Relaxed) {
                    self.timed(|| connection.get("/"))?;
                    thread::park_timeout(KEPT_PAUSE);
                }
                Ok(())
            });
            self.told(outcome);
        }
    }

    /// Requests on a new connection each.
    fn renew(&self, url: &str) {
        while !self.ending.load(Relaxed) {
            let outcome = self.timed(|| Connection::to(url)?.get("/"));
            self.told(outcome);
            thread::park_timeout(NEW_PAUSE);
        }
    }

    fn timed(&self, request: impl FnOnce() -> io::Result<lab::Response>) -> io::Result<()> {
        let start = Instant::now();
        let response = request()?;
        if response.status != 200 {
            return Err(io::Error::other(format!("status {}", response.status)));
        }
        let mut seen = self.seen();
        seen.answered += 1;
        seen.latency.add(start.elapsed());
        Ok(())
    }

    fn told(&self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.fail(error.to_string());
        }
    }

    fn fail(&self, failure: String) {
        let mut seen = self.seen();
        seen.failed += 1;
        seen.failure.get_or_insert(failure);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
