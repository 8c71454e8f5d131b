//! All neighbors, on a thread of their own.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::fault::Fault;
use crate::message::Restart;
use crate::peer::{self, END, Order};
use crate::settings::{Neighbor, Route};
use crate::socket;
use crate::status::{Board, SessionStatus};

/// How long a listener that cannot accept rests: no descriptors are left, perhaps.
const REST: Duration = Duration::from_millis(200);

/// What a speaker begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Where routers connect to.
    pub listen: Vec<SocketAddr>,
    /// This process was started anew while routers kept the routes of the last one: the R bit of RFC 4724,
    /// until End-of-RIB was sent.
    pub restarted: bool,
    /// The forwarder went on meanwhile: its F bits.
    pub preserved: bool,
}

/// Everything that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// All neighbors.
    pub neighbors: Vec<Peer>,
    /// Routers may be told that they know all. Once said it is not taken back.
    pub settled: bool,
}

/// A neighbor and what it shall know.
#[derive(Clone, Debug)]
pub struct Peer {
    /// It; another one with the same address takes its place.
    pub neighbor: Arc<Neighbor>,
    /// Its routes.
    pub routes: Arc<[Route]>,
}

/// Speaks with all neighbors, on a thread of its own. Dropped it is gone without a word.
#[derive(Debug)]
pub struct Speaker {
    commands: mpsc::UnboundedSender<Command>,
    board: watch::Receiver<Arc<Vec<SessionStatus>>>,
}

#[derive(Debug)]
enum Command {
    Set(Wanted),
    Flush(oneshot::Sender<()>),
    Leave(oneshot::Sender<()>),
    Stay(oneshot::Sender<()>),
}

impl Speaker {
    /// Listens from now on, and speaks with whom [`set`](Self::set) says.
    ///
    /// # Errors
    /// An address cannot be listened on, or there is no thread to be had.
    pub fn start(start: Start) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listeners = {
            let _inside = runtime.enter();
            let listen = |&address: &SocketAddr| {
                socket::listener(address).map_err(|error| {
                    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
                })
            };
            start.listen.iter().map(listen).collect::<io::Result<Vec<_>>>()?
        };
        let (commands, heard) = mpsc::unbounded_channel();
        let (status, board) = watch::channel(Arc::default());
        let restart = Restart { restarted: start.restarted, preserved: start.preserved };
        let hub = Hub { listeners, restart, board: status, neighbors: HashMap::new() };
        thread::Builder::new()
            .name("bgp".into())
            .spawn(move || runtime.block_on(hub.run(heard)))?;
        Ok(Self { commands, board })
    }

    /// Makes this what is wanted. Sessions whose own settings did not change go on; what changed of their
    /// routes is sent at once, and nothing else.
    pub fn set(&self, wanted: Wanted) {
        self.command(Command::Set(wanted));
    }

    /// How the sessions are; changes with them.
    pub fn status(&self) -> watch::Receiver<Arc<Vec<SessionStatus>>> {
        self.board.clone()
    }

    /// Returns once everything that was wanted was handed to the kernel for the routers that are there.
    pub async fn flushed(&self) {
        let (done, is_done) = oneshot::channel();
        self.command(Command::Flush(done));
        let _ = is_done.await;
    }

    /// Takes every route back, and ends all sessions (Cease, administrative shutdown).
    pub async fn leave(self) {
        let (done, is_done) = oneshot::channel();
        self.command(Command::Leave(done));
        let _ = is_done.await;
    }

    /// Ends all connections without a word: routers that agreed to it keep the routes.
    pub async fn stay(self) {
        let (done, is_done) = oneshot::channel();
        self.command(Command::Stay(done));
        let _ = is_done.await;
    }

    fn command(&self, command: Command) {
        // A speaker that has panicked was told of; its status stands still.
        let _ = self.commands.send(command);
    }
}

/// The thread's state.
struct Hub {
    listeners: Vec<TcpListener>,
    restart: Restart,
    board: Board,
    neighbors: HashMap<IpAddr, Known>,
}

/// A neighbor that is spoken with.
struct Known {
    neighbor: Arc<Neighbor>,
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
}

