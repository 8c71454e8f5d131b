//! BFD with the routers, on a thread of its own: it proves that this process forwards, not merely that it
//! is there. What the thread sends is as fresh as the workers' heartbeats, and nothing that the main
//! thread does (building tables for seconds) keeps it from sending.
//!
//! The packets are the kernel's: they come and go by the exception path.

mod counter;
mod handover;
mod peer;
mod priority;
mod restart;
mod runner;
mod socket;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use api::{BfdSession, BfdStatus};
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;

pub(crate) use self::counter::{Counter, Counters};
use self::handover::Handover;
use self::restart::Pause;
pub(crate) use self::restart::Readiness;
use self::runner::Runner;
use crate::worker;

/// What the thread and the others share.
struct Shared {
    /// The sessions of a Snapshot that the thread has not seen yet.
    wanted: Mutex<Option<Vec<BfdSession>>>,
    /// A silence that routers are asked to bear, and how far that has come.
    pause: Mutex<Pause>,
    stop: AtomicBool,
    /// Interrupts the thread's wait.
    wake: EventFd,
    status: Mutex<Vec<BfdStatus>>,
    counters: Counters,
}

/// The sessions, as the main thread sees them. On drop they end without a word.
pub(crate) struct Bfd {
    shared: Arc<Shared>,
    /// Where sessions are left for the next process.
    folder: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Bfd {
    /// No sessions, and no thread yet. `folder` is where a process finds what the one before has left.
    ///
    /// # Errors
    /// There is no descriptor to wake the thread by.
    pub(crate) fn new(folder: PathBuf) -> io::Result<Self> {
        let shared = Shared {
            wanted: Mutex::new(None),
            pause: Mutex::default(),
            stop: AtomicBool::new(false),
            wake: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            status: Mutex::new(Vec::new()),
            counters: Counters::new(),
        };
        Ok(Self { shared: Arc::new(shared), folder, thread: None })
    }

    /// Starts the thread, once the workers turn.
    ///
    /// # Errors
    /// There can be no thread.
    pub(crate) fn start(&mut self, workers: Vec<Arc<worker::Shared>>) -> io::Result<()> {
        let found = Handover::take(&self.folder);
        let runner = Runner::new(self.shared.clone(), workers, found);
        let run = move || {
            priority::raise();
            runner.run();
        };
        self.thread = Some(thread::Builder::new().name("bfd".into()).spawn(run)?);
        Ok(())
    }

    /// These sessions and no others, from now on.
    pub(crate) fn apply(&self, sessions: &[BfdSession]) {
        *self.shared.wanted.lock() = Some(sessions.to_vec());
        self.wake();
    }

    /// Each session, in the order of the Snapshot.
    pub(crate) fn status(&self) -> Vec<BfdStatus> {
        self.shared.status.lock().clone()
    }

    /// What is counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    fn wake(&self) {
        // A counter that is at its end wakes the thread as well.
        let _ = self.shared.wake.write(1);
    }
}

impl Drop for Bfd {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of it has aborted the process.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
