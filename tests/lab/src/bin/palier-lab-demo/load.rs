//! The clients: HTTP over IPv4 and IPv6, on connections that are kept and on new ones.

use std::io;
use std::net::SocketAddr;
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
    pub(crate) latency: Histogram,
    /// Requests that failed.
    pub(crate) failures: Vec<Failure>,
}

/// A request that failed.
pub(crate) struct Failure {
    /// The client's end of its connection, if it was made.
    pub(crate) client: Option<SocketAddr>,
    /// How.
    pub(crate) why: String,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self { answered: 0, latency: Histogram::new(), failures: Vec::new() }
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
    pub(crate) fn start(client: &Client, secure: bool) -> Self {
        let shared =
            Arc::new(Shared { ending: AtomicBool::new(false), seen: Mutex::new(Seen::new()) });
        // A thread is in the namespace of the thread that started it.
        let threads = client.namespace().enter(|| {
            // HTTPS where there is a proxy for it.
            let schemes = if secure { &["http", "https"][..] } else { &["http"] };
            let each =
                |scheme: &&str| [format!("{scheme}://{VIP}/"), format!("{scheme}://[{VIP6}]/")];
            let vips: Vec<String> = schemes.iter().flat_map(each).collect();
            let kept = KEPT / schemes.len();
            let start = |url: &String, work: fn(&Shared, &str)| {
                let (shared, url) = (Arc::clone(&shared), url.clone());
                thread::spawn(move || work(&shared, &url))
            };
            let keeping =
                vips.iter().flat_map(|url| (0..kept).map(move |_| start(url, Shared::keep)));
            let new = vips.iter().flat_map(|url| (0..NEW).map(move |_| start(url, Shared::renew)));
            keeping.chain(new).collect()
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
                self.shared.fail(None, "a client's thread panicked".into());
            }
        }
        std::mem::replace(&mut self.shared.seen(), Seen::new())
    }
}

impl Shared {
    /// Requests on one connection; another is opened only if an answer says that it ends, or if it breaks,
    /// which is a failure.
    fn keep(&self, url: &str) {
        while !self.ending.load(Relaxed) {
            let start = Instant::now();
            let Some(mut connection) = self.open(url) else { continue };
            let client = connection.local_address().ok();
            let mut start = Some(start);
            while !self.ending.load(Relaxed) {
                let begun = start.take().unwrap_or_else(Instant::now);
                match self.ask(&mut connection, begun) {
                    Ok(goes_on) if goes_on => {}
                    Ok(_) => break,
                    Err(error) => {
                        self.fail(client, error.to_string());
                        break;
                    }
                }
                thread::park_timeout(KEPT_PAUSE);
            }
        }
    }

    /// Requests on a new connection each.
    fn renew(&self, url: &str) {
        while !self.ending.load(Relaxed) {
            let start = Instant::now();
            if let Some(mut connection) = self.open(url) {
                let client = connection.local_address().ok();
                if let Err(error) = self.ask(&mut connection, start) {
                    self.fail(client, error.to_string());
                }
            }
            thread::park_timeout(NEW_PAUSE);
        }
    }

    fn open(&self, url: &str) -> Option<Connection> {
        Connection::to(url).inspect_err(|error| self.fail(None, error.to_string())).ok()
    }

    /// A request, which began at `start`. Says whether the connection goes on.
    fn ask(&self, connection: &mut Connection, start: Instant) -> io::Result<bool> {
        let response = connection.get("/")?;
        if response.status != 200 {
            return Err(io::Error::other(format!("status {}", response.status)));
        }
        let mut seen = self.seen();
        seen.answered += 1;
        seen.latency.add(start.elapsed());
        Ok(!response.closes)
    }

    fn fail(&self, client: Option<SocketAddr>, why: String) {
        self.seen().failures.push(Failure { client, why });
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
