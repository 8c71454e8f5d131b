//! One core: a runtime on one thread, with listeners, connections and kept connections of its own. Cores
//! share what is known and counted of servers, and nothing else.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::connection;
use crate::core::{Core, Drain, State};
use crate::state::NodeState;

/// How long nobody is accepted after that failed, as without file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How often kept connections are looked through.
const TIDY: Duration = Duration::from_secs(1);

/// What a worker is told.
pub(crate) enum Order {
    /// These settings, with listeners for the addresses that are new.
    Set(Arc<State>, Vec<(SocketAddr, StdListener)>),
    /// Whoever waits in the listeners is served from now on.
    Accept,
    /// Nobody is accepted any more.
    Close,
}

/// A worker, as the others see it. On drop it ends, with all its connections.
#[derive(Debug)]
pub(crate) struct Worker {
    orders: Option<mpsc::UnboundedSender<Order>>,
    /// Connections that it has.
    open: Arc<AtomicUsize>,
    /// It accepts nobody any more.
    is_closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts one, that listens nowhere, and accepts nobody, yet.
    ///
    /// # Errors
    /// There can be no thread, or no runtime.
    pub(crate) fn start(
        number: usize,
        state: Arc<State>,
        drain: watch::Receiver<Drain>,
        node: watch::Receiver<NodeState>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let is_closed = Arc::new(AtomicBool::new(false));
        let (counted, closed) = (open.clone(), is_closed.clone());
        let thread = thread::Builder::new().name(format!("proxy-{number}")).spawn(move || {
            let core = Rc::new(Core::new(state, drain.clone(), node, counted));
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, run(core, inbox, drain, &closed));
        })?;
        Ok(Self { orders: Some(orders), open, is_closed, thread: Some(thread) })
    }

    pub(crate) fn tell(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // It ends only with this.
            let _ = orders.send(order);
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether nobody is connected, and nobody will be.
    pub(crate) fn is_over(&self) -> bool {
        // Whoever was accepted before is counted.
        self.is_closed.load(Ordering::Acquire) && self.open() == 0
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic was told of when it happened.
            let _ = thread.join();
        }
    }
}

async fn run(
    core: Rc<Core>,
    mut orders: mpsc::UnboundedReceiver<Order>,
    mut drain: watch::Receiver<Drain>,
    is_closed: &AtomicBool,
) {
    let mut entrance = Entrance::default();
    let mut tidy = interval(TIDY);
    tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => {
                match order {
                    None => return,
                    Some(Order::Set(state, new)) => {
                        entrance.close(|address| state.door(address).is_none());
                        let frontends = state.stats.clone();
                        core.set_state(state);
                        frontends.values().for_each(|stats| stats.admission.changed());
                        entrance.add(&core, new);
                    }
                    Some(Order::Accept) => entrance.open(&core),
                    Some(Order::Close) => {
                        entrance.close(|_| true);
                        is_closed.store(true, Ordering::Release);
                    }
                }
            }
            Ok(()) = drain.changed() => {
                core.set_drain(*drain.borrow_and_update());
            }
            _ = tidy.tick() => {
                let state = core.state();
                let longest = state.pools.iter().map(|pool| pool.settings.timeouts.keep_alive).max();
                core.kept.tidy(longest.unwrap_or_default());
            }
        }
    }
}

/// Where clients come in.
#[derive(Default)]
struct Entrance {
    /// Who accepts them, at each address.
    accepting: HashMap<SocketAddr, Vec<AbortHandle>>,
    /// Listeners at which nobody is accepted before it is open.
    waiting: Vec<(SocketAddr, StdListener)>,
    is_open: bool,
}

impl Entrance {
    /// Has further listeners.
    fn add(&mut self, core: &Rc<Core>, new: Vec<(SocketAddr, StdListener)>) {
        self.waiting.extend(new);
        if self.is_open {
            self.open(core);
        }
    }

    /// Accepts whoever waits in the listeners, and whoever comes.
    fn open(&mut self, core: &Rc<Core>) {
        self.is_open = true;
        for (address, listener) in self.waiting.drain(..) {
            let accept = spawn_local(accept(core.clone(), address, listener));
            self.accepting.entry(address).or_default().push(accept.abort_handle());
        }
    }

    /// Accepts nobody at these addresses any more: a task that is aborted is not polled again.
    fn close(&mut self, which: impl Fn(SocketAddr) -> bool) {
        let gone = self.accepting.extract_if(|address, _| which(*address));
        gone.flat_map(|(_, tasks)| tasks).for_each(|task| task.abort());
    }
}

async fn accept(core: Rc<Core>, address: SocketAddr, listener: StdListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%address, %error, "not listened on"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let door = core.state().door(address).cloned();
                if let Some(door) = door {
                    // From now on, though nothing of it runs yet.
                    let open = core.opened();
                    let (core, there) = (core.clone(), door.stats.admission.clone());
                    if let Some(admitted) = there.admit(door.frontend.max_connections) {
                        spawn_local(async move {
                            connection::serve(core, door, address, stream, peer).await;
                            drop((open, admitted));
                        });
                        continue;
                    }
                    // A task of its own, too: whoever was accepted is served, also if nobody else is.
                    let (told, is_in) = oneshot::channel();
                    spawn_local(async move {
                        let limit = || core.state().door(address)?.frontend.max_connections;
                        let admitted = there.wait(limit).await;
                        // Nobody may be left who accepts.
                        let _ = told.send(());
                        connection::serve(core, door, address, stream, peer).await;
                        drop((open, admitted));
                    });
                    let _ = is_in.await;
                }
            }
            Err(error) => {
                tracing::warn!(%address, %error, "no connection can be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}
