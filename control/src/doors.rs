//! Where control answers: the admin socket, and where metrics are told.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::admin::metrics;
use crate::admin::socket::{self, BindError, Call, Owed};
use crate::args::{Args, Role};

/// Requests that wait for the loop.
const CALLS: usize = 64;
/// How long those may take who are the last to be answered.
const LAST: Duration = Duration::from_secs(1);

/// Sockets that control answers at, to be had by two processes for a moment: whoever calls then is answered by
/// one of them.
#[derive(Debug, Default)]
pub struct Sockets {
    /// The admin socket.
    pub admin: Option<UnixListener>,
    /// Metrics, and the port for other nodes.
    pub others: BTreeMap<SocketAddr, TcpListener>,
}

/// Why nobody can be answered.
#[derive(Debug, Error)]
pub enum DoorError {
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] BindError),
    /// Metrics.
    #[error("metrics on {0}: {1}")]
    Metrics(SocketAddr, io::Error),
}

/// The sockets, open: of two processes of one role the second does not get here.
#[derive(Debug)]
pub struct Doors {
    path: PathBuf,
    admin: UnixListener,
    metrics_at: SocketAddr,
    metrics: TcpListener,
}

impl Doors {
    /// Opens them, but for those that another process hands over. Callers wait.
    ///
    /// # Errors
    /// Another process answers there, or the system refuses.
    pub fn open(args: &Args, role: Role, inherited: &mut Sockets) -> Result<Self, DoorError> {
        let path = args.run_dir.join(format!("control-{}.sock", role.name()));
        let admin = match inherited.admin.take() {
            Some(admin) => admin,
            None => socket::bind(&path, args.group.as_deref())?,
        };
        let metrics = match inherited.others.remove(&args.metrics) {
            Some(metrics) => metrics,
            None => {
                listen(args.metrics).map_err(|error| DoorError::Metrics(args.metrics, error))?
            }
        };
        Ok(Self { path, admin, metrics_at: args.metrics, metrics })
    }

    /// Where the admin socket lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers callers from now on, for as long as [`Answering`] is there. What they want of control is to be
    /// taken from the receiver; questions for the dataplane are passed on, if there is one.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn answer(
        &self,
        dataplane: Option<Arc<Path>>,
    ) -> io::Result<(mpsc::Receiver<Call>, Answering)> {
        let admin = tokio::net::UnixListener::from_std(self.admin.try_clone()?)?;
        let metrics = tokio::net::TcpListener::from_std(self.metrics.try_clone()?)?;
        let (requests, calls) = mpsc::channel(CALLS);
        let owed = Owed::default();
        let callers = socket::serve(admin, requests.clone(), dataplane.clone(), owed.clone());
        let scrapers = metrics::serve(metrics, requests, dataplane);
        let tasks = [tokio::spawn(callers), tokio::spawn(scrapers)];
        Ok((calls, Answering { tasks: tasks.map(|task| task.abort_handle()), owed }))
    }

    /// Copies of the sockets.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn sockets(&self) -> io::Result<Sockets> {
        let others = [(self.metrics_at, self.metrics.try_clone()?)].into();
        Ok(Sockets { admin: Some(self.admin.try_clone()?), others })
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Callers are answered: nobody new any more once this is dropped.
#[derive(Debug)]
pub struct Answering {
    tasks: [AbortHandle; 2],
    owed: Owed,
}

impl Answering {
    /// Answers nobody new any more.
    pub fn close(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }

    /// Answers nobody new any more, and waits until those who have asked have their answers.
    pub async fn finish(self) {
        let owed = self.owed.clone();
        drop(self);
        // Who does not read is not waited for.
        let _ = timeout(LAST, owed.paid()).await;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.close();
    }
}
