//! Connections that live through a test, and what became of them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::http::{Connection, Url};
use crate::wait::wait_until;
use crate::{Namespace, Response};

/// Connections are many and their threads do little.
const STACK: usize = 128 * 1024;
/// Until when all must have had their first answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Connections that make one request after the other, each on a thread of its own, until
/// [`Self::finish`].
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Outcome>>,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections that lived until the end and had every answer.
    pub completed: usize,
    /// Connections that were refused, reset, closed, stood still, or changed their node.
    pub broken: usize,
    /// Requests that were answered, on all of them.
    pub requests: u64,
    /// Node -> connections that it served.
    pub nodes: BTreeMap<String, usize>,
    /// What broke them, in words.
    pub failures: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    ending: AtomicBool,
    /// Answers so far, of each connection.
    answers: Vec<AtomicU64>,
    started: AtomicUsize,
    broken: AtomicUsize,
    /// Connections that were opened because an answer said that the one before ends.
    reopened: AtomicUsize,
}

/// The node that served a connection, and why it broke.
#[derive(Debug, Default)]
struct Outcome {
    node: Option<String>,
    failure: Option<String>,
}

impl Traffic {
    /// Opens `count` connections from the namespace and returns once each has its first answer,
    /// or has failed. Between requests each pauses for `pause`.
    pub(crate) fn start(namespace: &Namespace, count: usize, url: &str, pause: Duration) -> Self {
        let url = Url::parse(url);
        let answers = (0..count).map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { answers, ..Shared::default() });
        let threads = namespace.enter(|| {
            let spawn = |number| {
                let (shared, url) = (Arc::clone(&shared), url.clone());
                thread::Builder::new()
                    .stack_size(STACK)
                    .spawn(move || shared.run(number, &url, pause))
                    .expect("threads are to be had")
            };
            (0..count).map(spawn).collect()
        });
        let traffic = Self { shared, threads };
        wait_until("every connection has its first answer", START_LIMIT, || {
            traffic.shared.started.load(Relaxed) == count
        });
        traffic
    }

    /// Connections that broke so far.
    pub fn broken_so_far(&self) -> usize {
        self.shared.broken.load(Relaxed)
    }

    /// Connections so far whose end was told with an answer, and that were opened anew.
    pub fn reopened_so_far(&self) -> usize {
        self.shared.reopened.load(Relaxed)
    }

    /// Requests answered so far.
    pub fn requests_so_far(&self) -> u64 {
        self.shared.answers.iter().map(|answers| answers.load(Relaxed)).sum()
    }

    /// Requests answered so far, of each connection.
    pub fn each_so_far(&self) -> Vec<u64> {
        self.shared.answers.iter().map(|answers| answers.load(Relaxed)).collect()
    }

    /// Lets each connection end its request, closes them and tells what became of them.
    ///
    /// # Panics
    /// A thread of it panicked.
    pub fn finish(mut self) -> Report {
        self.shared.ending.store(true, Relaxed);
        let mut report = Report::default();
        for thread in self.threads.drain(..) {
            // It may be in its pause.
            thread.thread().unpark();
            let Outcome { node, failure } = thread.join().expect("a connection's thread ends well");
            match failure {
                Some(failure) => {
                    report.broken += 1;
                    report.failures.push(failure);
                }
                None => report.completed += 1,
            }
            if let Some(node) = node {
                *report.nodes.entry(node).or_default() += 1;
            }
        }
        report.requests = self.requests_so_far();
        report
    }
}

impl Shared {
    fn run(&self, number: usize, url: &Url, pause: Duration) -> Outcome {
        let mut outcome = Outcome::default();
        let mut started = false;
        let mut on_answer = |response: &Response| {
            self.answers[number].fetch_add(1, Relaxed);
            if !std::mem::replace(&mut started, true) {
                self.started.fetch_add(1, Relaxed);
            }
            if response.status != 200 {
                return Err(format!("status {}", response.status));
            }
            let node = outcome.node.get_or_insert_with(|| response.node.clone());
            // A proxy may give each request to another server.
            if *node == response.node || response.node.starts_with("server-") {
                Ok(())
            } else {
                Err(format!("{node} became {}", response.node))
            }
        };
        if let Err(failure) = self.requests(url, pause, &mut on_answer) {
            self.broken.fetch_add(1, Relaxed);
            if !started {
                self.started.fetch_add(1, Relaxed);
            }
            outcome.failure = Some(failure);
        }
        outcome
    }

    fn requests(
        &self,
        url: &Url,
        pause: Duration,
        on_answer: &mut impl FnMut(&Response) -> Result<(), String>,
    ) -> Result<(), String> {
        let told = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let mut connection = Connection::open(url, None).map_err(told("connecting"))?;
        while !self.ending.load(Relaxed) {
            let response = connection.get(&url.path).map_err(told("request"))?;
            on_answer(&response)?;
            if response.closes {
                connection = Connection::open(url, None).map_err(told("connecting again"))?;
                self.reopened.fetch_add(1, Relaxed);
            }
            if !pause.is_zero() {
                thread::park_timeout(pause);
            }
        }
        Ok(())
    }
}
