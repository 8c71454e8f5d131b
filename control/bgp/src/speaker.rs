//! The thread on which all of it runs, and the handle to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use socket2::Socket;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::board::Board;
use crate::message::cease;
use crate::peer::{Ending, Process};
use crate::settings::Wanted;
use crate::socket;
use crate::status::SessionStatus;

mod directory;
mod run;

/// How to start.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Where routers may connect, IPv4 and IPv6 apart. With port 0 the system chooses one.
    pub listen: Vec<SocketAddr>,
    /// This process restarted and its routers may still have its routes: says so in OPENs, to each
    /// until it has been told End-of-RIB (RFC 4724).
    pub restarted: bool,
    /// The dataplane went on forwarding meanwhile: says so in OPENs, for all families.
    pub forwarding: bool,
}

/// The whole state that is wanted, and its number.
#[derive(Clone, Debug, Default)]
struct Numbered {
    generation: u64,
    wanted: Arc<Wanted>,
}

/// Announces routes until it is dropped, which is as if it [stays](Speaker::stay).
#[derive(Debug)]
pub struct Speaker {
    wanted: watch::Sender<Numbered>,
    ending: watch::Sender<Option<Ending>>,
    board: Arc<Board>,
    addresses: Vec<SocketAddr>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Speaker {
    /// Starts to listen. Does nothing else before [`Speaker::set`].
    ///
    /// # Errors
    /// An address cannot be listened on, or there can be no thread.
    pub fn start(start: Start) -> io::Result<Self> {
        let listeners = start
            .listen
            .iter()
            .map(|&address| socket::listen(address))
            .collect::<io::Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(local_address).collect::<io::Result<_>>()?;

        let board = Arc::new(Board::new());
        let (wanted, wanted_here) = watch::channel(Numbered::default());
        let (ending, ending_here) = watch::channel(None);
        let process = Process { restarted: start.restarted, forwarding: start.forwarding };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let board_there = Arc::clone(&board);
        let thread = thread::Builder::new().name("bgp".to_owned()).spawn(move || {
            runtime.block_on(run::run(listeners, process, board_there, wanted_here, ending_here));
        })?;
        Ok(Self { wanted, ending, board, addresses, thread: Mutex::new(Some(thread)) })
    }

    /// Where it listens, in the order of [`Start::listen`].
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Makes this all that is wanted. Neighbors whose own settings are as before keep their sessions
    /// and are told the difference; gone ones are told that everything is withdrawn.
    pub fn set(&self, wanted: Wanted) {
        let wanted = Arc::new(wanted);
        self.wanted.send_modify(|numbered| {
            numbered.generation += 1;
            numbered.wanted = wanted;
        });
    }

    /// How the sessions are, by name of the neighbor.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.board.now()
    }

    /// As [`Speaker::sessions`], to wait for changes: they are made known some milliseconds late.
    pub fn status(&self) -> watch::Receiver<Arc<Vec<SessionStatus>>> {
        self.board.statuses()
    }

    /// Waits until all that was [set](Speaker::set) so far is written to the sockets of all established
    /// sessions, and neighbors that are gone have been told. A neighbor that does not read holds this up
    /// for its hold time.
    pub async fn flushed(&self) {
        let generation = self.wanted.borrow().generation;
        let mut flushed = self.board.flushed();
        // Once the thread is gone there is nothing to wait for.
        let _ = flushed.wait_for(|&at| at >= generation).await;
    }

    /// Withdraws everything, tells all neighbors that this is the end (Cease, administrative shutdown),
    /// and waits until they have it; not for longer than about 2 s.
    pub async fn leave(self) {
        self.ending.send_replace(Some(Ending::Withdraw(cease::ADMINISTRATIVE_SHUTDOWN)));
        // Its receiver is dropped with the thread's last step.
        self.ending.closed().await;
        self.join();
    }

    /// Closes all sessions without a word: routers that agreed to graceful restart keep the routes.
    pub fn stay(self) {
        drop(self);
    }

    fn join(&self) {
        if let Some(thread) = self.thread.lock().take() {
            // A panic was told of when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            ending.get_or_insert(Ending::Silent);
            first
        });
        self.join();
    }
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}
