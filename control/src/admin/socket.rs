//! The admin socket: `palierctl`'s door. Mode 0660, so that a group may operate; who changes what is
//! logged with the caller's uid.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use admin::{Reply, Request};
use api::Stats;
use nix::unistd::Group;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{RwLock, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::dataplane::{self, Client};

/// Most callers at once. A further one takes the place of the one that has been silent for longest.
const CALLERS: usize = 32;
/// How long he waits for a place before.
const GRACE: Duration = Duration::from_millis(50);
/// Longest line of a caller: requests are short.
const LINE: u64 = 64 * 1024;
/// A caller that does not read its answer for so long is let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than the longest `capture`.
const DATAPLANE: Duration = Duration::from_secs(70);

/// A request that the core answers.
#[derive(Debug)]
pub struct Call {
    /// What is asked: never [`Request::Dataplane`].
    pub request: Request,
    /// User id of the caller.
    pub uid: u32,
    /// What the dataplane counts, if the caller has asked it: for a status, which asks otherwise.
    pub stats: Option<Arc<Stats>>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Reply>,
}

/// Why there is no admin socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another control of this role runs.
    #[error("{0}: another palier-control answers there")]
    Taken(PathBuf),
    /// The group does not exist.
    #[error("there is no group `{0}`: `groupadd --system {0}` makes it")]
    NoGroup(String),
    /// The system refuses.
    #[error("{0}: {1}")]
    System(PathBuf, io::Error),
}

