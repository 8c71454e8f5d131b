//! Whether the dataplane forwards: its process answers, and every worker turns its loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::{BfdStatus, Heartbeats, Reply, Request};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Client, Unanswered};

/// From one question to the next.
const INTERVAL: Duration = Duration::from_millis(100);
/// A process that is silent for longer does not forward as far as anybody can tell.
const PATIENCE: Duration = Duration::from_secs(1);
/// While it builds tables for control it answers nothing else; its workers go on.
const BUILDING: Duration = Duration::from_secs(120);
/// A worker that has not turned its loop for longer hangs. One turn takes microseconds, but a
/// virtual machine may be held up.
const STALE: u64 = 500;

/// Whether the dataplane forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// It does: the age of the oldest heartbeat in milliseconds.
    Beats(u64),
    /// It does not, and why.
    Silent(String),
}

/// Asks the dataplane from now on. `building` says that control waits for it to apply something.
/// The other half tells what it says of its BFD sessions.
pub fn start(
    socket: PathBuf,
    building: watch::Receiver<bool>,
) -> (watch::Receiver<Pulse>, watch::Receiver<Arc<Vec<BfdStatus>>>) {
    let (pulse, seen) = watch::channel(Pulse::Silent("not asked yet".into()));
    let (bfd, sessions) = watch::channel(Arc::default());
    tokio::spawn(async move {
        while !pulse.is_closed() {
            let lost = match listen(&socket, &building, &pulse, &bfd).await {
                Ok(()) => return,
                Err(lost) => lost,
            };
            tell(&pulse, Pulse::Silent(format!("the dataplane does not answer: {lost}")));
            tokio::time::sleep(INTERVAL).await;
        }
    });
    (seen, sessions)
}

async fn listen(
    socket: &Path,
    building: &watch::Receiver<bool>,
    pulse: &watch::Sender<Pulse>,
    bfd: &watch::Sender<Arc<Vec<BfdStatus>>>,
) -> Result<(), Unanswered> {
    let mut client = Client::connect(socket).await?;
    while !pulse.is_closed() {
        let next = Instant::now() + INTERVAL;
        let mut answer = ask(&mut client, building.clone()).await?;
        hear(bfd, std::mem::take(&mut answer.bfd));
        tell(pulse, judge(&answer));
        sleep_until(next).await;
    }
    Ok(())
}

async fn ask(
    client: &mut Client,
    mut building: watch::Receiver<bool>,
) -> Result<Heartbeats, Unanswered> {
    let late = async {
        // From the end of whatever it builds, or from now; it may begin to build after it was asked.
        loop {
            let built = tokio::time::timeout(BUILDING, building.wait_for(|building| !building));
            let in_time = built.await.is_ok();
            tokio::select! {
                () = tokio::time::sleep(PATIENCE) => return,
                Ok(_) = building.wait_for(|building| *building), if in_time => {}
            }
        }
    };
    tokio::select! {
        answer = client.ask(&Request::Heartbeats, 2 * BUILDING) => match answer? {
            Reply::Heartbeats(heartbeats) => Ok(heartbeats),
            other => Err(Unanswered::Malformed(format!("{other:?}"))),
        },
        () = late => Err(Unanswered::Late(PATIENCE)),
    }
}

fn judge(heartbeats: &Heartbeats) -> Pulse {
    let stale = heartbeats.workers.iter().find(|worker| worker.heartbeat_ms > STALE);
    match (stale, heartbeats.workers.iter().map(|worker| worker.heartbeat_ms).max()) {
        (Some(worker), _) => Pulse::Silent(format!(
            "the worker on CPU {} has not turned for {} ms",
            worker.cpu, worker.heartbeat_ms
        )),
        (None, Some(_)) if heartbeats.generation.is_none() => {
            Pulse::Silent("the dataplane has no Snapshot yet".into())
        }
        (None, Some(oldest)) => Pulse::Beats(oldest),
        (None, None) => Pulse::Silent("the dataplane has no workers".into()),
    }
}

/// Publishes the BFD sessions; what they have negotiated alone is no news to those who wait.
fn hear(bfd: &watch::Sender<Arc<Vec<BfdStatus>>>, sessions: Vec<BfdStatus>) {
    bfd.send_if_modified(|before| {
        let fate =
            |one: &BfdStatus| (one.remote, one.state, one.losses, one.held, one.remote_admin_down);
        let news = !before.iter().map(fate).eq(sessions.iter().map(fate));
        *before = Arc::new(sessions);
        news
    });
}

/// Publishes what has changed; ages alone are no news to those who wait.
fn tell(pulse: &watch::Sender<Pulse>, new: Pulse) {
    pulse.send_if_modified(|old| {
        let news = match (&*old, &new) {
            (Pulse::Beats(_), Pulse::Beats(_)) => false,
            (Pulse::Silent(before), Pulse::Silent(now)) => before != now,
            (Pulse::Beats(_), Pulse::Silent(_)) | (Pulse::Silent(_), Pulse::Beats(_)) => true,
        };
        *old = new;
        news
    });
}
