//! Asks for what is shown.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use admin::Status;
use api::Stats;

use super::INTERVAL;
use crate::context::{Context, SOON, misplaced};
use crate::failure::Failure;

/// What one round of questions brought; why not, where it brought nothing.
#[derive(Debug)]
pub(super) struct Sample {
    /// The dataplane's counters.
    pub(super) stats: Result<Stats, String>,
    /// Control's view.
    pub(super) status: Result<Box<Status>, String>,
}

/// The dataplane's counters.
pub(super) fn stats(context: &Context) -> Result<Stats, Failure> {
    match context.dataplane()?.ask(&api::Request::Stats, SOON)? {
        api::Reply::Stats(stats) => Ok(*stats),
        reply => Err(misplaced(&reply)),
    }
}

/// Adds what control says. Connections are new each time: so nothing has to be noticed when either
/// side comes back.
pub(super) fn with_status(context: &Context, stats: Result<Stats, String>) -> Sample {
    let status = context.control().map_err(Failure::from).and_then(|mut c| c.status());
    Sample { stats, status: status.map(Box::new).map_err(|failure| failure.to_string()) }
}

/// Asks both.
pub(super) fn sample(context: &Context) -> Sample {
    with_status(context, stats(context).map_err(|failure| failure.to_string()))
}

/// Samples, one each second, for as long as somebody listens. One that hangs keeps no key waiting: a
/// thread asks.
pub(super) fn samples(context: Context) -> Samples {
    let (sender, receiver) = mpsc::sync_channel(1);
    let (stop, stopped) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        while sender.send(sample(&context)).is_ok() {
            match stopped.recv_timeout(INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    Samples { receiver, _stop: stop }
}

/// The receiving end; the thread ends with it.
pub(super) struct Samples {
    /// Samples as they come.
    pub(super) receiver: Receiver<Sample>,
    _stop: mpsc::Sender<()>,
}
