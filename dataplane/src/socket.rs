//! The socket that control connects to: a line in, a line out, in order.
//!
//! A client can be wrong, slow or gone; none of it reaches the thread that answers, which sees only
//! well-formed requests and never waits for a client.

mod connection;
mod listener;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use api::{Reply, Request};
use crossbeam::channel::Sender;

#[cfg(test)]
use listener::Error;
pub(crate) use listener::Listener;

/// A request, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Call {
    /// What is asked.
    pub(crate) request: Request,
    /// Takes one reply, without waiting. Dropped without one, the client is told so.
    pub(crate) reply: Sender<Reply>,
}

/// What a client may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Clients at a time.
    connections: usize,
    /// Bytes of a line. A Snapshot of a large site has some ten.
    line: u64,
    /// Time without progress after which a client that does not read is let go.
    patience: Duration,
}

const LIMITS: Limits = Limits { connections: 16, line: 64 << 20, patience: Duration::from_secs(5) };

/// The thread that listens. On drop no more connections are accepted, and the file is removed.
#[derive(Debug)]
pub(crate) struct Server {
    listener: Arc<Listener>,
    thread: Option<JoinHandle<()>>,
}

/// Serves clients: their requests go to `requests`, one at a time from each.
///
/// # Errors
/// No thread can be started.
pub(crate) fn serve(listener: Listener, requests: Sender<Call>) -> io::Result<Server> {
    serve_within(LIMITS, listener, requests)
}

fn serve_within(limits: Limits, listener: Listener, requests: Sender<Call>) -> io::Result<Server> {
    let listener = Arc::new(listener);
    let accepting = Arc::clone(&listener);
    let thread = thread::Builder::new()
        .name("socket".into())
        .spawn(move || accept(limits, &accepting, &requests))?;
    Ok(Server { listener, thread: Some(thread) })
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.listener.shut() {
            tracing::warn!(%error, "socket not shut");
            return;
        }
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the socket's thread has panicked");
        }
    }
}

fn accept(limits: Limits, listener: &Listener, requests: &Sender<Call>) {
    // As many clones as connections, beside this one.
    let open = Arc::new(());
    loop {
        let stream = match listener.accept() {
            Ok(Some(stream)) => stream,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Most likely no descriptors are left: that takes a while to change.
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if Arc::strong_count(&open) > limits.connections {
            connection::refuse(limits, stream);
            continue;
        }
        let (slot, requests) = (Arc::clone(&open), requests.clone());
        let connection = move || {
            if let Err(error) = connection::converse(limits, &stream, &requests) {
                tracing::debug!(%error, "connection lost");
            }
            drop(slot);
        };
        if let Err(error) = thread::Builder::new().name("connection".into()).spawn(connection) {
            tracing::warn!(%error, "cannot serve a connection");
        }
    }
}

#[cfg(test)]
mod tests;