/// Binds the socket, which does not block. One that a killed process has left is replaced.
///
/// # Errors
/// Another process answers there, the group is unknown, or the system refuses.
pub fn bind(path: &Path, group: Option<&str>) -> Result<net::UnixListener, BindError> {
    let system = |error| BindError::System(path.into(), error);
    let gid = match group {
        None => None,
        Some(name) => match Group::from_name(name) {
            Ok(Some(group)) => Some(group.gid.as_raw()),
            Ok(None) => return Err(BindError::NoGroup(name.into())),
            Err(errno) => return Err(system(errno.into())),
        },
    };
    match fs::symlink_metadata(path) {
        Ok(old) if old.file_type().is_socket() => match net::UnixStream::connect(path) {
            Ok(_) => return Err(BindError::Taken(path.into())),
            Err(_) => fs::remove_file(path).map_err(system)?,
        },
        Ok(_) => return Err(system(ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(system(error)),
    }
    // Nobody comes in before the mode is right: the socket is bound under a mask of 0117.
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o117));
    let listener = net::UnixListener::bind(path);
    nix::sys::stat::umask(before);
    let listener = listener.map_err(system)?;
    listener.set_nonblocking(true).map_err(system)?;
    if let Some(gid) = gid {
        chown(path, None, Some(gid)).map_err(system)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(system)?;
    Ok(listener)
}

/// The answers that callers wait for: each holds a read lock until it is written.
#[derive(Clone, Debug, Default)]
pub struct Owed(Arc<RwLock<()>>);

impl Owed {
    /// Waits until nobody waits for an answer any more.
    pub async fn paid(&self) {
        let _ = self.0.write().await;
    }
}

/// Answers callers until the process ends. Questions for the dataplane are passed on, if there is one.
pub async fn serve(
    listener: UnixListener,
    calls: mpsc::Sender<Call>,
    dataplane: Option<Arc<Path>>,
    owed: Owed,
) {
    let room = Arc::new(Semaphore::new(CALLERS));
    let silent = Arc::new(Silent::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let permit = loop {
                    match timeout(GRACE, room.clone().acquire_owned()).await {
                        Ok(permit) => break permit.expect("it is never closed"),
                        Err(_elapsed) => silent.dismiss_one(),
                    }
                };
                let (calls, dataplane) = (calls.clone(), dataplane.clone());
                let (silent, owed) = (silent.clone(), owed.clone());
                tokio::spawn(async move {
                    let dataplane = dataplane.as_deref();
                    let conversation = converse(stream, &calls, dataplane, &silent, &owed);
                    if let Err(error) = conversation.await {
                        tracing::debug!(%error, "caller lost");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                // Too many open files, most likely: those that wait stay in the queue.
                tracing::warn!(%error, "admin socket");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Callers who have a place and have yet to end their line, by when they fell silent.
#[derive(Debug, Default)]
struct Silent(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    dismissals: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Silent {
    /// Runs `read`, which waits for a caller; `None` if the place was needed for another.
    async fn wait<T>(&self, read: impl Future<Output = T>) -> Option<T> {
        let (dismissal, dismissed) = oneshot::channel();
        let number = {
            let mut waiting = self.0.lock();
            waiting.last += 1;
            let number = waiting.last;
            waiting.dismissals.insert(number, dismissal);
            number
        };
        let read = tokio::select! {
            read = read => Some(read),
            _ = dismissed => None,
        };
        self.0.lock().dismissals.remove(&number);
        read
    }

    /// Lets the one go who has been silent for longest, if anyone is.
    fn dismiss_one(&self) {
        // Dropped, it tells.
        self.0.lock().dismissals.pop_first();
    }
}

async fn converse(
    stream: UnixStream,
    calls: &mpsc::Sender<Call>,
    dataplane: Option<&Path>,
    silent: &Silent,
    owed: &Owed,
) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        // Callers may think for as long as they like, while there is room.
        let mut limited = (&mut lines).take(LINE);
        match silent.wait(limited.read_until(b'\n', &mut line)).await {
            Some(read) => read?,
            None => return Ok(()),
        };
        if line.is_empty() {
            return Ok(());
        }
        let _owed = owed.0.read().await;
        let whole = line.ends_with(b"\n") || (line.len() as u64) < LINE;
        let reply = if whole {
            answer(&line, uid, calls, dataplane).await
        } else {
            Reply::Error(format!("the line is longer than {LINE} bytes"))
        };
        let mut text = serde_json::to_vec(&reply).map_err(io::Error::from)?;
        text.push(b'\n');
        timeout(PATIENCE, write.write_all(&text)).await.map_err(|_| ErrorKind::TimedOut)??;
        if !whole {
            return Ok(());
        }
    }
}

async fn answer(
    line: &[u8],
    uid: u32,
    calls: &mpsc::Sender<Call>,
    dataplane: Option<&Path>,
) -> Reply {
    let request = match serde_json::from_slice(line) {
        Ok(Request::Dataplane(question)) => {
            return match dataplane {
                Some(dataplane) => forward(&question, dataplane).await,
                None => Reply::Error("an L7 node has no dataplane: ask an L4 node".into()),
            };
        }
        Ok(request) => request,
        Err(error) => return Reply::Error(format!("not a request: {error}")),
    };
    let (reply, answer) = oneshot::channel();
    // Where nobody takes it the call is gone, and its answer with it.
    let _ = calls.send(Call { request, uid, stats: None, reply }).await;
    answer.await.unwrap_or_else(|_| {
        Reply::Error("no answer: this process ends, and another one may answer by now".into())
    })
}

/// A question for the dataplane, which asks nothing of it.
async fn forward(question: &serde_json::Value, dataplane: &Path) -> Reply {
    let text = question.to_string();
    match api::Request::parse(&text) {
        Ok(api::Request::Apply(_)) => {
            return Reply::Error("what the dataplane has is control's to say".into());
        }
        Ok(api::Request::Restart(_)) => {
            return Reply::Error("`palierctl upgrade --dataplane` restarts the dataplane".into());
        }
        Ok(
            api::Request::Hello
            | api::Request::Snapshot
            | api::Request::Stats
            | api::Request::Heartbeats
            | api::Request::Explain(_)
            | api::Request::Flows(_)
            | api::Request::Capture(_),
        ) => {}
        Err(bad) => return Reply::Error(bad.to_string()),
    }
    let answer = async {
        let mut client = Client::connect(dataplane).await?;
        let line = client.exchange(&text, DATAPLANE).await?;
        serde_json::from_str(&line)
            .map_err(|error| dataplane::Unanswered::Malformed(error.to_string()))
    };
    match answer.await {
        Ok(value) => Reply::Dataplane(value),
        Err(error) => Reply::Error(format!("the dataplane does not answer: {error}")),
    }
}