impl Hub {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Set(wanted)) => self.set(wanted),
                    Some(Command::Flush(done)) => self.flush(done),
                    Some(Command::Leave(done)) => {
                        self.end(|| Order::Leave(Fault::SHUTDOWN)).await;
                        let _ = done.send(());
                        return;
                    }
                    Some(Command::Stay(done)) => {
                        self.end(|| Order::Stay).await;
                        let _ = done.send(());
                        return;
                    }
                    None => return,
                },
                (stream, from) = accept(&self.listeners) => self.accepted(stream, from),
            }
        }
    }

    fn set(&mut self, wanted: Wanted) {
        let Wanted { neighbors, settled } = wanted;
        let mut before = std::mem::take(&mut self.neighbors);
        for Peer { neighbor, routes } in neighbors {
            let known = match before.remove(&neighbor.address) {
                Some(known) if known.neighbor == neighbor => known,
                Some(changed) => {
                    self.sign(&changed.neighbor, false);
                    let _ = changed.orders.send(Order::Leave(Fault::RESET));
                    self.meet(neighbor, Some(changed.task))
                }
                None => self.meet(neighbor, None),
            };
            let _ = known.orders.send(Order::Routes { routes, settled });
            self.neighbors.insert(known.neighbor.address, known);
        }
        for gone in before.into_values() {
            self.sign(&gone.neighbor, false);
            let _ = gone.orders.send(Order::Leave(Fault::DECONFIGURED));
            let (board, address) = (self.board.clone(), gone.neighbor.address);
            tokio::spawn(async move {
                let _ = gone.task.await;
                board.send_modify(|all| Arc::make_mut(all).retain(|one| one.address != address));
            });
        }
    }

    /// Speaks with a neighbor from now on, once the one that it takes the place of has ended.
    fn meet(&self, neighbor: Arc<Neighbor>, after: Option<JoinHandle<()>>) -> Known {
        self.sign(&neighbor, true);
        let (orders, heard) = mpsc::unbounded_channel();
        let (restart, board) = (self.restart, self.board.clone());
        let own = neighbor.clone();
        let task = tokio::spawn(async move {
            if let Some(after) = after {
                let _ = after.await;
            }
            peer::run(own, restart, board, heard).await;
        });
        Known { neighbor, orders, task }
    }

    /// Has the listeners take signed segments of a neighbor, or no more.
    fn sign(&self, neighbor: &Neighbor, on: bool) {
        let Some(password) = &neighbor.password else { return };
        let same = |listener: &&TcpListener| {
            let own = listener.local_addr().map(|own| own.is_ipv4());
            own.is_ok_and(|is_ipv4| is_ipv4 == neighbor.address.is_ipv4())
        };
        for listener in self.listeners.iter().filter(same) {
            let signed = socket::sign(listener.as_fd(), neighbor, on.then_some(password));
            if let Err(error) = signed {
                tracing::error!(router = neighbor.name, %error, "no MD5 signatures where it connects to");
            }
        }
    }

    fn accepted(&self, stream: TcpStream, from: SocketAddr) {
        match self.neighbors.get(&from.ip()) {
            Some(known) => _ = known.orders.send(Order::Accepted(stream)),
            None => tracing::debug!(%from, "a connection of a stranger"),
        }
    }

    fn flush(&self, done: oneshot::Sender<()>) {
        let mut waiting = Vec::new();
        for known in self.neighbors.values() {
            let (done, is_done) = oneshot::channel();
            let _ = known.orders.send(Order::Flush(done));
            waiting.push(is_done);
        }
        tokio::spawn(async move {
            for is_done in waiting {
                let _ = is_done.await;
            }
            let _ = done.send(());
        });
    }

    async fn end(&mut self, order: impl Fn() -> Order) {
        let known: Vec<Known> = self.neighbors.drain().map(|(_, known)| known).collect();
        for one in &known {
            let _ = one.orders.send(order());
        }
        for one in known {
            // What a neighbor does not read it will not miss.
            let _ = timeout(END, one.task).await;
        }
        // The last words are written by tasks of their own.
        tokio::task::yield_now().await;
        sleep(Duration::from_millis(20)).await;
    }
}

/// The next connection of any listener; never one if there is none.
async fn accept(listeners: &[TcpListener]) -> (TcpStream, SocketAddr) {
    loop {
        let accepted = std::future::poll_fn(|context| {
            for listener in listeners {
                if let std::task::Poll::Ready(accepted) = listener.poll_accept(context) {
                    return std::task::Poll::Ready(accepted);
                }
            }
            std::task::Poll::Pending
        });
        match accepted.await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a BGP connection");
                sleep(REST).await;
            }
        }
    }
}
