//! The workers, as the main thread sees them.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use thiserror::Error;

use crate::worker::{Shared, Update};

/// All workers.
pub(crate) struct Team {
    workers: Vec<(Sender<Update>, Arc<Shared>)>,
    told: Cell<u64>,
    stop: Arc<AtomicBool>,
}

/// A worker does not take in what it is told.
#[derive(Debug, Error)]
#[error(
    "the worker on CPU {0} does not respond: it may be stopped, or its CPU be taken by something else"
)]
pub(crate) struct Stuck(usize);

impl Team {
    /// A worker turns its loop in microseconds, and naps for less than one millisecond.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// `stop`: whether the workers are to end, and take in nothing more.
    pub(crate) fn new(workers: Vec<(Sender<Update>, Arc<Shared>)>, stop: Arc<AtomicBool>) -> Self {
        Self { workers, told: Cell::new(0), stop }
    }

    /// What each worker shows.
    pub(crate) fn workers(&self) -> impl ExactSizeIterator<Item = &Arc<Shared>> {
        self.workers.iter().map(|(_, shared)| shared)
    }

    /// Tells every worker something.
    pub(crate) fn tell(&self, mut update: impl FnMut(usize) -> Update) {
        for (number, (sender, _)) in self.workers.iter().enumerate() {
            // A worker whose end is gone has stopped: the process is about to.
            let _ = sender.send(update(number));
        }
        self.told.set(self.told.get() + 1);
    }

    /// The same where nothing depends on it. One that hangs is named in the log.
    pub(crate) fn settle(&self) {
        if let Err(error) = self.wait()
            && !self.stop.load(Relaxed)
        {
            tracing::error!("{error}");
        }
    }

    /// Waits until every worker has taken in all that it was told.
    ///
    /// # Errors
    /// One does not within seconds, or all are to stop.
    pub(crate) fn wait(&self) -> Result<(), Stuck> {
        let deadline = Instant::now() + Self::PATIENCE;
        for shared in self.workers() {
            while shared.updates.load(Acquire) < self.told.get() {
                if Instant::now() > deadline || self.stop.load(Relaxed) {
                    return Err(Stuck(shared.cpu));
                }
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        Ok(())
    }
}
