//! What the process is told by signals.

use std::io;

use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Read the site file again.
    Reload,
    /// Stop, in order.
    Stop,
    /// The same, said to the process that this one has taken over from: maybe to both.
    Leave,
}

/// Signals, noted from the moment on in which this is made.
#[derive(Debug)]
pub struct Signals {
    hangups: unix::Signal,
    terms: unix::Signal,
    interrupts: unix::Signal,
}

impl Signals {
    /// Notes them from now on: one that comes before somebody listens is not the process's end.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            hangups: signal(SignalKind::hangup())?,
            terms: signal(SignalKind::terminate())?,
            interrupts: signal(SignalKind::interrupt())?,
        })
    }

    /// What they mean, for a loop; and who else may say that.
    pub fn heard(mut self) -> (mpsc::Sender<Signal>, mpsc::Receiver<Signal>) {
        let (signals, heard) = mpsc::channel(4);
        let others = signals.clone();
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    Some(()) = self.hangups.recv() => Signal::Reload,
                    Some(()) = self.terms.recv() => Signal::Stop,
                    Some(()) = self.interrupts.recv() => Signal::Stop,
                };
                if signals.send(signal).await.is_err() {
                    return;
                }
            }
        });
        (others, heard)
    }
}
