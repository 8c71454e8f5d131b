//! Keeps the dataplane's socket connected and sends the latest Snapshot, whole, whenever there is a
//! newer one, and again to each dataplane that appears.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::{Greeting, InForce, Reply, Request, Snapshot};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::{Client, Unanswered};

/// How long a dataplane that is away is left alone.
const RETRY: Duration = Duration::from_millis(100);
/// How long one is left alone at most that goes away whenever it is sent a Snapshot: each time twice
/// as long as before.
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// How long it may take to answer what needs no work.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to build its tables: thousands of services are built one after the other.
const BUILD: Duration = Duration::from_secs(120);

/// What the dataplane shall have.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// It.
    pub snapshot: Arc<Snapshot>,
    /// Another hash key is accepted.
    pub force: bool,
}

/// What happens to the link.
#[derive(Debug)]
pub enum Event {
    /// A dataplane answers; this is what it has.
    Found(Greeting, Option<Box<InForce>>),
    /// It has put this in force, and this is its key's fingerprint. Something newer may be wanted by
    /// now.
    Applied(Arc<Snapshot>, String),
    /// It refused this generation, and keeps what it had.
    Refused(u64, Vec<String>),
    /// It does not answer; said once until it is found again.
    Lost(Unanswered),
}

/// Starts the link on the current runtime. It wants nothing at first.
pub fn start(
    socket: PathBuf,
    events: mpsc::UnboundedSender<Event>,
) -> watch::Sender<Option<Wanted>> {
    let (wanted, wishes) = watch::channel(None);
    tokio::spawn(run(socket, events, wishes));
    wanted
}

async fn run(
    socket: PathBuf,
    events: mpsc::UnboundedSender<Event>,
    mut wanted: watch::Receiver<Option<Wanted>>,
) {
    let mut said = false;
    let mut retry = RETRY;
    loop {
        let mut fate = Fate::Idle;
        let lost = match session(&socket, &events, &mut wanted, &mut said, &mut fate).await {
            Ok(()) => return,
            Err(lost) => lost,
        };
        retry = match fate {
            Fate::Idle => retry,
            Fate::Unanswered => (retry * 2).min(LONGEST_RETRY),
            Fate::Answered => RETRY,
        };
        // Said at the first loss, and not again at each try.
        if !said {
            said = true;
            if events.send(Event::Lost(lost)).is_err() {
                return;
            }
        }
        sleep(retry).await;
    }
}

/// What became of the last Snapshot that was sent over a connection.
enum Fate {
    /// None was sent.
    Idle,
    Unanswered,
    Answered,
}

/// From a connection to its end. Returns without an error when nobody listens to us any more.
async fn session(
    socket: &Path,
    events: &mpsc::UnboundedSender<Event>,
    wanted: &mut watch::Receiver<Option<Wanted>>,
    said: &mut bool,
    fate: &mut Fate,
) -> Result<(), Unanswered> {
    let mut client = Client::connect(socket).await?;
    let greeting = match client.ask(&Request::Hello, PATIENCE).await? {
        Reply::Hello(greeting) if greeting.protocol == api::VERSION => greeting,
        Reply::Hello(greeting) => {
            return Err(Unanswered::Malformed(format!(
                "it speaks version {} of the protocol, control speaks {}",
                greeting.protocol,
                api::VERSION
            )));
        }
        other => return Err(unexpected(&other)),
    };
    let found = match client.ask(&Request::Snapshot, PATIENCE).await? {
        Reply::Snapshot(found) => found,
        other => return Err(unexpected(&other)),
    };
    // What was wanted of the last dataplane is not wanted of this one before control says so.
    wanted.mark_unchanged();
    let mut key = found.as_ref().map(|found| (None, found.key_fingerprint.clone()));
    *said = false;
    if events.send(Event::Found(greeting, found)).is_err() {
        return Ok(());
    }
    loop {
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return Ok(()) },
            lost = client.gone() => return Err(lost),
        }
        let Some(Wanted { snapshot, force }) = wanted.borrow_and_update().clone() else { continue };
        let generation = snapshot.generation;
        let line = api::apply_line(&snapshot, force);
        *fate = Fate::Unanswered;
        let event = match client.say(&line, BUILD).await? {
            Reply::Applied { .. } => {
                // Asked for only if the key is another one: the answer is long.
                let fingerprint = match key.take() {
                    Some((last, known)) if last == snapshot.hash_key => known,
                    Some(_) | None => fingerprint(&mut client).await?,
                };
                key = Some((snapshot.hash_key, fingerprint.clone()));
                Event::Applied(snapshot, fingerprint)
            }
            Reply::Refused { reasons } => Event::Refused(generation, reasons),
            other => return Err(unexpected(&other)),
        };
        *fate = Fate::Answered;
        if events.send(event).is_err() {
            return Ok(());
        }
    }
}

/// That of the key in force.
async fn fingerprint(client: &mut Client) -> Result<String, Unanswered> {
    match client.ask(&Request::Snapshot, PATIENCE).await? {
        Reply::Snapshot(Some(found)) => Ok(found.key_fingerprint),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(reply: &Reply) -> Unanswered {
    match reply {
        Reply::Error(error) => Unanswered::Malformed(error.clone()),
        other => Unanswered::Malformed(format!("{other:?}").chars().take(100).collect()),
    }
}
