//! Threads that answer over TCP and TLS: each accepts at every address, as the kernel spreads those who connect.

mod room;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use dns::resolve::Resolvers;
use dns::serve::{Counters, Patience, Shared, serve_stream};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::room::{Heard, Room};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A place where clients connect.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) listener: TcpListener,
    /// How TLS is spoken there, if it is.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// A thread that answers whoever connects. It ends once this is dropped, with its connections.
#[derive(Debug)]
pub(super) struct StreamThread {
    orders: mpsc::UnboundedSender<Vec<Gate>>,
    counters: Arc<Counters>,
    open: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl StreamThread {
    /// Starts it, with no gates.
    pub(super) fn start(number: usize, shared: &Shared<Resolvers>, most: u32) -> io::Result<Self> {
        let (orders, told) = mpsc::unbounded_channel();
        let (counters, room) = (Arc::<Counters>::default(), Arc::new(Room::new(most as usize)));
        let open = room.open.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (shared, counts) = (shared.clone(), counters.clone());
        let answering = Arc::new(Answering { shared, counters: counts, room });
        let thread = std::thread::Builder::new().name(format!("dns-tcp-{number}"));
        let thread = thread.spawn(move || runtime.block_on(run(told, answering)))?;
        Ok(Self { orders, counters, open, thread: Some(thread) })
    }

    /// Accepts at these gates from now on, and at no others. Connections stay.
    pub(super) fn set(&self, gates: Vec<Gate>) {
        // It ends with this.
        let _ = self.orders.send(gates);
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> u64 {
        self.open.load(Relaxed)
    }
}

impl Drop for StreamThread {
    fn drop(&mut self) {
        let (none, _) = mpsc::unbounded_channel();
        self.orders = none;
        if let Some(thread) = self.thread.take() {
            // A panic was told of when it happened.
            let _ = thread.join();
        }
    }
}

/// What connections of a thread share.
struct Answering {
    shared: Shared<Resolvers>,
    counters: Arc<Counters>,
    room: Arc<Room>,
}

async fn run(mut told: mpsc::UnboundedReceiver<Vec<Gate>>, answering: Arc<Answering>) {
    let mut accepting: Vec<AbortHandle> = Vec::new();
    while let Some(gates) = told.recv().await {
        accepting.drain(..).for_each(|one| one.abort());
        for gate in gates {
            accepting.push(tokio::spawn(accept(gate, answering.clone())).abort_handle());
        }
    }
}

async fn accept(gate: Gate, answering: Arc<Answering>) {
    let listener = match tokio::net::TcpListener::from_std(gate.listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot accept"),
    };
    let tls = gate.tls.map(TlsAcceptor::from);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let (answering, tls) = (answering.clone(), tls.clone());
                answering.room.clone().serve(|heard| async move {
                    if let Err(error) = converse(stream, from, tls, heard, &answering).await {
                        tracing::debug!(%from, %error, "a connection has broken");
                    }
                });
            }
            Err(error) => {
                // Most likely no descriptors are left: that takes a while to change.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<TlsAcceptor>,
    heard: Heard,
    answering: &Answering,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (ip, patience) = (from.ip(), Patience::default());
    let Answering { shared, counters, .. } = answering;
    let stream = heard.of(stream);
    match tls {
        None => serve_stream(stream, ip, shared, patience, counters).await,
        Some(tls) => {
            let stream = timeout(HANDSHAKE, tls.accept(stream)).await??;
            serve_stream(stream, ip, shared, patience, counters).await
        }
    }
}
